"""`segrt adopt`: a bundle of a foreign ONNX file, by what it says of itself, what the user says and what is guessed."""
