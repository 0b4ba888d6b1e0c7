"""How things look: how many pixels of which colour are under each mask, and what may be a part of what."""

from typing import Any

import numpy as np
import numpy.typing as npt

from segrt.runtime.postproc import MaskRuns

_LEVELS = 8  # of blue, green and red each
_BINS = _LEVELS**3
_LOOKED_AT = 512  # pixels of a thing at most: more would tell little more
# What is alike by less is nothing alike, by more the same. Chosen on street clips that no figure is reported of.
_STRANGE, _SAME = 0.2, 0.8

Counts = npt.NDArray[np.float64]


def color_counts(image: npt.NDArray[Any], masks: MaskRuns) -> Counts:
    """Return how many pixels under each mask have which of 512 colours, (N, 512), each row's sum the mask's area.

    `image` is uint8 BGR (H, W, 3). A pixel counts for the eight colours around its own, by nearness, so that noise and
    light move counts a little and not from one colour to the next. Of a large thing every k-th pixel stands for k.
    """
    lines, begins, ends = (masks.runs[:, column].astype(np.int64) for column in range(3))
    before = np.concatenate(([0], np.cumsum(ends - begins)))  # pixels of all masks before each run
    firsts = before[masks.starts]
    areas = np.diff(firsts)
    steps = np.maximum(-(-areas // _LOOKED_AT), 1)
    looked_at = -(-areas // steps)
    owners = np.repeat(np.arange(len(masks)), looked_at)
    numbers = np.arange(len(owners)) - np.repeat(np.cumsum(looked_at) - looked_at, looked_at)
    places = firsts[owners] + numbers * steps[owners]
    runs = np.searchsorted(before, places, side="right") - 1
    along = begins[runs] + places - before[runs]
    pixels = image[along, lines[runs]] if masks.by_columns else image[lines[runs], along]
    weights = (areas / np.maximum(looked_at, 1))[owners]
    return _counted(pixels, owners, weights, len(masks))


def _counted(pixels: npt.NDArray[Any], owners: npt.NDArray[np.int64], weights: Counts, number: int) -> Counts:
    """Return the counts (N, 512) of pixels (P, 3), each shared out among the eight colours around it."""
    levels = np.clip(pixels * (_LEVELS / 255) - 0.5, 0, _LEVELS - 1)
    low = np.minimum(levels.astype(np.int64), _LEVELS - 2)
    above = levels - low
    first = ((owners * _LEVELS + low[:, 0]) * _LEVELS + low[:, 1]) * _LEVELS + low[:, 2]
    counts = np.zeros(number * _BINS)
    for blue in (0, 1):
        by_blue = weights * (above[:, 0] if blue else 1 - above[:, 0])
        for green in (0, 1):
            by_green = by_blue * (above[:, 1] if green else 1 - above[:, 1])
            for red in (0, 1):
                share = by_green * (above[:, 2] if red else 1 - above[:, 2])
                bins = first + (blue * _LEVELS + green) * _LEVELS + red
                counts += np.bincount(bins, weights=share, minlength=len(counts))
    return counts.reshape(number, _BINS)


def alike(counts: Counts, others: Counts) -> Counts:
    """Return how well colours of one of each pair may be among the other's, 0 to 1, (P,); both are counts (P, 512).

    What is seen of a thing that something covers has few of its pixels: those of the smaller must be found in the
    larger, as many of each colour. Without a pixel nothing speaks against it.
    """
    fewer = np.minimum(counts.sum(axis=1), others.sum(axis=1))
    shared = np.minimum(counts, others).sum(axis=1) / np.maximum(fewer, 1e-9)
    fit: Counts = np.where(fewer > 0, np.clip((shared - _STRANGE) / (_SAME - _STRANGE), 0, 1), 1.0)
    return fit
