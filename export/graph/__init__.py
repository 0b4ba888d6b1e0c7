"""ONNX graphs: traced from torch, edited, checked, and parsed by TensorRT."""
