"""Masks as COCO's JSON has them, looked at before other libraries compute with them."""

from typing import Any

import msgspec

from segrt.runtime.results import rle

_BOX, _LEAST = 4, 6  # numbers of a polygon: a box, or at least a triangle
_LONGEST_OUTLINE = 10_000_000  # pixels: what is drawn takes time and memory by its length


class CocoRle(msgspec.Struct, frozen=True):
    """A run-length encoding: of (height, width), compressed to text, or the plain lengths of runs."""

    size: tuple[int, int]
    counts: str | list[int]


Polygons = list[list[float]]
CocoMask = CocoRle | Polygons | None


def mask_problem(mask: CocoMask, size: tuple[int, int]) -> str | None:
    """Return why `mask` is none of a picture of (height, width), or None."""
    if isinstance(mask, CocoRle):
        return _rle_problem(mask, size)
    return _polygon_problem(mask or [], max(size))


def _rle_problem(mask: CocoRle, size: tuple[int, int]) -> str | None:
    if mask.size != size:
        return f"is {list(mask.size)}, but the image is {list(size)}"
    if isinstance(mask.counts, list):
        if any(count < 0 for count in mask.counts) or sum(mask.counts) != size[0] * size[1]:
            return "has runs that do not fill the image"
        return None
    try:
        rle.measure([_encoded(mask.counts, size)])
    except ValueError as error:
        return f"is damaged ({error})"
    return None


def _encoded(counts: str, size: tuple[int, int]) -> rle.Rle:
    code: Any = {"size": list(size), "counts": counts.encode("ascii")}
    encoded: rle.Rle = code
    return encoded


def _polygon_problem(polygons: Polygons, edge: int) -> str | None:
    outline = 0.0
    boxes = {len(polygon) == _BOX for polygon in polygons}
    for polygon in polygons:
        if len(polygon) % 2 or (len(polygon) < _LEAST and len(polygon) != _BOX) or len(boxes) > 1:
            return f"has a polygon of {len(polygon)} numbers"
        if not -edge <= min(polygon) <= max(polygon) <= 2 * edge:
            return "has a polygon far outside the image"
        for axis in (polygon[0::2], polygon[1::2]):
            outline += sum(abs(b - a) for a, b in zip(axis, [*axis[1:], axis[0]], strict=True))
    return None if outline <= _LONGEST_OUTLINE else f"has polygons {outline:.0f} pixels long"
