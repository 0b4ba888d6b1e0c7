"""Tiles cover a picture, share what they were told to, and decide for each pixel once."""

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segrt.runtime.errors import SegrtError
from segrt.runtime.preprocess import tiling
from segrt.runtime.preprocess.tiling import MOST_TILES, Tiling


@settings(max_examples=80, deadline=None)
@given(
    picture=st.tuples(st.integers(1, 700), st.integers(1, 700)),
    size=st.tuples(st.integers(32, 200), st.integers(32, 200)),
    share=st.integers(0, 50),
)
def test_every_pixel_has_one_tile_that_decides_and_neighbours_share_enough(picture: Any, size: Any, share: int) -> None:
    tiling = Tiling.of(f"{size[0]}x{size[1]},{share}%") if share != 20 else Tiling.of(size)
    tiles = tiling.cut(picture)
    decided = np.zeros(picture, int)
    for tile in tiles:
        top, left, bottom, right = tile.core
        decided[top:bottom, left:right] += 1
        assert tile.size == (min(size[0], picture[0]), min(size[1], picture[1]))
        assert tile.box[0] <= top < bottom <= tile.box[2]
        assert tile.box[1] <= left < right <= tile.box[3]
    assert (decided == 1).all()
    for axis in (0, 1):
        begins = sorted({tile.box[axis] for tile in tiles})
        side = tiles[0].size[axis]
        assert begins[0] == 0
        assert begins[-1] + side == picture[axis]
        assert all(begin + side - after >= tiling.overlap[axis] for begin, after in pairwise(begins))
    assert (len(tiles) == 1) == (picture[0] <= size[0] and picture[1] <= size[1])
    assert tiles == sorted(tiles, key=lambda tile: tile.box)


def test_the_ways_to_say_it() -> None:
    assert Tiling.of("768x1280") == Tiling.of((768, 1280)) == Tiling((768, 1280), (153, 256))
    assert Tiling.of("768x1280,128") == Tiling.of([768, 1280, 128]) == Tiling((768, 1280), (128, 128))
    assert Tiling.of((np.int64(768), np.int32(1280), np.uint8(128))) == Tiling((768, 1280), (128, 128))
    assert Tiling.of(" 768X1280, 25% ") == Tiling((768, 1280), (192, 320))
    assert Tiling.of("768x1280,alone") == Tiling((768, 1280), (153, 256), whole=False)
    assert Tiling.of("768x1280,0,alone") == Tiling((768, 1280), (0, 0), whole=False)
    assert Tiling.of(Tiling((64, 64), (1, 2))) == Tiling((64, 64), (1, 2))


@pytest.mark.parametrize(
    ("given", "part"),
    [
        ("768", "write HEIGHTxWIDTH"),
        ("768x1280x3", "write HEIGHTxWIDTH"),
        ("768x1280,-5", "write HEIGHTxWIDTH"),
        ("768x1280,", "write HEIGHTxWIDTH"),
        ("auto", "write HEIGHTxWIDTH"),
        ((768,), "(height, width)"),
        ((768.0, 1280.0), "(height, width)"),
        ((768, "1280"), "(height, width)"),
        (768, "(height, width)"),
        ("31x1280", "its sides must be 32 to 16384"),
        ("768x999999", "its sides must be 32 to 16384"),
        ("768x1280,385", "an overlap of 385 pixels is more than half of its height; give one of 0 to 384"),
        ("768x100,60", "an overlap of 60 pixels is more than half of its width"),
        ("768x1280,51%", "more than half"),
    ],
)
def test_what_no_tile_can_be_is_refused_in_one_line(given: Any, part: str) -> None:
    with pytest.raises(SegrtError) as caught:
        Tiling.of(given)
    assert part in str(caught.value)
    assert "\n" not in str(caught.value)


def test_more_tiles_than_can_be_meant_are_refused() -> None:
    with pytest.raises(SegrtError, match=f"would become .* tiles, more than {MOST_TILES}; give larger ones"):
        Tiling.of("32x32").cut((20_000, 30_000))


def test_more_tiles_than_can_be_meant_are_counted_not_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tiling, "_Place", None)
    with pytest.raises(SegrtError, match="would become 1153846 tiles"):
        Tiling.of("32x32").cut((1, 30_000_000))
