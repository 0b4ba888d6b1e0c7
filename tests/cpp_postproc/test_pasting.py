"""Instance masks from boxes: pasted as torchvision and as detectron2 do it, as pictures and as run lengths."""

import warnings
from typing import Any

import numpy as np
import pytest
from coco_codes import pycocotools_codes
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import slow_pasting
from scenes import available_kernels, boxes_for, kernels

from segrt.runtime import postproc

SIZE = (90, 130)


@pytest.mark.parametrize("cells", [1, 7, 28])
@pytest.mark.parametrize("size", [SIZE, (480, 640)])
def test_paste_equals_torchvision(cells: int, size: tuple[int, int]) -> None:
    torch = pytest.importorskip("torch")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        roi_heads = pytest.importorskip("torchvision.models.detection.roi_heads")
    rng = np.random.default_rng(cells)
    masks, boxes = rng.uniform(size=(30, cells, cells)).astype(np.float32), boxes_for(rng, 30, size)
    expected = roi_heads.paste_masks_in_image(torch.from_numpy(masks)[:, None], torch.from_numpy(boxes), size)
    expected = (expected > 0.5)[:, 0].numpy()
    assert expected.any()
    assert np.array_equal(postproc.paste_masks(masks, boxes, size), expected)
    assert postproc.paste_masks_rle(masks, boxes, size) == pycocotools_codes(expected)


def test_paste_detectron2_equals_sampling_at_pixel_centres() -> None:
    rng = np.random.default_rng(0)
    masks, boxes = rng.uniform(size=(20, 14, 14)).astype(np.float32), boxes_for(rng, 20, SIZE)
    result = postproc.paste_masks(masks, boxes, SIZE, rule="detectron2")
    for mask, box, pasted in zip(masks, boxes, result, strict=True):
        # float32 against float64: a pixel at the threshold may fall to either side.
        assert (pasted != slow_pasting.paste_detectron2(mask, box, SIZE)).sum() <= 1


STRANGE_BOXES = {
    "inside a pixel": [20.2, 30.3, 20.4, 30.4],
    "without extent": [20, 30, 20, 30],
    "upside down": [60, 70, 20, 30],
    "outside left": [-80, 10, -40, 50],
    "outside right": [500, 10, 540, 50],
    "around everything": [-1000, -1000, 2000, 2000],
    "huge": [-1e9, -1e9, 1e9, 1e9],
    "beyond integers": [-3e38, -3e38, 3e38, 3e38],
    "infinite": [-np.inf, 0, np.inf, 50],
    "not a number": [np.nan, 0, 10, 10],
}


@pytest.mark.parametrize("name", STRANGE_BOXES)
@pytest.mark.parametrize("rule", ["torchvision", "detectron2"])
def test_strange_boxes_are_pasted_alike_by_both_ways(name: str, rule: Any) -> None:
    box = np.array([STRANGE_BOXES[name]], np.float32)
    mask = np.ones((1, 5, 5), np.float32)
    report = postproc.Report()
    painted = postproc.paste_masks(mask, box, SIZE, rule=rule, report=report)
    assert postproc.paste_masks_rle(mask, box, SIZE, rule=rule) == pycocotools_codes(painted)
    assert report.nonfinite == int((~np.isfinite(box)).sum())
    if name in ("infinite", "not a number", "outside left", "outside right", "beyond integers"):
        assert not painted.any()
    if name == "around everything":
        assert painted.all()
    if rule == "torchvision" and name not in ("huge", "beyond integers"):
        assert np.array_equal(painted[0], slow_pasting.paste_torchvision(mask[0], box[0], SIZE))


def test_paste_reuses_a_buffer_that_holds_another_frame() -> None:
    rng = np.random.default_rng(3)
    masks, boxes = rng.uniform(size=(4, 9, 9)).astype(np.float32), boxes_for(rng, 4, SIZE)
    out = np.ones((4, *SIZE), np.bool_)
    assert postproc.paste_masks(masks, boxes, SIZE, out=out) is out
    assert np.array_equal(out, postproc.paste_masks(masks, boxes, SIZE))


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    cells=st.tuples(st.integers(1, 20), st.integers(1, 20)),
    size=st.tuples(st.integers(1, 90), st.integers(1, 120)),
    rule=st.sampled_from(["torchvision", "detectron2"]),
    kind=st.sampled_from(["noisy", "blob", "levels"]),
)
def test_every_kernel_pastes_alike_and_codes_equal_pictures(
    seed: int, cells: Any, size: Any, rule: Any, kind: str
) -> None:
    rng = np.random.default_rng(seed)
    masks = rng.uniform(size=(3, *cells)).astype(np.float32)
    if kind == "blob":
        masks = np.clip(np.cumsum(masks - 0.5, 1), 0, 1).astype(np.float32)
    if kind == "levels":
        masks = np.round(masks * 4) / 4
    boxes = boxes_for(rng, 3, size)
    with kernels("scalar"):
        expected = postproc.paste_masks(masks, boxes, size, rule=rule)
    for name in available_kernels():
        with kernels(name):
            assert np.array_equal(postproc.paste_masks(masks, boxes, size, rule=rule, threads=2), expected), name
            codes = postproc.paste_masks_rle(masks, boxes, size, rule=rule, threads=2)
        assert codes == pycocotools_codes(expected), name


@pytest.mark.parametrize("rule", ["torchvision", "detectron2"])
def test_pasted_masks_are_blended_with_a_probability_of_nothing(rule: Any) -> None:
    # A mask that is 0.9 everywhere and 0 around: half-way between them is below 0.5, so that the box is not left.
    box = np.array([[20, 20, 60, 60]], np.float32)
    pasted = postproc.paste_masks(np.full((1, 4, 4), 0.9, np.float32), box, SIZE, rule=rule)[0]
    rows, columns = np.nonzero(pasted)
    assert (rows.min(), columns.min()) >= (19, 19)
    assert (rows.max(), columns.max()) <= (60, 60)
    barely = postproc.paste_masks(np.full((1, 4, 4), 0.51, np.float32), box, SIZE, rule=rule)[0]
    assert barely.sum() < pasted.sum()
