"""A bundle opened on ONNX Runtime gives the right result for each decode rule, at source size."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from onnx import TensorProto, helper

from segrt.export.bundling import GoldenPicture, VariantFile, write_bundle
from segrt.runtime import open_bundle
from segrt.runtime.authoring.verification import verify
from segrt.runtime.errors import BackendError, BundleError, ImageError
from segrt.runtime.preprocess.input_spec import Resize
from segrt.runtime.results import InstanceResult, PanopticResult, SemanticResult

# Black padding: the heads of a network mix what lies within a cell, and black does not change which channel is highest.
LETTERBOX = Resize("letterbox")
SHORTEST = Resize("shortest_edge", shortest_edge=16, pad_side="bottom_right")


@pytest.mark.parametrize("kind", ["argmax", "class_map", "query_semantic"])
@pytest.mark.parametrize("resize", [None, LETTERBOX, SHORTEST], ids=["stretch", "letterbox", "shortest_edge"])
def test_semantic_thirds_come_back_at_source_size(tiny: SimpleNamespace, kind: str, resize: Resize | None) -> None:
    image = tiny.thirds(120, 240)
    with open_bundle(tiny.bundle(kind, resize=resize), threads=1) as segmenter:
        result = segmenter(image)
    assert isinstance(result, SemanticResult)
    assert result.class_map.shape == (120, 240)
    assert result.class_map.dtype == np.uint8
    truth = np.broadcast_to(np.arange(240) // 80, (120, 240))
    # The borders between the thirds lie within a cell of the head, 20 to 30 source pixels wide.
    far = np.abs((np.arange(240) + 40) % 80 - 40) > 16
    np.testing.assert_array_equal(result.class_map[:, far], truth[:, far])
    assert np.mean(result.class_map == truth) > 0.9


@pytest.mark.parametrize("size", [(1, 1), (1, 500), (500, 1), (31, 17)])
@pytest.mark.parametrize("resize", [None, LETTERBOX, SHORTEST], ids=["stretch", "letterbox", "shortest_edge"])
def test_pictures_of_any_size_give_maps_of_their_size(
    tiny: SimpleNamespace, size: tuple[int, int], resize: Resize | None
) -> None:
    with open_bundle(tiny.bundle("argmax", resize=resize), threads=1) as segmenter:
        result = segmenter(np.full((*size, 3), (255, 0, 0), np.uint8))
    assert isinstance(result, SemanticResult)
    np.testing.assert_array_equal(result.class_map, np.full(size, 2))


def test_panoptic_thirds_are_three_segments(tiny: SimpleNamespace) -> None:
    with open_bundle(tiny.bundle("merge_queries"), threads=1) as segmenter:
        result = segmenter(tiny.thirds(96, 144))
    assert isinstance(result, PanopticResult)
    assert [(segment.class_id, segment.isthing) for segment in result.segments] == [(0, False), (1, True), (2, True)]
    for segment, column in zip(result.segments, (10, 72, 134), strict=True):
        assert (result.segment_ids[:, column] == segment.id).all()
        assert segment.area == int((result.segment_ids == segment.id).sum())


def test_query_instances_have_class_score_and_mask(tiny: SimpleNamespace) -> None:
    with open_bundle(tiny.bundle("query_instances"), threads=1) as segmenter:
        result = segmenter(tiny.thirds(96, 144))
    assert isinstance(result, InstanceResult)
    assert sorted(result.class_ids.tolist()) == [0, 1, 2]
    for class_id, mask in zip(result.class_ids, result.masks, strict=True):
        assert mask[:, 48 * class_id + 24].all()
        assert not mask[:, (48 * class_id + 24 + 48) % 144].any()


def test_boxes_are_pasted_where_they_lie_in_the_source(tiny: SimpleNamespace) -> None:
    with open_bundle(tiny.bundle("paste_masks"), threads=1) as segmenter:
        result = segmenter(np.zeros((64, 96, 3), np.uint8))
    assert isinstance(result, InstanceResult)
    assert result.class_ids.tolist() == [2]
    np.testing.assert_allclose(result.boxes, [[8, 16, 40, 48]])
    expected = np.zeros((64, 96), bool)
    expected[16:48, 8:40] = True
    assert np.mean(result.masks[0] != expected) < 0.02


def test_thresholds_replace_those_of_the_bundle(tiny: SimpleNamespace) -> None:
    folder = tiny.bundle("paste_masks")
    with open_bundle(folder, threads=1, score_threshold=0.05) as segmenter:
        result = segmenter(np.zeros((64, 96, 3), np.uint8))
        assert isinstance(result, InstanceResult)
        assert result.class_ids.tolist() == [2, 1]
    with pytest.raises(BundleError, match=r"paste_masks has no overlap_threshold"):
        open_bundle(folder, overlap_threshold=0.5)
    with pytest.raises(BundleError, match=r"score_threshold must be 0 to 1, but got 1\.5"):
        open_bundle(folder, score_threshold=1.5)
    with pytest.raises(BundleError, match=r"paste_masks has no merge_rule, but got detr; leave it out"):
        open_bundle(folder, merge_rule="detr")


def test_results_carry_their_timings(tiny: SimpleNamespace) -> None:
    with open_bundle(tiny.bundle("argmax"), threads=1) as segmenter:
        timings = segmenter(tiny.thirds(24, 48)).timings
    assert timings is not None
    assert min(timings.preprocess_ms, timings.inference_ms, timings.postprocess_ms) > 0
    assert timings.total_ms == timings.preprocess_ms + timings.inference_ms + timings.postprocess_ms


def test_heads_and_detailed_give_copies_with_batch_axis(tiny: SimpleNamespace) -> None:
    image = tiny.thirds(24, 48)
    with open_bundle(tiny.bundle("argmax"), threads=1) as segmenter:
        heads, geometry = segmenter.heads(image)
        result, again, _ = segmenter.detailed(image)
        segmenter(np.zeros_like(image))
    assert geometry.window == (0, 0, *tiny.size)
    assert heads["logits"].shape == (1, 3, 8, 12)
    assert heads["logits"][0, 0, 4, 0] == 255
    np.testing.assert_array_equal(heads["logits"], again["logits"])
    assert result.timings is not None


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((4, 4, 2), np.uint8),
        np.zeros((4, 4, 4, 4), np.uint8),
        np.zeros((4, 4, 3)),
        np.zeros((0, 4, 3), np.uint8),
        7,
    ],
)
def test_other_arrays_are_refused_and_the_slot_stays_free(tiny: SimpleNamespace, image: object) -> None:
    with open_bundle(tiny.bundle("argmax"), threads=1) as segmenter:
        for _ in range(4):
            with pytest.raises(ImageError, match="image must"):
                segmenter(image)  # type: ignore[arg-type]
        assert segmenter(tiny.thirds(8, 8)).timings is not None


def test_a_closed_segmenter_says_so(tiny: SimpleNamespace) -> None:
    segmenter = open_bundle(tiny.bundle("argmax"), threads=1)
    segmenter.close()
    segmenter.close()
    with pytest.raises(BackendError, match="closed"):
        segmenter(tiny.thirds(8, 8))


def test_a_class_map_with_unknown_ids_is_refused_and_void_is_kept(tiny: SimpleNamespace) -> None:
    from segrt.runtime.decode.class_map import ClassMap, class_map
    from segrt.runtime.decode.rule import Context
    from segrt.runtime.preprocess.geometry import Geometry

    grid = np.array([[0, 255], [2, 1]], np.int64)
    geometry = Geometry((2, 2), (2, 2), (0, 0, 2, 2))
    with pytest.raises(BundleError, match="holds class id 255, but the bundle has 3 labels"):
        class_map({"class_map": grid}, geometry, Context(ClassMap(), tiny.labels))
    result = class_map({"class_map": grid}, geometry, Context(ClassMap(255), tiny.labels))
    assert isinstance(result, SemanticResult)
    assert result.class_map.tolist() == [[0, result.void_id], [2, 1]]


@pytest.mark.parametrize("kind", ["argmax", "merge_queries"])
def test_views_of_pictures_are_read_as_they_look(tiny: SimpleNamespace, kind: str) -> None:
    big = np.zeros((200, 400, 3), np.uint8)
    big[50:82, 60:108] = tiny.thirds(32, 48)
    views = [big[50:82, 60:108], big[81:49:-1, 60:108], big[50:82, 107:59:-1], tiny.thirds(64, 96)[::2, ::2]]
    views.append(tiny.thirds(32, 48)[..., ::-1])
    with open_bundle(tiny.bundle(kind), threads=1) as segmenter:
        for view in views:
            seen, copied = segmenter(view), segmenter(view.copy())
            if isinstance(seen, SemanticResult) and isinstance(copied, SemanticResult):
                np.testing.assert_array_equal(seen.class_map, copied.class_map)
            if isinstance(seen, PanopticResult) and isinstance(copied, PanopticResult):
                np.testing.assert_array_equal(seen.segment_ids, copied.segment_ids)


def test_very_long_pictures_are_segmented(tiny: SimpleNamespace) -> None:
    with open_bundle(tiny.bundle("argmax"), threads=1) as segmenter:
        for size in ((2, 70_000), (70_000, 2)):
            result = segmenter(np.full((*size, 3), (0, 255, 0), np.uint8))
            assert isinstance(result, SemanticResult)
            np.testing.assert_array_equal(result.class_map, np.ones(size))


def test_a_variant_with_float16_heads_gives_the_same_result(tiny: SimpleNamespace, tmp_path: Path) -> None:
    half = tiny.query_model()
    for node, output in zip(half.graph.node[-2:], ("masks", "classes"), strict=True):
        node.output[0] = f"{output}_wide"
        half.graph.node.append(helper.make_node("Cast", [f"{output}_wide"], [output], to=TensorProto.FLOAT16))
    for value in half.graph.output:
        value.type.tensor_type.elem_type = TensorProto.FLOAT16
    variants = [
        VariantFile("fp32", tiny.save(tiny.query_model(), "full.onnx")),
        VariantFile("fp16", tiny.save(half, "half.onnx"), head_dtypes={"masks": "float16", "classes": "float16"}),
    ]
    golden = [GoldenPicture("g", tiny.thirds(32, 48))]
    folder = write_bundle(tmp_path / "both", tiny.network("merge_queries"), variants, golden, threads=1)
    results = []
    for precision in (None, "fp16"):
        with open_bundle(folder, precision=precision, threads=1) as segmenter:
            assert all(check.passed for check in verify(segmenter))
            results.append(segmenter(tiny.thirds(96, 144)))
            dtypes = {array.dtype for array in segmenter.heads(tiny.thirds(32, 48))[0].values()}
            assert dtypes == {np.dtype(np.float16 if precision else np.float32)}
    first, second = results
    assert isinstance(first, PanopticResult)
    assert isinstance(second, PanopticResult)
    np.testing.assert_array_equal(first.segment_ids, second.segment_ids)


def test_a_batch_holds_pictures_of_different_sizes(tiny: SimpleNamespace) -> None:
    folder = tiny.batched_semantic()
    pictures = [tiny.thirds(32, 48), tiny.thirds(60, 30)[:, ::-1].copy()]
    with open_bundle(folder, threads=1, batch=None, sources=2) as segmenter:
        slot = segmenter.backend.acquire()
        places = [segmenter.preprocess(picture, slot, index) for index, picture in enumerate(pictures)]
        segmenter.backend.submit(slot)
        heads = segmenter.backend.wait(slot)
        both = [segmenter.postprocess(heads, place, index) for index, place in enumerate(places)]
        segmenter.backend.release(slot)
        alone = [segmenter(picture) for picture in pictures]
        assert segmenter.heads(pictures[0])[0]["logits"].shape == (2, 3, 8, 12)
    for one, other, picture in zip(both, alone, pictures, strict=True):
        assert isinstance(one, SemanticResult)
        assert isinstance(other, SemanticResult)
        assert one.class_map.shape == picture.shape[:2]
        np.testing.assert_array_equal(one.class_map, other.class_map)
    assert both[1].class_map[30, [2, 15, 27]].tolist() == [2, 1, 0]  # type: ignore[union-attr]
