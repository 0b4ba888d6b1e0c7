"""The way from the source into the network and back is exact."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from segrt.runtime.decode.argmax import Argmax, argmax
from segrt.runtime.decode.class_map import nearest
from segrt.runtime.decode.rule import Context
from segrt.runtime.preprocess.geometry import Geometry
from segrt.runtime.preprocess.input_spec import Resize
from segrt.runtime.preprocess.picture import place
from segrt.runtime.results import Label

SIZES = st.tuples(st.integers(1, 3000), st.integers(1, 3000))
RESIZES = st.sampled_from(
    [
        Resize(),
        Resize("letterbox"),
        Resize("letterbox", pad_side="bottom_right"),
        Resize("shortest_edge", shortest_edge=100),
        Resize("shortest_edge", shortest_edge=10, pad_side="bottom_right"),
        Resize("enlarge", shortest_edge=900),
    ]
)


def in_network(geometry: Geometry, y: float, x: float) -> tuple[float, float]:
    """Return where source position (y, x) lies in the network's input, by the definition of `Geometry`."""
    top, left, bottom, right = geometry.window
    height, width = geometry.source_size
    return top + y / height * (bottom - top), left + x / width * (right - left)


def window_size(geometry: Geometry) -> tuple[float, float]:
    top, left, bottom, right = geometry.window
    return bottom - top, right - left


@given(SIZES, SIZES, RESIZES, st.floats(0, 1), st.floats(0, 1))
def test_a_box_that_came_from_the_source_goes_back_to_where_it_was(
    source: tuple[int, int], network: tuple[int, int], resize: Resize, down: float, across: float
) -> None:
    geometry = place(source, network, resize)
    y, x = down * source[0], across * source[1]
    network_y, network_x = in_network(geometry, y, x)
    box = geometry.boxes_to_source(np.array([[network_x, network_y, network_x, network_y]], np.float32))[0]
    # float32 pixels of the network, enlarged
    rounding = 4 * np.finfo(np.float32).eps * max(network) * max(np.divide(source, window_size(geometry)))
    assert box == pytest.approx((x, y, x, y), abs=1e-6 * max(source) + rounding)


@given(SIZES, SIZES, RESIZES)
def test_a_picture_keeps_its_shape_unless_stretched_and_lies_inside(
    source: tuple[int, int], network: tuple[int, int], resize: Resize
) -> None:
    geometry = place(source, network, resize)
    top, left, bottom, right = geometry.window
    assert 0 <= top < bottom <= network[0]
    assert 0 <= left < right <= network[1]
    if resize.rule == "stretch":
        assert geometry.window == (0, 0, *network)
        return
    scale = min(network[0] / source[0], network[1] / source[1])
    if resize.shortest_edge is not None:
        wanted = resize.shortest_edge / min(source)
        scale = min(scale, max(wanted, 1) if resize.rule == "enlarge" else wanted)
    # Whole pixels: each side is at most half a pixel off, and never vanishes.
    assert abs(bottom - top - max(source[0] * scale, 1)) <= 0.5
    assert abs(right - left - max(source[1] * scale, 1)) <= 0.5
    if resize.pad_side == "bottom_right":
        assert (top, left) == (0, 0)
    else:
        assert abs(top - (network[0] - bottom)) <= 1
        assert abs(left - (network[1] - right)) <= 1


def test_known_placements() -> None:
    assert place((1080, 1920), (640, 640), Resize("letterbox")).window == (140, 0, 500, 640)
    assert place((480, 640), (800, 1333), Resize("shortest_edge", shortest_edge=800)).window == (0, 133, 800, 1200)
    # The longer side would not fit, so the picture gets smaller than its shortest edge says.
    wide = place((400, 1600), (800, 1333), Resize("shortest_edge", shortest_edge=800, pad_side="bottom_right"))
    assert wide.window == (0, 0, 333, 1333)
    for source, window in (((900, 1000), (62, 12, 962, 1012)), ((400, 300), (0, 128, 1024, 896))):
        assert place(source, (1024, 1024), Resize("enlarge", shortest_edge=800)).window == window


def test_the_window_scales_to_a_heads_grid() -> None:
    geometry = Geometry((100, 200), (64, 64), (16, 0, 48, 64))
    assert geometry.window_on((16, 32)) == (4, 0, 12, 32)


@given(SIZES, st.tuples(st.integers(1, 200), st.integers(1, 200)), RESIZES)
def test_nearest_looks_under_each_pixels_centre(
    source: tuple[int, int], network: tuple[int, int], resize: Resize
) -> None:
    geometry = place(source, network, resize)
    rows, columns = nearest(geometry, network)
    for y in {0, source[0] // 2, source[0] - 1}:
        for x in {0, source[1] // 2, source[1] - 1}:
            expected = in_network(geometry, y + 0.5, x + 0.5)
            assert abs(rows[y] + 0.5 - expected[0]) <= 0.5 + 1e-6
            assert abs(columns[x] + 0.5 - expected[1]) <= 0.5 + 1e-6


def test_boxes_come_back_to_the_source_and_are_clipped() -> None:
    geometry = Geometry((100, 200), (64, 64), (16, 0, 48, 64))
    boxes = np.array([[0, 16, 64, 48], [32, 32, 48, 40], [-5, 0, 70, 64]], np.float32)
    np.testing.assert_allclose(
        geometry.clipped(geometry.boxes_to_source(boxes)),
        [[0, 0, 200, 100], [100, 50, 150, 75], [0, 0, 200, 100]],
        atol=1e-4,
    )


@pytest.mark.parametrize("window", [(0, 0, 0, 5), (0, 0, 11, 5), (-1, 0, 5, 5), (3, 0, 2, 5)])
def test_impossible_windows_are_refused(window: tuple[float, float, float, float]) -> None:
    with pytest.raises(ValueError, match="window must lie inside"):
        Geometry((10, 10), (10, 10), window)


@pytest.mark.parametrize("source", [(64, 96), (200, 90)])
def test_a_head_with_aligned_corners_is_enlarged_as_torch_does(source: tuple[int, int]) -> None:
    torch = pytest.importorskip("torch")
    logits = np.random.default_rng(3).normal(size=(5, 16, 24)).astype(np.float32)
    enlarged = torch.nn.functional.interpolate(
        torch.from_numpy(logits)[None], (64, 96), mode="bilinear", align_corners=True
    )
    geometry = place(source, (64, 96), Resize())
    context = Context(Argmax(align_corners=True), tuple(Label(str(n), n, False, (n, 0, 0)) for n in range(5)))
    found = argmax({"semantic_logits": logits}, geometry, context).class_map
    if source == (64, 96):
        np.testing.assert_array_equal(found, enlarged[0].argmax(0).numpy())
    else:  # torch enlarges a second time, to the source: only the edges of classes may differ
        twice = torch.nn.functional.interpolate(enlarged, source, mode="bilinear", align_corners=False)
        assert np.mean(found == twice[0].argmax(0).numpy()) > 0.97
        edges_meet = argmax({"semantic_logits": logits}, geometry, Context(Argmax(), context.labels)).class_map
        assert np.mean(edges_meet == twice[0].argmax(0).numpy()) < 0.95
