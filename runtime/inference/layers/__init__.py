"""How long each layer of a network takes, and which module of the source framework it comes from.

`modules` reads module names out of an ONNX file, `onnxruntime_trace` and `tensorrt_trace` read the profilers' JSON,
`table` puts the two together, `measure` runs a bundle and gives its table.
"""
