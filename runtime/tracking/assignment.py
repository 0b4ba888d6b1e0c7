"""Which track gets which thing: the pairs of the greatest similarity in all, by SciPy's Hungarian method."""

import numpy as np
import numpy.typing as npt

from segrt.runtime.errors import SegrtError


def check_scipy() -> None:
    """Raise SegrtError, with the remedy, where SciPy is missing."""
    try:
        import scipy.optimize  # noqa: F401
    except ImportError:
        raise SegrtError("tracking needs SciPy; `pip install 'segrt[track]'`") from None


def assign(similarity: npt.NDArray[np.float64]) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Return rows and columns of the pairs that have the greatest sum; pairs of 0 are none. Needs SciPy.

    `similarity` (N, M) is at least 0.
    """
    possible = similarity > 0
    if possible.sum(axis=0).max(initial=0) <= 1 and possible.sum(axis=1).max(initial=0) <= 1:  # nothing to weigh up
        rows, columns = np.nonzero(possible)
        return rows, columns
    from scipy.optimize import linear_sum_assignment

    rows, columns = linear_sum_assignment(similarity, maximize=True)
    taken = possible[rows, columns]
    return rows[taken], columns[taken]
