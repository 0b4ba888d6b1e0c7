"""ONNX graphs: traced from torch, mended, checked, and shown to TensorRT's parser."""
