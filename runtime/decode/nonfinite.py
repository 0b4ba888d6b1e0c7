"""Heads with NaN or infinity in them: a network that overflows says nothing itself.

The core counts such values as it reads them; here are counted only those of small heads, which tell what the core
counted of several heads together apart.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from segrt.runtime.postproc import Report


def nonfinite_values(*heads: npt.ArrayLike) -> int:
    """Return how many values of floating-point `heads` are NaN or infinity."""
    return sum(int(np.count_nonzero(~np.isfinite(head))) for head in heads)


def bad_heads(*heads: npt.ArrayLike) -> int:
    """Return how many of floating-point `heads` hold NaN or infinity."""
    return sum(not _is_finite(np.asarray(head)) for head in heads)


def bad_among_two(report: Report, small: npt.ArrayLike) -> int:
    """Return how many of two heads hold NaN or infinity, where the core counted `small` and another one together."""
    in_small = nonfinite_values(small)
    return (in_small > 0) + (report.nonfinite > in_small)


def _is_finite(head: npt.NDArray[Any]) -> bool:
    # One NaN or infinity makes the sum one, and adding up is quicker. A sum that overflowed is looked at again.
    with np.errstate(all="ignore"):
        return bool(np.isfinite(head.sum(dtype=np.float32))) or not nonfinite_values(head)
