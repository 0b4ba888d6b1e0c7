"""How a picture larger than its network is cut into tiles that overlap, and for which pixels each tile decides."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from operator import index

from segrt.runtime.errors import SegrtError

Size = tuple[int, int]
Box = tuple[int, int, int, int]
"""(top, left, bottom, right) in pixels, the last two exclusive."""

LEAST_SIDE = 32
MOST_SIDE = 16_384
MOST_TILES = 65_536
DEFAULT_SHARE = 0.2
"""Of a tile's sides, how much it shares with its neighbours where nothing else is said; sahi's default, too."""

_FORM = re.compile(r"([0-9]{1,6})x([0-9]{1,6})(?:,([0-9]{1,6})(%?))?(,alone)?")
_REMEDY = "write HEIGHTxWIDTH or HEIGHTxWIDTH,OVERLAP, 768x1280,128 or 768x1280,20% for instance; ,alone may follow"


@dataclass(frozen=True)
class Tile:
    """A part of a picture that goes through the network by itself.

    `box` is what the network sees. `core` is the part of it for which this tile decides: the cores of all tiles cover
    the picture without overlaps, their borders run along the middle of what neighbours share.
    """

    box: Box
    core: Box

    @property
    def size(self) -> Size:
        """(height, width)."""
        top, left, bottom, right = self.box
        return bottom - top, right - left

    @property
    def rows(self) -> slice:
        """The picture's rows that the tile shows."""
        return slice(self.box[0], self.box[2])

    @property
    def columns(self) -> slice:
        """The picture's columns that the tile shows."""
        return slice(self.box[1], self.box[3])


@dataclass(frozen=True)
class Tiling:
    """Tiles of `size` (height, width) pixels of the picture, each brought to the network's input as a picture is.

    Neighbours share `overlap` pixels or more, (down, across), of which half a tile is the most. With `whole` the
    network sees the whole picture as well, shrunken, for what is larger than tiles and for stuff, which is known by
    what is around it. Raises SegrtError for sizes that cannot be.
    """

    size: Size
    overlap: Size
    whole: bool = True

    def __post_init__(self) -> None:
        """Refuse tiles that are too small or too large, and overlaps of more than half of them."""
        height, width = self.size
        if not all(LEAST_SIDE <= side <= MOST_SIDE for side in self.size):
            raise SegrtError(
                f"tile {height}x{width}: its sides must be {LEAST_SIDE} to {MOST_SIDE} pixels; give another size"
            )
        for side, shared, name in zip(self.size, self.overlap, ("height", "width"), strict=True):
            if not 0 <= shared <= side // 2:
                raise SegrtError(
                    f"tile {height}x{width}: an overlap of {shared} pixels is more than half of its {name}; give one "
                    f"of 0 to {side // 2}"
                )

    @classmethod
    def of(cls, given: "Tiling | str | Sequence[int]") -> "Tiling":
        """Return the tiling that is given: itself, its text, or (height, width) or (height, width, overlap) in pixels.

        The text is "HEIGHTxWIDTH", with ",OVERLAP" in pixels or in percent of each side ("768x1280,20%"); a fifth of
        each side without it; and ",alone" at its end for tiles without the whole picture.
        """
        if isinstance(given, Tiling):
            return given
        if isinstance(given, str):
            return cls._of_text(given)
        try:
            numbers = [index(number) for number in given] if isinstance(given, (tuple, list)) else []
        except TypeError:  # no whole numbers
            numbers = []
        if len(numbers) not in (2, 3):
            raise SegrtError(
                f"tile must be (height, width) or (height, width, overlap) in pixels, or text, but got {given!r}; "
                f"{_REMEDY}"
            )
        size = (numbers[0], numbers[1])
        return cls(size, (numbers[2], numbers[2]) if len(numbers) == 3 else _share_of(size, DEFAULT_SHARE))

    @classmethod
    def _of_text(cls, text: str) -> "Tiling":
        match = _FORM.fullmatch(text.strip().lower().replace(" ", ""))
        if match is None:
            raise SegrtError(f"tile {text!r}: is no size of tiles; {_REMEDY}")
        size = (int(match[1]), int(match[2]))
        whole = match[5] is None
        if match[3] is None:
            return cls(size, _share_of(size, DEFAULT_SHARE), whole)
        if match[4]:
            return cls(size, _share_of(size, int(match[3]) / 100), whole)
        return cls(size, (int(match[3]), int(match[3])), whole)

    def __str__(self) -> str:
        (height, width), (down, across) = self.size, self.overlap
        shared = f"{down}" if down == across else f"{down} down and {across} across"
        return f"{height}x{width}, {shared} pixels shared" + (", and the whole" if self.whole else "")

    def cut(self, picture: Size) -> list[Tile]:
        """Return the tiles of a picture of this (height, width), row by row; one where it is no larger than a tile.

        All have the full size, as far as the picture has it, and lie as evenly as whole pixels allow. Raises SegrtError
        for more than can be meant.
        """
        axes = list(zip(picture, self.size, self.overlap, strict=True))
        count = math.prod(_count(*axis) for axis in axes)
        if count > MOST_TILES:
            raise SegrtError(
                f"tile {self.size[0]}x{self.size[1]}: a picture {picture[1]} pixels wide and {picture[0]} high would "
                f"become {count} tiles, more than {MOST_TILES}; give larger ones"
            )
        rows, columns = (_places(*axis) for axis in axes)
        return [
            Tile((row.begin, column.begin, row.end, column.end), (row.first, column.first, row.last, column.last))
            for row in rows
            for column in columns
        ]


@dataclass(frozen=True)
class _Place:
    """Where a tile lies along an axis, `begin` to `end`, and where it decides, `first` to `last`."""

    begin: int
    end: int
    first: int
    last: int


def _share_of(size: Size, share: float) -> Size:
    return int(size[0] * share), int(size[1] * share)


def _count(length: int, side: int, overlap: int) -> int:
    """Return how few tiles of `side` cover `length` with at least `overlap` shared by neighbours."""
    return 1 if length <= side else math.ceil((length - overlap) / (side - overlap))


def _places(length: int, side: int, overlap: int) -> list[_Place]:
    """Return as few tiles of `side` as cover `length` with at least `overlap` shared by neighbours."""
    count = _count(length, side, overlap)
    if count == 1:
        return [_Place(0, length, 0, length)]
    begins = [round(place * (length - side) / (count - 1)) for place in range(count)]
    middles = [(begin + after + side) // 2 for begin, after in pairwise(begins)]
    borders = [0, *middles, length]
    return [_Place(begin, begin + side, *borders[place : place + 2]) for place, begin in enumerate(begins)]
