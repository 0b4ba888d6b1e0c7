"""How things look: a histogram of the colours under each mask."""

from typing import Any

import numpy as np
import numpy.typing as npt

from segrt.runtime.postproc import MaskRuns

_LEVELS = 4  # of blue, green and red each
_BINS = _LEVELS**3


def color_histograms(image: npt.NDArray[Any], masks: MaskRuns) -> npt.NDArray[np.float64]:
    """Return the shares of 64 colours under each mask, (N, 64), each row's sum 1 (0 of an empty mask).

    `image` is uint8 BGR (H, W, 3). Each run is looked at in three places, which stand for its length: all pixels of a
    thing would tell little more.
    """
    lines, begins, ends = (masks.runs[:, column].astype(np.int64) for column in range(3))
    owners = np.repeat(np.arange(len(masks)), np.diff(masks.starts))
    histograms = np.zeros(len(masks) * _BINS)
    for place in (0.2, 0.5, 0.8):
        along = begins + ((ends - begins) * place).astype(np.int64)
        pixels = image[along, lines] if masks.by_columns else image[lines, along]
        blue, green, red = (pixels[:, channel].astype(np.int64) * _LEVELS >> 8 for channel in range(3))
        bins = owners * _BINS + (blue * _LEVELS + green) * _LEVELS + red
        histograms += np.bincount(bins, weights=ends - begins, minlength=len(histograms))
    counts = histograms.reshape(len(masks), _BINS)
    shares: npt.NDArray[np.float64] = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1e-9)
    return shares
