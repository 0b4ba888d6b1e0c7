"""What is known of an ONNX file by its exporter: metadata, files beside it, the names of its outputs."""
