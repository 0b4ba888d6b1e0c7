"""TensorRT engines, from `tensorrt` (10.3 to 11) and `tensorrt_rtx` over one code path.

`flavor` finds what is installed, `parsing` reads an ONNX file with NVIDIA's parser, `options` and `building` make a
plan of it, `precisions` tells what it runs in, `record`, `fit` and `cache` keep plans and say whether one fits here.
Importing these modules imports no TensorRT.
"""
