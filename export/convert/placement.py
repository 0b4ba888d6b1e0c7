"""Where pictures lie in an exported network's input: the canvas for both orientations, the side that is padded."""

from collections.abc import Callable
from dataclasses import replace

import msgspec
import numpy as np
import numpy.typing as npt

from segrt.export.family import Exportable, PadSide, Size
from segrt.runtime.errors import SegrtError
from segrt.runtime.files.images import Picture
from segrt.runtime.preprocess.picture import place


def canvas_for_both(size: Size) -> tuple[Size, int]:
    """Return the canvas (h, w) that holds pictures of `size` on their side and upright, and their shortest edge.

    Raises SegrtError for a square, which does so already.
    """
    if size[0] == size[1]:
        raise SegrtError(
            f"--both-orientations: a network of {size[0]}x{size[1]} takes either orientation already; leave it out"
        )
    return (max(size), max(size)), min(size)


def check_orientations(name: str, exportable: Exportable) -> None:
    """Raise SegrtError when the network does not keep the shape of pictures, so that no canvas holds both."""
    if exportable.resize.rule != "shortest_edge":
        raise SegrtError(
            f"--both-orientations: {name} fills its input with every picture, whatever its shape; leave it out"
        )


def is_for_one_orientation(exportable: Exportable, size: Size) -> bool:
    """Whether pictures of the other orientation come in smaller than the framework would make them."""
    return exportable.resize.rule != "stretch" and size[0] != size[1]


def with_pad_side(exportable: Exportable, side: PadSide | None, name: str, size: Size) -> Exportable:
    """Return `exportable` for pictures that are padded on `side`, None for its own; SegrtError where it cannot be."""
    if side is None or side == exportable.resize.pad_side:
        return exportable
    if exportable.resize.rule == "stretch":
        raise SegrtError(f"--pad-side {side}: {name} stretches pictures and pads nothing; leave it out")
    if side not in exportable.pad_sides:
        raise SegrtError(f"--pad-side {side}: {name} takes pictures at the top left alone; leave it out")
    resize = msgspec.structs.replace(exportable.resize, pad_side=side)
    pixels = exportable.framework_pixels
    moved = None if pixels is None else _moved(pixels, lambda source: place(source, size, resize).window)
    return replace(exportable, resize=resize, framework_pixels=moved)


def _moved(
    pixels: Callable[[Picture], npt.NDArray[np.float32]],
    window_of: Callable[[Size], tuple[float, float, float, float]],
) -> Callable[[Picture], npt.NDArray[np.float32]]:
    """Return `pixels` with the picture in its window; `pixels` puts it at the top left."""

    def moved(picture: Picture) -> npt.NDArray[np.float32]:
        given = pixels(picture)
        top, left, bottom, right = (int(edge) for edge in window_of((picture.shape[0], picture.shape[1])))
        canvas = np.empty_like(given)
        canvas[...] = given[:, -1:, -1:]  # padding, unless the picture fills the input
        canvas[:, top:bottom, left:right] = given[:, : bottom - top, : right - left]
        return canvas

    return moved
