"""Instance masks: from boxes, queries and prototypes, painted and as run lengths."""

import hashlib
import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import slow_boxes, slow_pasting, slow_prototypes, slow_query_instances, slow_resize
from scenes import available_kernels, kernels, query_heads

from segrt.runtime import postproc

SIZE = (90, 130)


def boxes_for(rng: np.random.Generator, count: int, size: tuple[int, int]) -> Any:
    """Boxes that touch the picture, some reaching out of it."""
    corner = rng.uniform(-0.2, 0.9, (count, 2)) * size[::-1]
    extent = rng.uniform(0.25, 0.6, (count, 2)) * size[::-1]
    return np.concatenate([corner, corner + extent], 1).astype(np.float32)


def pycocotools_codes(masks: Any) -> list[dict[str, Any]]:
    coco = pytest.importorskip("pycocotools.mask")
    return [coco.encode(np.asfortranarray(mask.astype(np.uint8))) for mask in masks]


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


@pytest.mark.parametrize("activation", ["softmax", "sigmoid"])
@pytest.mark.parametrize("weigh", [True, False])
def test_query_instances_equal_the_reference(activation: Any, weigh: bool) -> None:
    class_logits, mask_logits = query_heads(np.random.default_rng(1), 12, 4, 23, 31)
    found = slow_query_instances.query_instances(
        class_logits, mask_logits, SIZE, top_k=20, activation=activation, weigh_by_mask=weigh
    )
    result = postproc.query_instances_rle(
        class_logits, mask_logits, SIZE, top_k=20, activation=activation, weigh_by_mask=weigh
    )
    assert len(found) > 5
    np.testing.assert_allclose(result.scores, [score for _, score, _ in found], rtol=1e-5)
    assert result.class_ids.tolist() == [class_id for class_id, _, _ in found]
    assert result.rles == pycocotools_codes([mask for _, _, mask in found])
    for box, (_, _, mask) in zip(result.boxes, found, strict=True):
        x, y, width, height = slow_boxes.box_of(mask)
        assert box.tolist() == [x, y, x + width, y + height]


def test_query_instances_leave_out_what_is_not_above_the_threshold() -> None:
    class_logits, mask_logits = query_heads(np.random.default_rng(1), 12, 4, 23, 31)
    every = postproc.query_instances_rle(class_logits, mask_logits, SIZE)
    limit = float(every.scores[3])
    some = postproc.query_instances_rle(class_logits, mask_logits, SIZE, score_threshold=limit)
    assert some.scores.tolist() == every.scores[:3].tolist()
    assert len(postproc.query_instances_rle(class_logits, mask_logits, SIZE, top_k=0).rles) == 0
    assert len(postproc.query_instances_rle(class_logits, mask_logits - 99, SIZE).rles) == 0
    assert len(postproc.query_instances_rle(class_logits[:0], mask_logits[:0], SIZE).rles) == 0


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    grid=st.tuples(st.integers(1, 30), st.integers(1, 40)),
    size=st.tuples(st.integers(1, 120), st.integers(1, 150)),
    kind=st.sampled_from(["smooth", "noisy", "ties", "nonfinite", "half"]),
    window=st.booleans(),
)
def test_every_kernel_finds_the_same_instances(seed: int, grid: Any, size: Any, kind: str, window: bool) -> None:
    rng = np.random.default_rng(seed)
    class_logits, mask_logits = query_heads(rng, 5, 2, *grid, noise=4.0 if kind == "noisy" else 0.3)
    if kind == "ties":
        mask_logits = np.round(mask_logits / 4)
    if kind == "nonfinite":
        mask_logits[rng.uniform(size=mask_logits.shape) < 0.1] = rng.choice([np.nan, np.inf, -np.inf])
    if kind == "half":
        mask_logits = mask_logits.astype(np.float16)  # type: ignore[assignment]
    part = (0.0, 0.25, float(grid[0]), grid[1] - 0.25) if window else None
    results = []
    for name in available_kernels():
        report = postproc.Report()
        with kernels(name):
            found = postproc.query_instances_rle(class_logits, mask_logits, size, window=part, report=report)
        results.append((found.rles, found.scores.tolist(), found.boxes.tolist(), report.nonfinite))
    assert all(result == results[0] for result in results)
    codes, decoded = results[0][0], postproc.decode_rle(results[0][0])
    assert codes == (pycocotools_codes(decoded) if codes else [])
    if kind in ("smooth", "noisy", "ties"):
        large = slow_resize.resize(mask_logits, size, part) > 0
        assert {mask.tobytes() for mask in decoded} <= {mask.tobytes() for mask in large}


@pytest.mark.parametrize("half", [False, True])
@pytest.mark.parametrize("compat", [False, True])
def test_prototype_masks_equal_the_reference(half: bool, compat: bool) -> None:
    rng = np.random.default_rng(0)
    kind = np.float16 if half else np.float32
    prototypes = rng.normal(size=(8, 40, 52)).astype(kind)
    coefficients = rng.normal(size=(12, 8)).astype(kind)
    boxes = boxes_for(rng, 12, (160, 208)).astype(kind)
    codes = postproc.prototype_masks_rle(prototypes, coefficients, boxes, (160, 208), threads=2, compat=compat)
    expected = slow_prototypes.prototype_mask_cut_first if compat else slow_prototypes.prototype_mask
    for code, weights, box in zip(codes, coefficients, boxes, strict=True):
        mask = expected(prototypes, weights, box.astype(np.float32), (160, 208))
        # The sum over prototypes is rounded in another order.
        assert (postproc.decode_rle([code])[0] != mask).sum() <= 3


@pytest.mark.parametrize("compat", [False, True])
def test_prototype_masks_in_a_window_are_those_of_the_whole_grid(compat: bool) -> None:
    rng = np.random.default_rng(4)
    prototypes = rng.normal(size=(6, 40, 52)).astype(np.float32)
    coefficients = rng.normal(size=(9, 6)).astype(np.float32)
    boxes = boxes_for(rng, 9, (160, 208))
    whole = postproc.prototype_masks_rle(prototypes, coefficients, boxes, (160, 208), compat=compat)
    # Rows 24 to 144 and columns 8 to 200 of the picture are cells 6 to 36 and 2 to 50.
    moved = boxes - np.array([8, 24, 8, 24], np.float32)
    part = postproc.prototype_masks_rle(
        prototypes, coefficients, moved, (120, 192), window=(6, 2, 36, 50), compat=compat
    )
    expected = postproc.decode_rle(whole)[:, 24:144, 8:200]
    np.testing.assert_array_equal(postproc.decode_rle(part), expected)
    assert expected.any(axis=(1, 2)).sum() > 5


def test_prototype_masks_of_boxes_without_cells_are_empty() -> None:
    prototypes = np.ones((1, 8, 8), np.float32)
    boxes = np.array([[-50, -50, -10, -10], [9, 9, 2, 2], [np.nan, 0, 8, 8], [0, 0, 64, 64]], np.float32)
    codes = postproc.prototype_masks_rle(prototypes, np.ones((4, 1), np.float32), boxes, (64, 64))
    assert [mask.sum() for mask in postproc.decode_rle(codes)] == [0, 0, 0, 64 * 64]


def prototype_scene(seed: int, grid: tuple[int, int], size: tuple[int, int]) -> tuple[Any, Any, Any]:
    """Prototypes that change over some cells, coefficients and boxes of nine objects."""
    rng = np.random.default_rng(seed)
    coarse = rng.normal(size=(6, grid[0] // 4 + 1, grid[1] // 4 + 1)).astype(np.float32)
    prototypes = slow_resize.resize(coarse, grid) + rng.normal(0, 0.1, (6, *grid)).astype(np.float32)
    return prototypes, rng.normal(size=(9, 6)).astype(np.float32), boxes_for(rng, 9, size)


def test_no_pixel_of_a_mask_lies_outside_its_box() -> None:
    prototypes = np.full((1, 20, 20), 0.1, np.float32)
    boxes = np.array([[10, 10, 30, 30], [13.5, 22.1, 40.9, 61]], np.float32)
    inside = postproc.prototype_masks_rle(prototypes, np.ones((2, 1), np.float32), boxes, (80, 80))
    assert postproc.measure_rle(inside)[0].tolist() == [20 * 20, 27 * 38]
    rows, columns = np.nonzero(postproc.decode_rle(inside)[1])
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (23, 60, 14, 40)
    # A logit of 0 outside the box is a probability of 0.5: the whole blend up to the next cell's middle is above it.
    leaking = postproc.prototype_masks_rle(prototypes, np.ones((2, 1), np.float32), boxes, (80, 80), compat=True)
    assert postproc.measure_rle(leaking)[0].tolist() == [24 * 24, 32 * 44]


@pytest.mark.parametrize("window", [(40, 0, 120, 208), (6, 10, 154, 198), (3, 0, 158, 201)])
def test_padding_is_cut_away_before_a_part_is_enlarged(window: tuple[int, int, int, int]) -> None:
    size = (90, 121)
    prototypes, coefficients, boxes = prototype_scene(5, (40, 52), size)
    factor = next(factor for factor in (1, 2, 4) if not any(edge * factor % 4 for edge in window))
    top, left, bottom, right = (edge / 4 for edge in window)
    codes = postproc.prototype_masks_rle(
        prototypes,
        coefficients,
        boxes,
        size,
        window=(top, left, bottom, right),
        processed_size=(40 * factor, 52 * factor),
    )
    for code, weights, box in zip(codes, coefficients, boxes, strict=True):
        expected = slow_prototypes.prototype_mask_native(prototypes, weights, box, window, size)
        assert (postproc.decode_rle([code])[0] != expected).sum() <= 2
    blended = postproc.prototype_masks_rle(prototypes, coefficients, boxes, size, window=(top, left, bottom, right))
    assert blended != codes


def test_masks_are_those_of_ultralytics() -> None:
    torch = pytest.importorskip("torch")
    ops = pytest.importorskip("ultralytics.utils.ops", reason="ultralytics is not installed")
    for seed, source in enumerate([(160, 208), (90, 208), (333, 500), (375, 500), (77, 31)]):
        prototypes, coefficients, boxes = prototype_scene(seed, (40, 52), (160, 208))
        fit = min(160 / source[0], 208 / source[1])
        height, width = round(source[0] * fit), round(source[1] * fit)
        top, left = (160 - height) // 2, (208 - width) // 2
        window = (top, left, top + height, left + width)
        moved = ops.scale_boxes((160, 208), torch.from_numpy(boxes.copy()), source).numpy()
        expected = ops.process_mask_native(
            torch.from_numpy(prototypes), torch.from_numpy(coefficients), torch.from_numpy(moved), source
        ).numpy()
        factor = next(factor for factor in (1, 2, 4) if not any(edge * factor % 4 for edge in window))
        codes = postproc.prototype_masks_rle(
            prototypes,
            coefficients,
            moved,
            source,
            window=tuple(edge / 4 for edge in window),  # type: ignore[arg-type]
            processed_size=(40 * factor, 52 * factor),
        )
        assert (postproc.decode_rle(codes) != expected.astype(bool)).sum() <= 1, source


def test_masks_are_those_found_with_ultralytics() -> None:
    # By ultralytics 8.4.190's process_mask_native on these heads, in a letterboxed picture of 375 x 500 pixels.
    prototypes, coefficients, boxes = prototype_scene(3, (40, 52), (160, 208))
    scale = np.array([500 / 208, 375 / 156] * 2, np.float32)
    moved = np.clip((boxes - np.array([0, 2, 0, 2], np.float32)) * scale, 0, np.array([500, 375] * 2, np.float32))
    codes = postproc.prototype_masks_rle(
        prototypes, coefficients, moved, (375, 500), window=(0.5, 0, 39.5, 52), processed_size=(80, 104)
    )
    assert postproc.measure_rle(codes)[0].tolist() == [27256, 9516, 16451, 15735, 25075, 19326, 9101, 5540, 9198]
    digest = hashlib.sha256(b"".join(code["counts"] for code in codes)).hexdigest()
    assert digest == "8940be4d9c4bb89e149a3f2abcf74d7d4bb127562b9b4990df342cfff71e0c87"


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    grid=st.tuples(st.integers(1, 30), st.integers(1, 40)),
    size=st.tuples(st.integers(1, 120), st.integers(1, 150)),
    factor=st.tuples(st.integers(0, 4), st.integers(1, 3)),
    compat=st.booleans(),
)
def test_every_kernel_makes_the_same_masks_of_prototypes(
    seed: int, grid: Any, size: Any, factor: Any, compat: bool
) -> None:
    prototypes, coefficients, boxes = prototype_scene(seed, grid, size)
    enlarged = None if compat or factor[0] == 0 else (grid[0] * factor[0], grid[1] * factor[1])
    part = (grid[0] * 0.125, 0.0, float(grid[0]), grid[1] * 0.75)
    with kernels("scalar"):
        expected = postproc.prototype_masks_rle(
            prototypes, coefficients, boxes, size, window=part, processed_size=enlarged, compat=compat
        )
    for name in available_kernels():
        with kernels(name):
            codes = postproc.prototype_masks_rle(
                prototypes, coefficients, boxes, size, window=part, processed_size=enlarged, compat=compat, threads=2
            )
        assert codes == expected, name


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


def test_query_masks_go_on_beyond_the_grid_with_its_edge_cells() -> None:
    classes = np.array([[9.0]], np.float32)
    masks = np.full((1, 3, 3), -1, np.float32)
    masks[0, :, 2] = 1e-3
    found = postproc.query_instances_rle(classes, masks, (30, 30), activation="sigmoid")
    mask = postproc.decode_rle(found.rles)[0]
    assert mask[:, 25:].all()
    assert not mask[:, :24].any()


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    grid=st.tuples(st.integers(1, 30), st.integers(1, 40)),
    size=st.tuples(st.integers(1, 120), st.integers(1, 150)),
    threshold=st.sampled_from([0.5, 0.0, 0.9]),
    kind=st.sampled_from(["float", "half", "nonfinite"]),
    window=st.booleans(),
)
def test_masks_of_the_whole_picture_are_enlarged_and_cut(
    seed: int, grid: Any, size: Any, threshold: float, kind: str, window: bool
) -> None:
    rng = np.random.default_rng(seed)
    masks = slow_resize.resize(rng.uniform(size=(4, grid[0] // 3 + 1, grid[1] // 3 + 1)).astype(np.float32), grid)
    masks = masks.astype(np.float16) if kind == "half" else masks
    if kind == "nonfinite":
        masks[rng.uniform(size=masks.shape) < 0.1] = np.nan
    part = (0.0, 0.25, float(grid[0]), grid[1] - 0.25) if window else None
    report = postproc.Report()
    with kernels("scalar"):
        expected = postproc.whole_masks_rle(masks, size, threshold=threshold, window=part, report=report)
    assert report.nonfinite == int(np.isnan(masks).sum())
    for name in available_kernels():
        with kernels(name):
            codes = postproc.whole_masks_rle(masks, size, threshold=threshold, window=part, threads=2)
        assert codes == expected, name
    if kind != "nonfinite":
        large = slow_resize.resize(masks.astype(np.float32), size, part) > threshold
        assert (postproc.decode_rle(expected) != large).sum() == 0
