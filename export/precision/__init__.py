"""Variants of a float32 network at other precisions: made, measured against it, and mended where they miss."""
