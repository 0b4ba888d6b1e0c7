"""Pixel counts of label maps, for metrics."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segrt.runtime.postproc.arguments import ArgumentError, check_ids, class_list, describe
from segrt.runtime.postproc.calls import call_checked
from segrt.runtime.postproc.core import core


def count_overlaps(
    first: NDArray[Any], second: NDArray[Any], first_ids: Sequence[int], second_ids: Sequence[int]
) -> NDArray[np.int64]:
    """Count the pixels that two label maps share, id by id.

    Args:
        first: uint8, uint16 or int32, shape (H, W), any strides; or a panoptic PNG's picture as decoded, uint8 BGR
            (H, W, 3) or BGRA, whose ids are those of `ids_of_colors`.
        second: the same, of the same (H, W).
        first_ids: the distinct ids to tell apart; they need not be dense or sorted.
        second_ids: the same for `second`.

    Returns:
        int64 (len(first_ids) + 1, len(second_ids) + 1): row 1 + i is first_ids[i], row 0 every id that is not listed;
        columns likewise.
    """
    for name, value in (("first", first), ("second", second)):
        check_ids(name, value)
    if first.shape[:2] != second.shape[:2]:
        raise ArgumentError(f"second must have first's (H, W) {first.shape[:2]}, got {second.shape[:2]}")
    one, other = class_list("first_ids", first_ids), class_list("second_ids", second_ids)
    counts: NDArray[np.int64] = call_checked(core.count_overlaps, first, second, one, other)
    return counts


def count_ids(ids_map: NDArray[Any], ids: Sequence[int]) -> NDArray[np.int64]:
    """Count the pixels of each of the distinct `ids` in a label map or picture of ids (see `count_overlaps`).

    Returns int64 (len(ids) + 1,): entry 1 + i is ids[i], entry 0 every id that is not listed.
    """
    check_ids("ids_map", ids_map)
    counts: NDArray[np.int64] = call_checked(core.count_ids, ids_map, class_list("ids", ids))
    return counts


def ids_of_colors(image: NDArray[np.uint8]) -> NDArray[np.int32]:
    """Return the id of each colour, int32 (H, W): R + 256 G + 65536 B (panopticapi, utils.py, rgb2id).

    `image` is uint8 BGR (H, W, 3) or BGRA (H, W, 4).
    """
    if not isinstance(image, np.ndarray) or image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] not in (3, 4):
        raise ArgumentError(f"image must be uint8 with shape (H, W, 3) or (H, W, 4), got {describe(image)}")
    ids: NDArray[np.int32] = np.empty(image.shape[:2], np.int32)
    core.ids_of_colors(np.ascontiguousarray(image), ids)
    return ids
