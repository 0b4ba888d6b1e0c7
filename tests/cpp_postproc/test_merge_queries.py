"""The panoptic merge: equal to its references and to the peers' own code, whatever the shapes and values."""

import warnings
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import slow_boxes, slow_merging
from scenes import available_kernels, kernels, query_heads, same_up_to

from segrt.runtime import postproc

SIZES = [(1, 1), (1, 40), (33, 17), (97, 131), (240, 320)]


def transformers_outputs(class_logits: Any, mask_logits: Any) -> Any:
    torch = pytest.importorskip("torch")
    classes, masks = torch.from_numpy(class_logits)[None], torch.from_numpy(mask_logits)[None]
    return SimpleNamespace(class_queries_logits=classes, masks_queries_logits=masks, logits=classes, pred_masks=masks)


def processor(name: str, **options: Any) -> Any:
    transformers = pytest.importorskip("transformers")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return getattr(transformers, name)(**options)


def peer_panoptic(name: str, class_logits: Any, mask_logits: Any, size: tuple[int, int], **options: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        result = processor(name).post_process_panoptic_segmentation(
            transformers_outputs(class_logits, mask_logits), target_sizes=[size], **options
        )[0]
    return result["segmentation"].numpy(), result["segments_info"]


@pytest.mark.parametrize(
    ("peer", "rule"),
    [
        ("MaskFormerImageProcessor", "maskformer"),
        ("DetrImageProcessor", "maskformer"),
        ("Mask2FormerImageProcessor", "mask2former"),
    ],
)
@pytest.mark.parametrize("seed", range(3))
def test_compat_equals_transformers_map_and_segments(peer: str, rule: Any, seed: int) -> None:
    rng = np.random.default_rng(seed)
    class_logits, mask_logits = query_heads(rng, 24, 6, 40 + seed, 53)
    size = (173, 219 + seed)
    expected, info = peer_panoptic(
        peer, class_logits, mask_logits, size, threshold=0.5, overlap_mask_area_threshold=0.4, label_ids_to_fuse={0, 1}
    )
    assert len(info) > 2
    ids, segments = postproc.merge_queries(
        class_logits, mask_logits, size, rule=rule, overlap_threshold=0.4, stuff_classes=(0, 1), compat=True
    )
    assert same_up_to(ids, expected)
    assert [(s.id, s.class_id) for s in segments] == [(i["id"], i["label_id"]) for i in info]
    np.testing.assert_allclose([s.score for s in segments], [i["score"] for i in info], atol=1e-6)


def test_default_differs_from_transformers_only_by_the_ids_it_reuses() -> None:
    class_logits, mask_logits = query_heads(np.random.default_rng(7), 30, 4, 48, 64)
    options: Any = {"overlap_threshold": 0.3, "stuff_classes": (0,)}
    theirs, entries = postproc.merge_queries(class_logits, mask_logits, (200, 260), compat=True, **options)
    ours, segments = postproc.merge_queries(class_logits, mask_logits, (200, 260), **options)
    assert len({e.id for e in entries if e.class_id != 0}) < len([e for e in entries if e.class_id != 0])
    assert [s.id for s in segments] == list(range(1, len(segments) + 1))
    assert np.array_equal(ours == 0, theirs == 0)
    assert len([s for s in segments if s.class_id == 0]) == 1
    for segment in segments:
        mask = ours == segment.id
        assert mask.sum() == segment.area
        assert slow_boxes.box_of(mask) == segment.bbox


@pytest.mark.parametrize("seed", range(2))
def test_eomt_equals_transformers_with_its_padding_cut_away(seed: int) -> None:
    rng = np.random.default_rng(seed)
    class_logits, mask_logits = query_heads(rng, 20, 5, 32, 32)
    size = (150, 200)
    eomt = processor("EomtImageProcessor", size={"shortest_edge": 96, "longest_edge": 96}, do_pad=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        result = eomt.post_process_panoptic_segmentation(
            transformers_outputs(class_logits, mask_logits),
            target_sizes=[size],
            threshold=0.5,
            overlap_mask_area_threshold=0.3,
            stuff_classes=[0],
        )[0]
    assert len(result["segments_info"]) > 2
    ids, segments = postproc.merge_queries(
        class_logits,
        mask_logits,
        size,
        rule="eomt",
        overlap_threshold=0.3,
        stuff_classes=(0,),
        processed_size=(96, 96),
        window=(0, 0, 24, 32),
    )
    assert same_up_to(ids, result["segmentation"].numpy() + 1)
    expected = [(i["id"] + 1, i["label_id"]) for i in result["segments_info"]]
    assert [(s.id, s.class_id) for s in segments] == expected


@pytest.mark.parametrize("rule", ["maskformer", "eomt"])
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("window", [None, (0.0, 0.0, 21.0, 34.0), (2.25, 3.5, 19.0, 30.125)])
def test_equals_the_reference(rule: Any, size: tuple[int, int], window: Any) -> None:
    class_logits, mask_logits = query_heads(np.random.default_rng(sum(size)), 14, 3, 21, 34)
    options: Any = {"rule": rule, "overlap_threshold": 0.3, "stuff_classes": (0,), "window": window}
    expected, segments = slow_merging.merge_queries(class_logits, mask_logits, size, **options)
    ids, merged = postproc.merge_queries(class_logits, mask_logits, size, **options)
    assert same_up_to(ids, expected)
    assert [m.id for m in merged] == [s.id for s in segments]
    for actual, wanted in zip(merged, segments, strict=True):
        assert (actual.class_id, actual.query) == (wanted.class_id, wanted.query)
        # The last bit of a sigmoid may decide a pixel.
        assert abs(actual.area - wanted.area) <= 1
        np.testing.assert_allclose(actual.bbox, wanted.bbox, atol=1)
        assert actual.score == pytest.approx(wanted.score, abs=1e-6)


@pytest.mark.parametrize("compat", [False, True])
@pytest.mark.parametrize("processed_size", [None, (60, 80)])
def test_detr_equals_the_reference(compat: bool, processed_size: Any) -> None:
    class_logits, mask_logits = query_heads(np.random.default_rng(5), 20, 3, 30, 40, noise=2.0)
    options: Any = {"stuff_classes": (0, 1), "processed_size": processed_size, "compat": compat}
    expected, classes = slow_merging.merge_detr(class_logits, mask_logits, (133, 170), score_threshold=0.6, **options)
    ids, segments = postproc.merge_queries(
        class_logits, mask_logits, (133, 170), rule="detr", score_threshold=0.6, **options
    )
    assert len(classes) > 2
    assert same_up_to(ids, expected)
    assert [s.class_id for s in segments] == classes
    assert [s.area for s in segments] == [int((ids == s.id).sum()) for s in segments]
    assert (ids > 0).all()


def test_detr_keeps_the_stuff_that_the_original_gives_away() -> None:
    masks = np.full((3, 8, 8), -9, np.float32)
    masks[0, :, :4] = 9
    masks[1, :, 4:] = 9
    masks[2] = -8  # never wins while the others stand
    classes = np.array([[9, 0, 0], [9, 0, 0], [0, 9, 0]], np.float32)
    kept, _ = postproc.merge_queries(classes, masks, (40, 40), rule="detr", stuff_classes=(0,))
    assert (kept == 1).all()
    lost, segments = postproc.merge_queries(classes, masks, (40, 40), rule="detr", stuff_classes=(0,), compat=True)
    assert {s.class_id for s in segments} == {0}
    wide, _ = postproc.merge_queries(classes, masks, (40, 40), rule="detr")
    assert len(np.unique(wide)) == 2
    assert lost.shape == kept.shape


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    queries=st.integers(1, 12),
    grid=st.tuples(st.integers(1, 24), st.integers(1, 40)),
    size=st.tuples(st.integers(1, 70), st.integers(1, 150)),
    rule=st.sampled_from(["maskformer", "mask2former", "eomt", "detr"]),
    kind=st.sampled_from(["smooth", "noisy", "ties", "nonfinite", "half", "transposed", "reversed"]),
    threads=st.integers(1, 3),
)
def test_every_kernel_equals_the_scalar_one(
    seed: int, queries: int, grid: Any, size: Any, rule: Any, kind: str, threads: int
) -> None:
    rng = np.random.default_rng(seed)
    class_logits, mask_logits = query_heads(rng, queries, 3, *grid, noise=4.0 if kind == "noisy" else 0.3)
    if kind == "ties":
        mask_logits = np.round(mask_logits / 4) * 4
    if kind == "nonfinite":
        where = rng.uniform(size=mask_logits.shape) < 0.1
        mask_logits[where] = rng.choice([np.nan, np.inf, -np.inf], int(where.sum()))
    if kind == "half":
        class_logits, mask_logits = class_logits.astype(np.float16), mask_logits.astype(np.float16)  # type: ignore[assignment]
    if kind == "transposed":
        mask_logits = np.ascontiguousarray(mask_logits.transpose(1, 2, 0)).transpose(2, 0, 1)
    if kind == "reversed":
        mask_logits = mask_logits[:, ::-1, ::-1]
    results = []
    for name in available_kernels():
        report = postproc.Report()
        with kernels(name):
            ids, segments = postproc.merge_queries(
                class_logits,
                mask_logits,
                size,
                rule=rule,
                overlap_threshold=0.3,
                stuff_classes=(0,),
                threads=1 if name == "scalar" else threads,
                report=report,
            )
        results.append((ids.tobytes(), segments, report.nonfinite))
    assert all(result == results[0] for result in results)


def test_nan_loses_and_is_counted() -> None:
    classes = np.array([[9, 0, 0], [np.nan, 9, np.nan], [np.nan, np.nan, np.nan]], np.float32)
    masks = np.full((3, 4, 4), 5, np.float32)
    masks[1] = 3
    masks[0, 0, 0] = np.nan
    masks[1, :, 1] = -np.inf
    report = postproc.Report()
    ids, segments = postproc.merge_queries(classes, masks, (4, 4), overlap_threshold=0.0, report=report)
    assert ids[0, 0] == 2
    assert (ids[1:] == 1).all()
    assert [s.query for s in segments] == [0, 1]
    assert report.nonfinite == 5 + 1 + 4


def test_all_rejected_gives_an_empty_map_in_the_callers_buffer() -> None:
    out = np.full((9, 11), 7, np.int32)
    classes = np.zeros((5, 4), np.float32)
    ids, segments = postproc.merge_queries(classes, np.zeros((5, 3, 3), np.float32), (9, 11), out=out)
    assert ids is out
    assert not ids.any()
    assert segments == []


def test_no_queries_give_an_empty_map() -> None:
    empty = np.zeros((0, 4), np.float32), np.zeros((0, 3, 3), np.float32)
    ids, segments = postproc.merge_queries(*empty, (5, 6))
    assert not ids.any()
    assert segments == []


@pytest.mark.parametrize("count", [1, 255, 256, 257])
def test_segments_beyond_a_byte_keep_their_ids(count: int) -> None:
    width = 300
    masks = np.full((count, 1, width), -9, np.float32)
    masks[np.arange(count), 0, np.arange(count)] = 9
    classes = np.zeros((count, 3), np.float32)
    classes[:, 1] = 9
    ids, segments = postproc.merge_queries(classes, masks, (2, width), overlap_threshold=0.1)
    assert len(segments) == count
    assert np.array_equal(ids[0, :count], np.arange(1, count + 1))


def test_exact_ratio_of_four_fifths_passes_as_in_float32() -> None:
    masks = np.full((2, 1, 5), 9, np.float32)
    masks[1] = -9
    masks[1, 0, 4] = 10
    classes = np.array([[9, 0, 0], [0, 12, 0]], np.float32)
    _, segments = postproc.merge_queries(classes, masks, (1, 5), overlap_threshold=0.8)
    assert [(s.query, s.area) for s in segments] == [(0, 4), (1, 1)]


def test_the_first_of_equal_queries_wins() -> None:
    classes = np.array([[0, 9, 0]] * 3, np.float32)
    ids, segments = postproc.merge_queries(classes, np.ones((3, 6, 6), np.float32), (50, 70))
    assert (ids == 1).all()
    assert [s.query for s in segments] == [0]


def test_whole_window_is_no_window() -> None:
    class_logits, mask_logits = query_heads(np.random.default_rng(3), 9, 3, 17, 23)
    whole, _ = postproc.merge_queries(class_logits, mask_logits, (100, 140))
    same, _ = postproc.merge_queries(class_logits, mask_logits, (100, 140), window=(0, 0, 17, 23))
    assert np.array_equal(whole, same)


def test_4k_equals_the_scalar_kernel() -> None:
    class_logits, mask_logits = query_heads(np.random.default_rng(3), 8, 3, 48, 64)
    ids, segments = postproc.merge_queries(class_logits, mask_logits, (2160, 3840), overlap_threshold=0.2)
    with kernels("scalar"):
        scalar, expected = postproc.merge_queries(class_logits, mask_logits, (2160, 3840), overlap_threshold=0.2)
    assert len(segments) > 2
    assert np.array_equal(ids, scalar)
    assert segments == expected


def test_out_may_be_a_part_of_a_larger_map() -> None:
    class_logits, mask_logits = query_heads(np.random.default_rng(3), 9, 3, 17, 23)
    large = np.full((60, 90), -1, np.int32)
    part = large[5:45, 10:75]
    postproc.merge_queries(class_logits, mask_logits, (40, 65), out=part)
    alone, _ = postproc.merge_queries(class_logits, mask_logits, (40, 65))
    assert np.array_equal(part, alone)
    assert (large[:5] == -1).all()
    assert (large[:, 75:] == -1).all()
