"""How things look: whether the colours under two masks may be those of one thing."""

import numpy as np
import numpy.typing as npt

LOOKED_AT = 512
"""Pixels of a thing at most: more would tell little more."""
# What is alike by less is nothing alike, by more the same. Chosen on street clips that no figure is reported of.
_STRANGE, _SAME = 0.2, 0.8

Counts = npt.NDArray[np.float64]


def alike(counts: Counts, others: Counts) -> Counts:
    """Return how well colours of one of each pair may be among the other's, 0 to 1, (P,); both are counts (P, 512).

    What is seen of a thing that something covers has few of its pixels: those of the smaller must be found in the
    larger, as many of each colour. Without a pixel nothing speaks against it.
    """
    fewer = np.minimum(counts.sum(axis=1), others.sum(axis=1))
    shared = np.minimum(counts, others).sum(axis=1) / np.maximum(fewer, 1e-9)
    fit: Counts = np.where(fewer > 0, np.clip((shared - _STRANGE) / (_SAME - _STRANGE), 0, 1), 1.0)
    return fit
