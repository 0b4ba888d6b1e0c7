"""Looks whether a live picture lives: a camera may go on sending one and the same picture, or black."""

from typing import TYPE_CHECKING

import numpy as np

from segrt.runtime.files.images import Picture

if TYPE_CHECKING:
    from segrt.runtime.preprocess.cuda.device_picture import DevicePicture

_GRID = 64  # samples along each side
_SAME = 2  # grey levels; a frozen picture that is encoded again still wavers a little
_DARK = 20  # of 255: the black of limited-range video and a sensor's noise, no night scene with a lamp in it


class PictureWatch:
    """Tells "frozen" and "black" after `seconds` of it, from a sample of the pixels."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._sample: Picture | None = None
        self._changed = 0.0
        self._lit = 0.0

    def look(self, picture: "Picture | DevicePicture", now: float) -> str | None:
        """Take the picture of the moment `now` (monotonic seconds); return "frozen", "black" or None (it lives)."""
        height, width = picture.shape[:2]
        steps = max(1, height // _GRID), max(1, width // _GRID)
        sample = picture[:: steps[0], :: steps[1]] if isinstance(picture, np.ndarray) else picture.every(*steps)
        before = self._sample
        if before is None or before.shape != sample.shape:
            self._changed, self._sample = now, sample.copy()
            self._lit = now if before is None else self._lit
        elif int(np.max(np.maximum(sample, before) - np.minimum(sample, before))) > _SAME:
            self._changed, self._sample = now, sample.copy()
        if int(sample.max()) > _DARK:
            self._lit = now
        if now - self._lit >= self._seconds:
            return "black"
        return "frozen" if now - self._changed >= self._seconds else None
