"""A picture that keeps its shape becomes as many whole pixels as the framework of its network makes of it."""

from collections.abc import Callable

import numpy as np
import pytest

from segrt.runtime.preprocess.input_spec import Resize, Rounding
from segrt.runtime.preprocess.picture import place

Size = tuple[int, int]
CANVASES: tuple[Size, ...] = ((800, 1333), (640, 640), (1024, 2048), (448, 768))


def sizes(count: int = 1000) -> list[Size]:
    """Return picture sizes: those of cameras and data sets, and random ones from 24 to 4,000 pixels."""
    rng = np.random.default_rng(16)
    random = [(int(height), int(width)) for height, width in rng.integers(24, 4000, (count, 2))]
    # Ratios of small numbers fall on exact halves, where the ways of rounding part.
    common = [(320, 213), (213, 320), (427, 640), (480, 640), (1080, 1920), (1920, 1080), (375, 500), (91, 182)]
    return [*common, *random[: count - len(common)]]


def mmcv(source: Size, canvas: Size) -> Size:
    """Mmcv's `rescale_size` with the scale (longest, shortest), as `imrescale` of mmdetection's `Resize` calls it."""
    factor = min(max(canvas) / max(source), min(canvas) / min(source))
    return int(source[0] * float(factor) + 0.5), int(source[1] * float(factor) + 0.5)


def ultralytics(source: Size, canvas: Size) -> Size:
    """Ultralytics' `LetterBox`: `new_unpad`."""
    ratio = min(canvas[0] / source[0], canvas[1] / source[1])
    return round(source[0] * ratio), round(source[1] * ratio)


def torchvision(source: Size, canvas: Size) -> Size:
    """Torchvision's `_resize_image_and_masks`, sizes alone."""
    torch = pytest.importorskip("torch")
    scale = min(min(canvas) / min(source), max(canvas) / max(source))
    like = torch.empty(1, 1, *source, device="meta")
    height, width = torch.nn.functional.interpolate(like, scale_factor=scale, recompute_scale_factor=True).shape[2:]
    return height, width


def transformers(source: Size, canvas: Size) -> Size:
    """Transformers' own function, for the shortest and the longest edge."""
    image_transforms = pytest.importorskip("transformers.image_transforms")
    height, width = image_transforms.get_size_with_aspect_ratio(source, min(canvas), max(canvas))
    return height, width


@pytest.mark.parametrize("canvas", CANVASES)
@pytest.mark.parametrize(
    ("rounding", "framework"),
    [("nearest", ultralytics), ("half_up", mmcv), ("floor", torchvision), ("longer_floor", transformers)],
)
def test_a_thousand_pictures_have_the_size_that_the_framework_gives_them(
    rounding: Rounding, framework: Callable[[Size, Size], Size], canvas: Size
) -> None:
    resize = Resize("letterbox", pad_side="bottom_right", rounding=rounding)
    pictures = sizes()
    assert len(pictures) == 1000
    for source in pictures:
        # A network for one shape of picture lies as the picture does, on its side or upright.
        network = canvas if source[0] <= source[1] or framework is ultralytics else canvas[::-1]
        expected = framework(source, network)
        if min(expected) < 1 or any(side > limit for side, limit in zip(expected, network, strict=True)):
            continue  # thinner than a pixel, or transformers' shortest edge that is right already
        assert place(source, network, resize).window[2:] == expected, source


def test_detectron2_rounds_up_too_but_multiplies_twice() -> None:
    """`ResizeShortestEdge` scales to the shortest edge, then to the longest; the last bit differs now and then."""
    resize, different = Resize("letterbox", pad_side="bottom_right", rounding="half_up"), 0
    for height, width in sizes():
        short, long = sorted((height, width))
        shortest, longest = 800.0, 800 / short * long
        if longest > 1333:
            shortest, longest = shortest * (1333 / longest), longest * (1333 / longest)
        expected = (int(shortest + 0.5), int(longest + 0.5))
        found = place((short, long), (800, 1333), resize).window[2:]
        assert abs(found[0] - expected[0]) <= 1
        assert abs(found[1] - expected[1]) <= 1
        different += found != expected
    assert different <= 2


def test_halves_go_to_the_even_number_only_where_the_bundle_says_nearest() -> None:
    shown = {
        rounding: place((320, 213), (800, 1333), Resize("letterbox", pad_side="bottom_right", rounding=rounding)).window
        for rounding in ("nearest", "half_up", "floor")
    }
    # 213 * 2.5 = 532.5
    assert shown == {"nearest": (0, 0, 800, 532), "half_up": (0, 0, 800, 533), "floor": (0, 0, 800, 532)}


@pytest.mark.parametrize("rounding", ["nearest", "floor", "half_up", "longer_floor"])
@pytest.mark.parametrize("source", [(1, 5000), (5000, 1), (100, 1001), (1, 1)])
def test_no_side_vanishes_or_leaves_the_network(rounding: Rounding, source: Size) -> None:
    for resize in (
        Resize("letterbox", pad_side="bottom_right", rounding=rounding),
        Resize("shortest_edge", shortest_edge=60, pad_side="bottom_right", rounding=rounding),
    ):
        top, left, bottom, right = place(source, (80, 100), resize).window
        assert (top, left) == (0, 0)
        assert 1 <= bottom <= 80
        assert 1 <= right <= 100


def test_the_shortest_edge_of_transformers_is_the_one_that_is_said() -> None:
    image_transforms = pytest.importorskip("transformers.image_transforms")
    resize = Resize("shortest_edge", shortest_edge=700, pad_side="bottom_right", rounding="longer_floor")
    for source in sizes(200):
        network = (800, 1333) if source[0] <= source[1] else (1333, 800)
        expected = image_transforms.get_size_with_aspect_ratio(source, 700, 1333)
        if min(expected) >= 1 and max(expected) <= 1333:
            assert place(source, network, resize).window[2:] == expected
