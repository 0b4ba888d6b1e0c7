"""Everything that needs torch or onnx: trained networks become bundles, at one or more precisions."""
