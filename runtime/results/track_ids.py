"""Which object of a video a thing is: numbers that a tracker gives, absent where nothing was tracked."""

from collections.abc import Sequence
from typing import TypeVar

import numpy as np
import numpy.typing as npt

_Item = TypeVar("_Item")


def tracked(track_id: int | None) -> dict[str, int]:
    """Return what a row says of it: {"track_id": track_id}, nothing where there is none."""
    return {} if track_id is None else {"track_id": track_id}


def track_id_array(track_ids: Sequence[int | None]) -> npt.NDArray[np.int64] | None:
    """Return them as int64 (N,), -1 where one is None; None where all are."""
    if all(track_id is None for track_id in track_ids):
        return None
    return np.array([-1 if track_id is None else track_id for track_id in track_ids], np.int64)


def enclosing(first: tuple[int, int, int, int], second: tuple[int, int, int, int]) -> tuple[int, int, int, int]:
    """Return the box around two boxes (x, y, width, height)."""
    x, y = min(first[0], second[0]), min(first[1], second[1])
    right = max(first[0] + first[2], second[0] + second[2])
    return x, y, right - x, max(first[1] + first[3], second[1] + second[3]) - y


def with_tracks(items: Sequence[_Item], track_ids: Sequence[int | None]) -> list[_Item]:
    """Return copies of frozen dataclasses with a `track_id` each; `replace` takes seven times as long."""
    copies = []
    for item, track_id in zip(items, track_ids, strict=True):
        copied = object.__new__(type(item))
        copied.__dict__.update(item.__dict__, track_id=track_id)
        copies.append(copied)
    return copies
