"""Sums over the runs of a mask's code, without a pixel of it: its centre, and its overlap with a zone."""

import numpy as np
import numpy.typing as npt

from segrt.runtime.results import rle

Runs = tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]
"""Where runs of 1 begin and end (exclusive), counted down the columns: pixel (row, column) is column * H + row."""

_DIGIT, _MORE, _SIGN = 0x1F, 0x20, 0x10


def runs_of(encoded: "rle.Rle") -> Runs:
    """Return the runs of a mask's code (cocoapi, common/maskApi.c, rleFrString).

    A character holds five bits of a number, the lowest first, and whether more follow; from the fourth number on it is
    the difference to the number two before.
    """
    codes = np.frombuffer(encoded["counts"], np.uint8).astype(np.int64) - 48
    if codes.size == 0:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    last = (codes & _MORE) == 0
    starts = np.concatenate(([0], np.flatnonzero(last)[:-1] + 1))
    place = np.arange(codes.size) - np.repeat(starts, np.diff(np.append(starts, codes.size)))
    numbers = np.add.reduceat((codes & _DIGIT) << (5 * place), starts)
    ends = np.flatnonzero(last)
    numbers -= np.where(codes[ends] & _SIGN, np.int64(1) << (5 * (place[ends] + 1)), 0)
    counts = numbers.copy()
    counts[1::2] = np.cumsum(numbers[1::2])
    counts[2::2] = np.cumsum(numbers[2::2])
    edges = np.cumsum(counts)
    begins, stops = edges[0::2], edges[1::2]
    return begins[: len(stops)], stops


def centre(runs: Runs, height: int) -> tuple[float, float]:
    """Return the mean (x, y) of the pixels' centres, in pixels; the mask must not be empty."""
    begins, stops = runs
    pixels = int((stops - begins).sum())
    places = int(((begins + stops - 1) * (stops - begins)).sum()) // 2
    columns = int((_columns_before(stops, height) - _columns_before(begins, height)).sum())
    return columns / pixels + 0.5, (places - height * columns) / pixels + 0.5


def overlap(runs: Runs, inside_before: npt.NDArray[np.int32], first: int) -> int:
    """Return how many pixels of the runs are inside.

    `inside_before[n]` counts those among the first n places from place `first` on, down the columns.
    """
    begins, stops = (np.clip(edges - first, 0, len(inside_before) - 1) for edges in runs)
    return int((inside_before[stops] - inside_before[begins]).sum())


def _columns_before(places: npt.NDArray[np.int64], height: int) -> npt.NDArray[np.int64]:
    """Return the sum of the columns of all places below each of `places`."""
    whole, rest = np.divmod(places, height)
    sums: npt.NDArray[np.int64] = whole * (whole - 1) // 2 * height + whole * rest
    return sums
