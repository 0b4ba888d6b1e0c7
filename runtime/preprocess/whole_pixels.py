"""The size in whole pixels of a picture that keeps its aspect ratio: each framework rounds in its own way."""

import math
from collections.abc import Callable, Mapping

from segrt.runtime.preprocess.input_spec import Resize, Rounding

Size = tuple[int, int]


def shown_size(source_size: Size, network_size: Size, resize: Resize) -> Size:
    """Return the size (h, w) at which a picture of `source_size` (H, W) is shown in an input of `network_size`.

    At least 1 pixel and at most the network's on either side, whatever the rounding.
    """
    if resize.rule == "stretch":
        return network_size
    shortest = resize.shortest_edge
    if shortest is not None and resize.rule == "enlarge":
        shortest = max(shortest, min(source_size))
    longest = resize.longest_edge or max(network_size)
    if resize.rounding == "longer_floor":
        most = (min(network_size[0], longest), min(network_size[1], longest))
        sides = _longer_floor(source_size, most, shortest)
    else:
        fit = min(network_size[0] / source_size[0], network_size[1] / source_size[1], longest / max(source_size))
        if shortest is not None:
            fit = min(fit, shortest / min(source_size))
        whole = _ROUNDINGS[resize.rounding]
        sides = (whole(source_size[0] * fit), whole(source_size[1] * fit))
    height, width = (-(-max(side, 1) // resize.multiple) * resize.multiple for side in sides)
    return min(height, network_size[0]), min(width, network_size[1])


def _half_up(value: float) -> int:
    """Return int(value + 0.5), as mmcv's `rescale_size` and detectron2's `ResizeShortestEdge` do."""
    return int(value + 0.5)


def _longer_floor(source_size: Size, network_size: Size, shortest: int | None) -> Size:
    """Return transformers' `get_size_with_aspect_ratio`, to the last bit of its arithmetic.

    Where the longer side is what fits, the shorter one goes to the nearest whole pixel; the other side is cut off.
    """
    upright = source_size[0] > source_size[1]
    longer, shorter = source_size if upright else source_size[::-1]
    most_longer, most_shorter = network_size if upright else network_size[::-1]
    side: float = most_shorter if shortest is None else min(shortest, most_shorter)
    whole = int(side)
    if longer / shorter * side > most_longer:
        side = most_longer * shorter / longer
        whole = round(side)
    other = longer if whole == shorter else int(side * longer / shorter)
    return (other, whole) if upright else (whole, other)


_ROUNDINGS: Mapping[Rounding, Callable[[float], int]] = {"nearest": round, "floor": math.floor, "half_up": _half_up}
