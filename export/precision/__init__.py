"""Variants of a float32 network at other precisions: converted, compared, layers kept in float32 where they differ."""
