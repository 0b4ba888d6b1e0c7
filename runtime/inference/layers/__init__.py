"""How long each layer of a network takes, and which module of the source framework it comes from.

`module_names` reads module names out of an ONNX file, `onnxruntime_trace` the JSON of ONNX Runtime's profiler;
`attribution` puts times and names together. TensorRT's part stands with TensorRT.
"""
