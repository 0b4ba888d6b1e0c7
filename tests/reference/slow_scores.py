"""What makes scores of logits."""

import numpy as np

from reference.arrays import F32, Array


def finite(values: Array) -> Array:
    """NaN as the lowest number, infinities as the largest of their sign."""
    return np.nan_to_num(values.astype(F32), nan=-1e38, posinf=1e38, neginf=-1e38)


def sigmoid(values: Array) -> Array:
    """In float64, rounded once."""
    return (1 / (1 + np.exp(-np.clip(values.astype(np.float64), -87, 88)))).astype(F32)


def softmax(logits: Array) -> Array:
    """Over the last axis."""
    values = np.exp(logits - logits.max(-1, keepdims=True))
    return (values / values.sum(-1, keepdims=True)).astype(F32)
