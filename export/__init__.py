"""segrt's export room: everything that needs torch or onnx; takes trained networks into bundles."""
