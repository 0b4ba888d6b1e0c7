"""Where a source picture lies in the network's input, and the exact way back."""

from dataclasses import dataclass


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

    def window_on(self, size: tuple[int, int]) -> tuple[float, float, float, float]:
        """Return the window in pixels of a grid of `size` (h, w) that covers the whole input (a head's)."""
        top, left, bottom, right = self.window
        down, across = size[0] / self.network_size[0], size[1] / self.network_size[1]
        return top * down, left * across, bottom * down, right * across

    def to_source(self, y: float, x: float) -> tuple[float, float]:
        """Return the source position (in pixels, edges at whole numbers) of a network position (y, x)."""
        top, left, bottom, right = self.window
        height, width = self.source_size
        return (y - top) / (bottom - top) * height, (x - left) / (right - left) * width

    def to_network(self, y: float, x: float) -> tuple[float, float]:
        """Return the network position of a source position (y, x), both with pixel edges at whole numbers."""
        top, left, bottom, right = self.window
        height, width = self.source_size
        return top + y / height * (bottom - top), left + x / width * (right - left)
