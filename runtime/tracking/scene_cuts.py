"""Cuts: a picture that has little to do with the one before."""

from typing import Any

import numpy as np
import numpy.typing as npt

_ROWS, _COLUMNS = 36, 64  # of the pixels that are looked at
_LEVELS = 4  # of blue, green and red each
_SAME_COLORS = 0.6  # share of the pixels whose colours are in the picture before, too
_CHANGE = 30.0  # mean difference of a pixel, of 255
_SAME_PIXEL = 12.0  # what differs by less has stayed
_STAYED = 0.2  # share of the pixels that stay where something comes into a part of the picture


class SceneCuts:
    """Compares each picture with the one before: at a cut both its colours and its pixels are others.

    What moves changes pixels and keeps colours; a lamp changes colours a little; what comes near at once, a bus that
    fills most of the picture, leaves the rest as it was. Dissolves are not found.
    """

    def __init__(self) -> None:
        self._last: npt.NDArray[np.int64] | None = None

    def is_cut(self, image: npt.NDArray[Any]) -> bool:
        """Say whether `image`, uint8 BGR (H, W, 3), begins another scene; remember it."""
        height, width = image.shape[:2]
        rows = np.arange(_ROWS) * height // _ROWS + height // (2 * _ROWS)
        columns = np.arange(_COLUMNS) * width // _COLUMNS + width // (2 * _COLUMNS)
        looked_at = image[rows[:, None], columns].astype(np.int64)
        last, self._last = self._last, looked_at
        if last is None:
            return False
        change = np.abs(looked_at - last).mean(axis=-1)
        if float(change.mean()) < _CHANGE or float((change < _SAME_PIXEL).mean()) >= _STAYED:
            return False
        shared = np.minimum(_colors(looked_at), _colors(last)).sum() / (_ROWS * _COLUMNS)
        return bool(shared < _SAME_COLORS)


def _colors(pixels: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    blue, green, red = (pixels[..., channel] * _LEVELS >> 8 for channel in range(3))
    return np.bincount(((blue * _LEVELS + green) * _LEVELS + red).ravel(), minlength=_LEVELS**3)
