"""Slow, obvious numpy versions of the post-processing: what the C++ must equal.

Arithmetic follows torch in float32, one rounding where torch fuses a product and a sum. Everything else is written for
reading: whole (K, H, W) tensors, loops over segments.
"""
