"""A picture that is too large to be held: what a network takes of its windows, as of the picture itself."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from segrt.runtime.errors import ImageError
from segrt.runtime.files.tiff_windows import TiffWindows, needs_windows
from segrt.runtime.preprocess.channels import Raster, image_input, read_input
from segrt.runtime.preprocess.input_spec import InputSpec

_COLORS = 3


class PictureWindows:
    """`picture[top:bottom, left:right]` is what `read_input` would give of a file, cut there; `shape` is (H, W, C).

    Raises ImageError for files whose windows cannot be had: see `TiffWindows`.
    """

    def __init__(self, path: Path, inputs: Sequence[InputSpec]) -> None:
        self._windows = TiffWindows(path)
        self._spec = image_input(inputs)
        dtype = self._windows.dtype
        if self._spec.takes_pictures and dtype not in (np.uint8, np.uint16):
            raise ImageError(f"{path}: has values of type {dtype}; write it with uint8 or uint16")
        if not self._spec.takes_pictures and self._windows.pages > 1:
            raise ImageError(
                f"{path}: has {self._windows.pages} pages, which are bands, too large to be read as a whole; write it "
                "as one page with its bands interleaved"
            )
        channels = _COLORS if self._spec.takes_pictures else self._windows.shape[2]
        self.shape = (*self._windows.shape[:2], channels)

    def __getitem__(self, window: tuple[slice, slice]) -> Raster:
        """Return the window of these rows and columns."""
        values = self._windows[window]
        if not self._spec.takes_pictures:
            swap = self._spec.color != "bands" and values.shape[2] >= _COLORS
            return np.concatenate([values[..., 2::-1], values[..., 3:]], axis=2) if swap else values
        values = (values >> 8).astype(np.uint8) if values.dtype == np.uint16 else values
        if values.shape[2] < _COLORS:
            return np.repeat(values[..., :1], _COLORS, axis=2)
        return np.ascontiguousarray(values[..., 2::-1])


def read_whole_or_windows(path: Path, inputs: Sequence[InputSpec]) -> Raster | PictureWindows:
    """Return the picture at `path` as `read_input` does, or its windows where it is too large for that."""
    return PictureWindows(path, inputs) if needs_windows(path) else read_input(path, inputs)
