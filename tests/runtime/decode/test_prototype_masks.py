"""YOLO's and YOLACT's heads become objects at source size, as ultralytics makes them at the network's."""

from types import SimpleNamespace

import msgspec
import numpy as np
import pytest
from reference import slow_prototypes

from segrt.runtime.decode.prototype_masks import PrototypeMasks, prototype_masks
from segrt.runtime.decode.rule import Context
from segrt.runtime.errors import BundleError
from segrt.runtime.preprocess.geometry import Geometry
from segrt.runtime.preprocess.input_spec import Resize
from segrt.runtime.preprocess.picture import place
from segrt.runtime.results import InstanceResult, Label

LABELS = tuple(Label(name, index, True, (index * 60, 0, 0)) for index, name in enumerate(("car", "person", "dog")))
NETWORK = (96, 128)
ANCHORS, PROTOTYPES = 300, 4


def heads(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """YOLOv8's predictions (4 + 3 + 4, 300) and prototypes (4, 24, 32), of a few objects found many times."""
    rng = np.random.default_rng(seed)
    centers = rng.uniform((10, 10), (118, 86), (9, 2))
    sizes = rng.uniform(14, 60, (9, 2))
    which = rng.integers(0, 9, ANCHORS)
    table = np.zeros((4 + 3 + PROTOTYPES, ANCHORS))
    table[:2] = (centers[which] + rng.normal(0, 2, (ANCHORS, 2))).T
    table[2:4] = (sizes[which] * rng.uniform(0.9, 1.1, (ANCHORS, 2))).T
    table[4 + which % 3, np.arange(ANCHORS)] = rng.uniform(0, 1, ANCHORS)
    table[7:] = rng.normal(size=(9, PROTOTYPES))[which].T
    return table.astype(np.float32), rng.normal(size=(PROTOTYPES, 24, 32)).astype(np.float32) + 0.5


def ultralytics(table: np.ndarray, prototypes: np.ndarray, rule: PrototypeMasks) -> list[tuple]:
    """`non_max_suppression` and `process_mask(upsample=True)`: (class, score, box, mask at the network's size)."""
    boxes = np.stack(
        [table[0] - table[2] / 2, table[1] - table[3] / 2, table[0] + table[2] / 2, table[1] + table[3] / 2]
    )
    scores, classes = table[4:7].max(0), table[4:7].argmax(0)
    kept: list[int] = []
    for index in np.argsort(-scores, kind="stable"):
        if scores[index] <= rule.score_threshold or len(kept) == rule.max_detections:
            break
        box = boxes[:, index]
        overlaps = False
        for other in (one for one in kept if rule.across_classes or classes[one] == classes[index]):
            width, height = np.minimum(box[2:], boxes[2:, other]) - np.maximum(box[:2], boxes[:2, other])
            both = max(width, 0) * max(height, 0)
            areas = np.prod(box[2:] - box[:2]) + np.prod(boxes[2:, other] - boxes[:2, other])
            overlaps |= both / (areas - both) > rule.iou_threshold
        if not overlaps:
            kept.append(int(index))
    found = []
    for index in kept:
        mask = slow_prototypes.prototype_mask(prototypes, table[7:, index], boxes[:, index], NETWORK)
        if mask.any():
            found.append((int(classes[index]), float(scores[index]), boxes[:, index], mask))
    return found


def decode(table: np.ndarray, prototypes: np.ndarray, geometry: Geometry, rule: PrototypeMasks) -> InstanceResult:
    result = prototype_masks({"predictions": table, "prototypes": prototypes}, geometry, Context(rule, LABELS))
    assert isinstance(result, InstanceResult)
    return result


def test_boxes_of_all_classes_compete_where_the_rule_says_so() -> None:
    table, prototypes = heads()
    table[4:7] = table[4:7] + np.roll(table[4:7], 1, 0) * 1.1 * (np.arange(ANCHORS) % 2)
    apart, across = PrototypeMasks(iou_threshold=0.5), PrototypeMasks(iou_threshold=0.5, agnostic=True)
    assert (apart.required_features, across.required_features) == ((), ("agnostic",))
    assert "agnostic" not in msgspec.to_builtins(apart)  # readers that do not know it take such bundles
    geometry = place(NETWORK, NETWORK, Resize())
    found = {rule: decode(table, prototypes, geometry, rule).class_ids.tolist() for rule in (apart, across)}
    for rule, class_ids in found.items():
        assert class_ids == [class_id for class_id, *_ in ultralytics(table, prototypes, rule)]
    assert 3 < len(found[across]) < len(found[apart])


@pytest.mark.parametrize("rows", ["yolo", "yolov5", "detections"])
@pytest.mark.parametrize("anchors_first", [False, True])
def test_objects_are_those_of_ultralytics(rows: str, anchors_first: bool) -> None:
    table, prototypes = heads()
    rule = PrototypeMasks(rows=rows, iou_threshold=0.5)  # type: ignore[arg-type]
    expected = ultralytics(table, prototypes, rule)
    assert len(expected) > 6
    given = table
    if rows == "yolov5":
        sure = np.random.default_rng(3).uniform(0.3, 1, ANCHORS).astype(np.float32)
        given = np.concatenate([table[:4], sure[None], table[4:7], table[7:]])
        table = np.concatenate([table[:4], table[4:7] * sure, table[7:]])
        expected = ultralytics(table, prototypes, rule)
    if rows == "detections":
        found = np.array([[*box, score, class_id] for class_id, score, box, _ in expected], np.float32)
        indices = [int(np.argmin(np.abs(table[4:7].max(0) - score))) for _, score, _, _ in expected]
        given = np.concatenate([found.T, table[7:, indices]])
        given = np.concatenate([given, np.zeros((6 + PROTOTYPES, 5), np.float32)], axis=1)[:, ::-1]
    result = decode(given.T if anchors_first else given, prototypes, place(NETWORK, NETWORK, Resize()), rule)
    assert result.class_ids.tolist() == [class_id for class_id, *_ in expected]
    np.testing.assert_allclose(result.scores, [score for _, score, *_ in expected], atol=1e-6)
    boxes = np.clip(np.array([box for _, _, box, _ in expected]), 0, [128, 96, 128, 96])
    np.testing.assert_allclose(result.boxes, boxes, atol=1e-4)
    for mask, (*_, wanted) in zip(result.masks, expected, strict=True):
        assert (mask != wanted).sum() <= 3  # the sum over prototypes is rounded in another order


@pytest.mark.parametrize("source", [(48, 128), (300, 128), (96, 64), (77, 101)])
def test_letterboxed_pictures_get_their_part_of_the_masks(source: tuple[int, int]) -> None:
    table, prototypes = heads(1)
    rule = PrototypeMasks(iou_threshold=0.5)
    geometry = place(source, NETWORK, Resize("letterbox"))
    window = (top, left, bottom, right) = tuple(int(edge) for edge in geometry.window)  # type: ignore[misc]
    scale = np.array([source[1] / (right - left), source[0] / (bottom - top)] * 2, np.float32)
    result = decode(table, prototypes, geometry, rule)
    by_score = {round(float(score), 5): index for index, score in enumerate(result.scores)}
    found = 0
    for class_id, score, box, _ in ultralytics(table, prototypes, rule):
        moved = (box - np.array([left, top] * 2, np.float32)) * scale
        coefficients = table[7:, np.argmin(np.abs(table[4:7].max(0) - score))]
        mask = slow_prototypes.prototype_mask_native(prototypes, coefficients, moved, window, source)  # type: ignore[arg-type]
        if not mask.any():
            continue
        index = by_score[round(score, 5)]
        assert result.class_ids[index] == class_id
        np.testing.assert_allclose(result.boxes[index], np.clip(moved, 0, [source[1], source[0]] * 2), atol=2e-3)
        assert (result.masks[index] != mask).sum() <= 3
        found += 1
    assert len(result) == found > 4


def test_the_older_way_lets_masks_out_of_their_boxes() -> None:
    table = np.zeros((4 + 3 + PROTOTYPES, 1), np.float32)
    table[:5, 0] = [64, 48, 40, 40, 0.9]
    table[7:, 0] = 1
    prototypes = np.full((PROTOTYPES, 24, 32), 0.1, np.float32)
    geometry = place(NETWORK, NETWORK, Resize())
    assert decode(table, prototypes, geometry, PrototypeMasks()).masks.sum() == 40 * 40
    assert decode(table, prototypes, geometry, PrototypeMasks(compat=True)).masks.sum() == 44 * 44


def test_half_precision_and_dead_anchors_change_little() -> None:
    table, prototypes = heads(2)
    rule = PrototypeMasks(iou_threshold=0.5)
    whole = decode(table, prototypes, place(NETWORK, NETWORK, Resize()), rule)
    broken = np.concatenate([table, np.full((11, 3), np.nan, np.float32)], axis=1)
    again = decode(broken, prototypes, place(NETWORK, NETWORK, Resize()), rule)
    np.testing.assert_array_equal(whole.masks, again.masks)
    half = decode(table.astype(np.float16), prototypes.astype(np.float16), place(NETWORK, NETWORK, Resize()), rule)
    assert half.class_ids.tolist() == whole.class_ids.tolist()
    assert np.mean(half.masks != whole.masks) < 0.01
    none = decode(table * 0, prototypes, place(NETWORK, NETWORK, Resize()), rule)
    assert len(none) == 0
    assert none.masks.shape == (0, 96, 128)


def test_class_ids_beyond_the_labels_are_named() -> None:
    _, prototypes = heads()
    table = np.array([[8, 8, 60, 60, 0.9, 7, 1, 1, 1, 1]], np.float32)
    with pytest.raises(BundleError, match="gives class ids 7 to 7, but there are 3 labels; adopt it with its own"):
        decode(table, prototypes, place(NETWORK, NETWORK, Resize()), PrototypeMasks(rows="detections"))


def test_predictions_of_another_length_are_refused(tiny: SimpleNamespace) -> None:
    from dataclasses import replace

    from segrt.runtime.bundle.consistency import check_manifest
    from segrt.runtime.bundle.manifest import File, Manifest, Tolerance, Variant
    from segrt.runtime.decode.head_spec import HeadSpec

    network = tiny.network("paste_masks")
    heads = (
        HeadSpec("output0", "predictions", "float32", (1, 11, 300)),
        HeadSpec("output1", "prototypes", "float32", (1, 4, 24, 32)),
    )
    network = replace(network, heads=heads, decode=PrototypeMasks())
    fields = {name: getattr(network, name) for name in network.__dataclass_fields__}
    variant = Variant("fp32", File("m.onnx", 1, "0" * 64), Tolerance(1.0))
    check_manifest(Manifest(**fields, variants=(variant,)), "m")
    fields["decode"] = PrototypeMasks(rows="yolov5")
    with pytest.raises(BundleError, match=r"'output0' must have 12 values for an anchor \(yolov5: 3 labels, 4 proto"):
        check_manifest(Manifest(**fields, variants=(variant,)), "m")
