"""Percentiles, and intervals that stay honest on a machine whose speed wanders."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

# Student's t, two-sided 95 %, for 1, 2, … degrees of freedom; 1.96 far beyond.
_T95 = (
    12.71,
    4.30,
    3.18,
    2.78,
    2.57,
    2.45,
    2.36,
    2.31,
    2.26,
    2.23,
    2.20,
    2.18,
    2.16,
    2.14,
    2.13,
    2.12,
    2.11,
    2.10,
    2.09,
)
_BLOCKS = 20
_BLOCK = 5


class Interval(NamedTuple):
    """The 95 % confidence interval of a median, in the values' unit."""

    low: float
    high: float

    def overlaps(self, other: "Interval") -> bool:
        """Whether the two have a value in common."""
        return self.low <= other.high and other.low <= self.high


def percentile(values: Sequence[float] | npt.NDArray[np.float64], share: float) -> float:
    """Return the value below which `share` (0 to 1) of `values` lie: linear between neighbours, as numpy's default."""
    return float(np.quantile(np.asarray(values, np.float64), share))


def median_interval(values: Sequence[float] | npt.NDArray[np.float64]) -> Interval:
    """Return the interval in which the median lies, for values in the order in which they were measured.

    Neighbouring frames are alike: another program or a hot processor slows many in a row, so that intervals that take
    each frame for independent are far too narrow. The values are therefore cut into up to 20 stretches of at least 5;
    the spread of their medians says how far the speed wanders (batch means: Law and Kelton, Simulation Modeling and
    Analysis, 9.5.3). The interval is never narrower than that of order statistics for independent values, and begins
    no lower than the smallest value: no frame was ever quicker.
    """
    low, high = _wandering(values)
    return Interval(max(low, float(np.min(values))), high)


def _wandering(values: Sequence[float] | npt.NDArray[np.float64]) -> Interval:
    """Return the interval of a median without a lower end, as differences have none."""
    ordered = np.asarray(values, np.float64)
    count = len(ordered)
    center = float(np.median(ordered))
    ranks = np.sort(ordered)
    reach = 1.96 * math.sqrt(count) / 2
    low = float(ranks[max(0, math.floor(count / 2 - reach))])
    high = float(ranks[min(count - 1, math.ceil(count / 2 + reach))])
    blocks = min(_BLOCKS, count // _BLOCK)
    if blocks >= 2:
        medians = [float(np.median(part)) for part in np.array_split(ordered, blocks)]
        half = _T95[min(blocks - 2, len(_T95) - 1)] * float(np.std(medians, ddof=1)) / math.sqrt(blocks)
        low, high = min(low, center - half), max(high, center + half)
    return Interval(low, high)


class Difference(NamedTuple):
    """How much longer one candidate takes than another, frame by frame: the median, and whether it may be noise."""

    median: float
    interval: Interval

    @property
    def is_noise(self) -> bool:
        """Whether no difference at all is within the interval."""
        return self.interval.low <= 0.0 <= self.interval.high


def difference(first: Sequence[float], second: Sequence[float]) -> Difference:
    """Return second - first for values that were measured in turn, so that what slows one slows both."""
    paired = np.asarray(second, np.float64) - np.asarray(first, np.float64)
    return Difference(float(np.median(paired)), _wandering(paired))


def slowdown(values: Sequence[float]) -> float:
    """Return the last fifth's median over the first fifth's: 1.2 for a device that became a fifth slower."""
    fifth = max(1, len(values) // 5)
    first = float(np.median(values[:fifth]))
    return float(np.median(values[-fifth:])) / first if first > 0 else 1.0
