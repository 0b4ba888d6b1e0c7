"""How things look: whether the colours under two masks may be those of one thing."""

import numpy as np
import numpy.typing as npt

LOOKED_AT = 512
"""Pixels of a thing at most: more would tell little more."""
# What is alike by less is nothing alike, by more the same. Chosen on street clips that no figure is reported of.
_STRANGE, _SAME = 0.2, 0.8
_SURE = 64  # fewer pixels say less, in proportion: those of a sliver are blended with what is beside it

Counts = npt.NDArray[np.float64]


def alike(counts: Counts, others: Counts) -> Counts:
    """Return how well colours of one of each pair may be among the other's, 0 to 1, (P,); both are counts (P, 512).

    What is seen of a thing that something covers has few of its pixels: those of the smaller must be found in the
    larger, as many of each colour. Fewer than `_SURE` pixels say less against it, and none nothing.
    """
    fewer = np.minimum(counts.sum(axis=1), others.sum(axis=1))
    shared = np.minimum(counts, others).sum(axis=1) / np.maximum(fewer, 1e-9)
    strange = 1 - np.clip((shared - _STRANGE) / (_SAME - _STRANGE), 0, 1)
    fit: Counts = 1 - strange * np.minimum(fewer / _SURE, 1)
    return fit
