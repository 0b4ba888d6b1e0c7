"""Replacing the ids of a map by other values."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

# Up to here a table over all ids is smaller than a picture; COCO's colours as ids reach 2 ** 24.
_DENSE_IDS = 1 << 16


def remap(ids: npt.NDArray[Any], table: Mapping[int, int], *, default: int, dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    """Return `ids` (H, W), integers of at least 0, each id replaced by `table[id]` (else by `default`)."""
    highest = int(ids.max(initial=0))
    mapped: npt.NDArray[Any]
    if highest < _DENSE_IDS:
        dense = np.full(highest + 1, default, dtype=dtype)
        for key, value in table.items():
            if key <= highest:
                dense[key] = value
        mapped = dense[ids]
        return mapped
    keys = np.array(sorted(table), dtype=np.int64)
    if not len(keys):
        return np.full(ids.shape, default, dtype=dtype)
    values = np.array([table[int(key)] for key in keys], dtype=dtype)
    position = np.minimum(np.searchsorted(keys, ids), len(keys) - 1)
    return np.where(keys[position] == ids, values[position], np.asarray(default, dtype=dtype))
