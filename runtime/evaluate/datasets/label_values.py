"""What the values of label pictures mean: a class, or void."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from segrt.runtime.errors import SegrtError
from segrt.runtime.results import Label
from segrt.runtime.results.remap import remap
from segrt.runtime.results.semantic import class_map_dtype

IGNORED = 255
_MUCH_VOID = 0.2  # of all pixels


@dataclass(frozen=True)
class LabelValues:
    """The classes of label pictures, and which of their values stand for none.

    A grey or palette picture holds the labels' `dataset_id`s, a coloured one their colours. `ignored` are ids that the
    user calls void, classes among them; `usual` ids are void as well, unless they are a class. `mapped` are (value, id)
    pairs: such a value of a picture stands for that id. With `strict` other unknown values are refused, else they are
    void.
    """

    labels: tuple[Label, ...]
    ignored: frozenset[int] = frozenset()
    usual: frozenset[int] = frozenset({IGNORED})
    mapped: tuple[tuple[int, int], ...] = ()
    strict: bool = True

    def __post_init__(self) -> None:
        """Raise SegrtError for a value that is mapped to no class, or to two."""
        known = {label.dataset_id for label in self.labels} | self.ignored | self.usual
        targets: dict[int, int] = {}
        for value, number in self.mapped:
            if number not in known:
                ids = ", ".join(str(label.dataset_id) for label in self.labels[:8])
                more = ", …" if len(self.labels) > 8 else ""
                raise SegrtError(f"--map-values {value}={number}: no class has id {number}; there are {ids}{more}")
            if targets.setdefault(value, number) != number:
                raise SegrtError(f"--map-values {value}={number}: {value} stands for {targets[value]} already")

    def class_map(self, picture: npt.NDArray[Any], path: Path) -> npt.NDArray[Any]:
        """Return the positions in `labels` of a label picture's pixels, uint8 or uint16 (H, W), the highest for void.

        `picture` holds ids (H, W) or colours, uint8 RGB (H, W, 3). Raises SegrtError for a value that means nothing;
        `path` names the picture.
        """
        if picture.ndim == 3 and self.mapped:
            picture = _grey(picture, path)
        dtype = class_map_dtype(len(self.labels))
        void = int(np.iinfo(dtype).max)
        if picture.ndim == 3:
            keys, table = _packed(picture), self._table_of_colors(void)
        else:
            keys, table = picture, self._table(void)
        if self.strict:
            strange = sorted(set(np.unique(keys).tolist()) - set(table))
            if strange:
                raise SegrtError(f"{path} {_strange(picture, strange[0])}")
        return remap(keys, table, default=void, dtype=dtype)

    def missing(self, true_pixels: Sequence[int], void: int) -> tuple[str, bool] | None:
        """Return what is suspicious of true pixels by class and of `void` ones, and whether it is surely a mistake.

        Surely: of two classes the second has no truth at all, and there is void, of which the user said nothing. So
        look masks of 0 and 255.
        """
        lost = [label for label, pixels in zip(self.labels, true_pixels, strict=True) if not pixels]
        if not lost or not void or IGNORED not in self.usual or IGNORED in dict(self.mapped):
            return None
        names = " and ".join(repr(label.name) for label in lost[:3]) + (", …" if len(lost) > 3 else "")
        share = void / (void + sum(true_pixels))
        what = f"no pixel is {names}, and {share:.1%} are void"
        remedy = (
            f"if {IGNORED} stands for {lost[-1].name!r}, add --map-values {IGNORED}={lost[-1].dataset_id}; "
            f"if it is void, --ignore-label {IGNORED}"
        )
        sure = len(self.labels) == 2 and len(lost) == 1 and lost[0] is self.labels[1]
        return (f"{what}; {remedy}", sure) if sure or share >= _MUCH_VOID else None

    def _table(self, void: int) -> dict[int, int]:
        """Return value → position of a picture of ids."""
        table = dict.fromkeys(self.usual, void)
        table |= {label.dataset_id: index for index, label in enumerate(self.labels)}
        table |= dict.fromkeys(self.ignored, void)
        return table | {value: table[number] for value, number in self.mapped}

    def _table_of_colors(self, void: int) -> dict[int, int]:
        """Return packed colour → position; of two classes of one colour the later counts."""
        table = {0: void}
        for index, label in enumerate(self.labels):
            red, green, blue = label.color
            table[red + 256 * green + 65536 * blue] = void if label.dataset_id in self.ignored else index
        return table


def _packed(picture: npt.NDArray[Any]) -> npt.NDArray[np.int32]:
    packed: npt.NDArray[np.int32] = picture.astype(np.int32) @ np.array([1, 256, 65536], np.int32)
    return packed


def _is_grey(picture: npt.NDArray[Any]) -> bool:
    return bool((picture[..., 0] == picture[..., 1]).all() and (picture[..., 0] == picture[..., 2]).all())


def _grey(picture: npt.NDArray[Any], path: Path) -> npt.NDArray[Any]:
    """Return the values (H, W) of a picture whose three channels are equal; raise SegrtError for a coloured one."""
    if not _is_grey(picture):
        raise SegrtError(f"{path} is a coloured picture, which has no values for --map-values; leave it out")
    return np.ascontiguousarray(picture[..., 0])


def _strange(picture: npt.NDArray[Any], value: int) -> str:
    """Return what is said of a value that means nothing, with the remedies."""
    if picture.ndim == 2:
        return (
            f"holds class id {value}, which is no class of the label list; add it, --map-values {value}=ID or "
            f"--ignore-label {value}"
        )
    color = tuple(value >> shift & 255 for shift in (0, 8, 16))
    remedy = "give its colours with --labels FILE, name,r,g,b in each line"
    if _is_grey(picture):
        remedy += f", or say which ids its grey values are, --map-values {color[0]}=ID"
    return f"holds colour {color}, which is no class of the label list; {remedy}"
