"""TensorRT engines, from `tensorrt` (10.3 to 11) and `tensorrt_rtx` over one code path.

`flavor` finds what is installed, `parsing` reads an ONNX file with NVIDIA's parser, `building` makes a plan of it,
`layer_precisions` tells what it runs in; `engine_record`, `fit` and `engine_cache` keep plans and say whether one fits
here; `engine_backend` executes one, each slot on a `gpu_slot` of its own. Importing these modules imports no TensorRT.
"""
