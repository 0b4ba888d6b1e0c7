"""How kernels that label a target are launched (cpp_postproc/cuda/label_regions.h)."""

from segrt.runtime.inference.cuda.interface import Shape
from segrt.runtime.inference.cuda.launching import tiles

BLOCK: Shape = (32, 4, 1)
_TILE = (32, 32)  # pixels of a block


def label_grid(size: tuple[int, int]) -> Shape:
    """Return the grid of blocks for a target of `size` (H, W)."""
    height, width = size
    return tiles(width, height, *_TILE)
