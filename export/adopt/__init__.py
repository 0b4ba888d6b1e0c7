"""Foreign ONNX files: what they say of themselves, what is guessed, and the bundle made of them."""
