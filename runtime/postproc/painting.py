"""Results painted over their pictures, in C++: tinted regions with lines between them, objects with soft outlines."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segrt.runtime.postproc.arguments import class_list
from segrt.runtime.postproc.calls import call_checked
from segrt.runtime.postproc.core import core
from segrt.runtime.postproc.mask_runs import MaskRuns


@dataclass(frozen=True, eq=False)
class RegionTints:
    """What regions become: pixels of a value that is `painted` are `keep` (0 to 1) times their own, plus its `light`.

    `ids` are distinct, those of `values` uint8 (N,); other ids of a map have the value 0. `light` is float32 (256, 3),
    BGR, `painted` uint8 (256,).
    """

    ids: Sequence[int]
    values: NDArray[np.uint8]
    keep: float
    light: NDArray[np.float32]
    painted: NDArray[np.uint8]


def paint_regions(
    image: NDArray[np.uint8],
    ids_map: NDArray[Any],
    tints: RegionTints,
    *,
    reach: int,
    line_weights: Sequence[int],
    out: NDArray[np.uint8],
) -> None:
    """Paint the regions of a map, uint8, uint16 or int32 (H, W), over `image`, uint8 (H, W, 3), into `out`.

    `out` is `image`, or shares no memory with it.

    A line is where values differ in a window of `reach` pixels, 2 or more (0: no lines), that begins reach // 2 pixels
    before; a pixel of whose 3x3 neighbours n are on it is mixed with `line_weights[n]` / 256 of white.
    """
    call_checked(
        core.paint_regions, image, ids_map, class_list("ids", tints.ids), tints.values, tints.keep, tints.light,
        tints.painted, reach, list(line_weights), out,
    )  # fmt: skip


@dataclass(frozen=True, eq=False)
class ObjectColors:
    """Tables of what a level of a blurred mask adds and keeps: `light` and `keep`, uint8 (T, 256, 4), BGR and a spare.

    Level 0 adds 0 and keeps 255. `places` are the masks that are painted, the first first; `tables` says which table
    each of them has.
    """

    places: Sequence[int]
    tables: Sequence[int]
    light: NDArray[np.uint8]
    keep: NDArray[np.uint8]


def paint_objects(
    canvas: NDArray[np.uint8], masks: MaskRuns, weights: NDArray[np.uint16], colors: ObjectColors
) -> None:
    """Paint objects over `canvas`, uint8 (H, W, 3), in the order of their colours.

    Each mask, 0 or 255, is blurred by `weights` (K,), odd in number, 256 in all, that in the middle above 0, in both
    directions, its pixels at the picture's border going on beyond it; each pixel is then keep / 255 of what it was,
    plus light.
    """
    call_checked(
        core.paint_objects, canvas, masks.runs, masks.starts, masks.by_columns, weights,
        class_list("places", colors.places), class_list("tables", colors.tables), colors.light, colors.keep,
    )  # fmt: skip


def paste_sprites(
    canvas: NDArray[np.uint8], sprites: Sequence[tuple[NDArray[np.uint8], NDArray[np.uint8], int, int]]
) -> None:
    """Lay small pictures over `canvas`, uint8 (H, W, 3), the first first; what lies outside is cut off.

    Each has `light` and `keep`, uint8 (h, w, 3), and the pixel (left, top) of its corner: what lies below becomes
    keep / 255 of what it was, rounded, plus light, at most 255.
    """
    call_checked(core.paste_sprites, canvas, list(sprites))
