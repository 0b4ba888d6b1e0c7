"""A bundle's self-check: passes on the network it was made of, fails on every other, forgives dead queries."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from onnx import numpy_helper

from segrt.export.bundling import GoldenPicture, default_tolerance
from segrt.runtime import open_bundle
from segrt.runtime import segmenter as segmenter_module
from segrt.runtime.authoring.agreement import agreement
from segrt.runtime.authoring.verification import live_queries, verify
from segrt.runtime.bundle.golden import read_golden
from segrt.runtime.decode.merge_queries import MergeQueries
from segrt.runtime.decode.query_instances import QueryInstances
from segrt.runtime.errors import BundleError, CheckFailed
from segrt.runtime.results import InstanceResult, Label, PanopticResult, Segment, SemanticResult, rle

LABELS = (Label("a", 0, True, (1, 1, 1)), Label("b", 1, True, (2, 2, 2)))


def query_heads(order: tuple[int, ...], dead: float) -> dict[str, np.ndarray]:
    """What `query_model` gives for the thirds, written down independently."""
    masks = np.full((4, 8, 12), -16.0, np.float32)
    for query in range(3):
        masks[query, :, 4 * query : 4 * query + 4] = 255 / 8 - 16
    masks[3] = dead
    return {
        "classes": (9 * np.eye(4, dtype=np.float32))[None, list(order)],
        "masks": masks[None, list(order)],
    }


@pytest.mark.parametrize(
    "kind", ["argmax", "class_map", "query_semantic", "query_instances", "merge_queries", "paste_masks"]
)
def test_every_rule_verifies_and_compares_heads_and_result(tiny: SimpleNamespace, kind: str) -> None:
    with open_bundle(tiny.bundle(kind), threads=1) as segmenter:
        checks = verify(segmenter)
    assert all(check.passed for check in checks)
    assert [check.what.split(" ")[0] for check in checks] == [
        *(head.name for head in segmenter.manifest.heads),
        "result",
    ]


def test_heads_of_the_source_framework_are_what_is_compared(tiny: SimpleNamespace) -> None:
    picture = tiny.thirds(32, 48)
    with open_bundle(
        tiny.bundle("merge_queries", golden=[GoldenPicture("g", picture, query_heads((0, 1, 2, 3), -20.0))]), threads=1
    ) as segmenter:
        assert all(check.passed for check in verify(segmenter))
    wrong = query_heads((0, 1, 2, 3), -20.0)
    wrong["masks"][0, 1, 3, 5] += 1
    with pytest.raises(CheckFailed, match=r"of the fp32 variant fail, first g masks.*nothing was written"):
        tiny.bundle("merge_queries", out="other", golden=[GoldenPicture("g", picture, wrong)])


def test_dead_queries_and_the_order_of_queries_do_not_matter(tiny: SimpleNamespace) -> None:
    golden = GoldenPicture("g", tiny.thirds(32, 48), query_heads((3, 2, 0, 1), 7.0))
    with open_bundle(tiny.bundle("merge_queries", golden=[golden]), threads=1) as segmenter:
        checks = verify(segmenter)
        _, stored = read_golden(segmenter.bundle, segmenter.manifest.golden[0])
    assert [check.what for check in checks] == ["classes (3 live queries)", "masks (3 live queries)", "result"]
    assert all(check.passed for check in checks)
    assert stored.live is not None
    assert stored.live.tolist() == [1, 2, 3]
    assert stored.heads["mask_logits"].shape == (3, 8, 12)


def test_a_live_query_that_differs_is_found(tiny: SimpleNamespace) -> None:
    golden = query_heads((0, 1, 2, 3), -20.0)
    golden["classes"][0, 2, 2] = 5.0
    with pytest.raises(CheckFailed, match="classes"):
        tiny.bundle("merge_queries", golden=[GoldenPicture("g", tiny.thirds(32, 48), golden)])


def test_a_network_with_other_weights_fails(tiny: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    model = tiny.semantic_model()
    folder = tiny.bundle("argmax")
    # Swap red and green in front of the head, keeping names and shapes.
    model.graph.node[-1].input[0] = "swapped"
    order = numpy_helper.from_array(np.array([1, 0, 2]), "order")
    model.graph.initializer.append(order)
    import onnx

    model.graph.node.insert(2, onnx.helper.make_node("Gather", ["planes", "order"], ["swapped"], axis=1))
    (folder / "model.fp32.onnx").write_bytes(model.SerializeToString())
    monkeypatch.setattr("segrt.runtime.inference.network_file.check_file", lambda *_, **__: None)
    with open_bundle(folder, threads=1) as segmenter:
        checks = {check.what: check for check in verify(segmenter)}
    assert not checks["logits"].passed
    assert not checks["result"].passed
    assert checks["result"].value.startswith("33.3333%")


def test_a_bundle_without_golden_frames_says_so(tiny: SimpleNamespace) -> None:
    with (
        open_bundle(tiny.bundle("argmax", golden=[]), threads=1) as segmenter,
        pytest.raises(BundleError, match="has no golden frames"),
    ):
        verify(segmenter)


def test_nan_heads_fail(tiny: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    golden = query_heads((0, 1, 2, 3), -20.0)
    golden["masks"][0, 0, 0, 0] = np.nan
    with pytest.raises(BundleError, match="golden frame 'g' must be finite, but head 'masks' holds NaN"):
        tiny.bundle("merge_queries", golden=[GoldenPicture("g", tiny.thirds(32, 48), golden)])
    segmenter = open_bundle(tiny.bundle("merge_queries"), threads=1)
    with segmenter:
        heads_of = segmenter_module.calling._copies

        def broken(heads: Any) -> dict[str, np.ndarray]:
            arrays = heads_of(heads)
            arrays["masks"][:, 1, 2, 3] = np.nan
            return arrays

        monkeypatch.setattr(segmenter_module.calling, "_copies", broken)
        assert [check.passed for check in verify(segmenter) if check.what.startswith("masks")] == [False]


def test_a_damaged_golden_frame_is_named(tiny: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tiny.bundle("argmax")
    (folder / "golden/thirds.npz").write_bytes(b"no archive")
    monkeypatch.setattr("segrt.runtime.bundle.bundle.check_file", lambda *_, **__: None)
    with (
        open_bundle(folder, threads=1) as segmenter,
        pytest.raises(BundleError, match=r"thirds\.npz: is no golden frame"),
    ):
        verify(segmenter)


def test_live_queries_follow_the_decode_rule() -> None:
    logits = np.log(np.array([[0.6, 0.1, 0.3], [0.1, 0.35, 0.55], [0.45, 0.1, 0.45 - 1e-3], [0.0001, 0.0009, 0.999]]))
    assert live_queries(MergeQueries(score_threshold=0.5), logits).tolist() == [0]
    assert live_queries(MergeQueries(score_threshold=0.4), logits).tolist() == [0, 2]
    sigmoid = np.array([[-3.0, 2.0], [-3.0, -3.0]])
    assert live_queries(QueryInstances("sigmoid"), sigmoid).tolist() == [0]


def test_default_tolerances_are_tight_for_fp32_and_about_results_for_int8(tiny: SimpleNamespace) -> None:
    described = tiny.network("merge_queries")
    fp32, int8 = default_tolerance(described, "fp32"), default_tolerance(described, "int8")
    assert fp32.heads["masks"].rows == "live_queries"
    assert fp32.heads["masks"].absolute <= 2e-3
    assert int8.heads == {}
    assert int8.agreement < fp32.agreement


def test_semantic_agreement_is_the_share_of_equal_pixels() -> None:
    one = np.zeros((10, 10), np.uint8)
    other = one.copy()
    other[:3] = 1
    assert agreement(SemanticResult(one, LABELS), SemanticResult(other, LABELS)) == pytest.approx(0.7)


def panoptic(ids: np.ndarray, classes: dict[int, int]) -> PanopticResult:
    segments = [Segment(i, c, True, 0.9, int((ids == i).sum()), (0, 0, 1, 1)) for i, c in classes.items()]
    return PanopticResult(ids.astype(np.int32), segments, LABELS)


def test_panoptic_agreement_matches_segments_whatever_their_ids() -> None:
    ids = np.zeros((10, 10), int)
    ids[:4], ids[4:8] = 1, 2
    swapped = np.select([ids == 1, ids == 2], [2, 1], 0)
    assert agreement(panoptic(ids, {1: 0, 2: 1}), panoptic(swapped, {2: 0, 1: 1})) == 1.0
    assert agreement(panoptic(ids, {1: 0, 2: 1}), panoptic(swapped, {2: 1, 1: 1})) == pytest.approx(0.6)
    shifted = np.roll(ids, 1, axis=0)
    # Rows 1-3 and 5-7 of the two segments and row 9 of the void stay.
    assert agreement(panoptic(ids, {1: 0, 2: 1}), panoptic(shifted, {1: 0, 2: 1})) == pytest.approx(0.7)
    assert agreement(panoptic(np.zeros((4, 4)), {}), panoptic(np.zeros((4, 4)), {})) == 1.0


def instances(masks: list[np.ndarray], classes: list[int], scores: list[float]) -> InstanceResult:
    return InstanceResult(
        np.zeros((len(masks), 4), np.float32),
        np.array(scores, np.float32),
        np.array(classes, np.int64),
        [rle.encode(mask) for mask in masks],
        (10, 10),
        LABELS,
    )


def test_instance_agreement_is_the_mean_best_iou_of_sure_objects() -> None:
    left, half = np.zeros((10, 10), bool), np.zeros((10, 10), bool)
    left[:, :4], half[:, :2] = True, True
    assert agreement(instances([], [], []), instances([], [], [])) == 1.0
    assert agreement(instances([left], [0], [0.9]), instances([half], [0], [0.9])) == pytest.approx(0.5)
    assert agreement(instances([left], [0], [0.9]), instances([left], [1], [0.9])) == 0.0
    assert agreement(instances([left], [0], [0.9]), instances([], [], [])) == 0.0
    # An object at the threshold is not lost by falling a little below it, and unsure ones do not count.
    assert agreement(instances([left], [0], [0.51]), instances([left, half], [0, 1], [0.49, 0.4])) == 1.0
