"""Where a source picture lies in the network's input, and the exact way back."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class Geometry:
    """The placement of one picture in the network's input.

    `source_size` is (H, W) and `network_size` (h, w), in pixels; `window` is (top, left, bottom, right) in network
    pixels: the part of the input that shows the whole picture. The centre of source pixel (y, x) lies at
    top + (y + 0.5) / H * (bottom - top), left + (x + 0.5) / W * (right - left).
    """

    source_size: tuple[int, int]
    network_size: tuple[int, int]
    window: tuple[float, float, float, float]

    def __post_init__(self) -> None:
        """Raise ValueError for an empty size or window."""
        if min(*self.source_size, *self.network_size) < 1:
            raise ValueError(f"sizes must be at least 1 pixel, but got {self.source_size} and {self.network_size}")
        top, left, bottom, right = self.window
        height, width = self.network_size
        if not (0 <= top < bottom <= height and 0 <= left < right <= width):
            raise ValueError(f"window must lie inside {self.network_size}, but got {self.window}")

    def window_on(self, size: tuple[int, int], *, align_corners: bool = False) -> tuple[float, float, float, float]:
        """Return the window in pixels of a grid of `size` (h, w) that covers the whole input (a head's).

        With `align_corners` the centres of the grid's corner cells lie on the centres of the input's corner pixels,
        otherwise their outer edges meet.
        """
        top, left, bottom, right = self.window
        height, width = self.network_size
        if align_corners and min(*size, height, width) > 1:
            down, across = (size[0] - 1) / (height - 1), (size[1] - 1) / (width - 1)
            top, left, bottom, right = top - 0.5, left - 0.5, bottom - 0.5, right - 0.5
            return top * down + 0.5, left * across + 0.5, bottom * down + 0.5, right * across + 0.5
        down, across = size[0] / height, size[1] / width
        return top * down, left * across, bottom * down, right * across

    def boxes_to_source(self, boxes: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Return `boxes` (N, 4) xyxy in network pixels as source pixels, as far as they reach beyond the picture."""
        top, left, bottom, right = self.window
        height, width = self.source_size
        scale = np.array([width / (right - left), height / (bottom - top)] * 2, np.float32)
        moved: npt.NDArray[np.float32] = (boxes - np.array([left, top] * 2, np.float32)) * scale
        return moved

    def clipped(self, boxes: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Return `boxes` (N, 4) xyxy in source pixels, cut off at the picture's edges."""
        height, width = self.source_size
        inside: npt.NDArray[np.float32] = np.clip(boxes, 0, np.array([width, height] * 2, np.float32))
        return inside
