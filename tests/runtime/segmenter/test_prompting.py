"""Segmenters of what prompts point at: each mask lies where its prompt does, whatever the picture's shape."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("onnx")

from pointing import IOUS, REACH, SIDE, TOKENS, write_pointing_bundle

from segrt.runtime import (
    InstanceResult,
    Label,
    PanopticResult,
    Prompt,
    PromptSegmenter,
    Segment,
    SegrtError,
    SemanticResult,
    open_bundle,
)
from segrt.runtime.files.images import write_image
from segrt.runtime.inference.tensors import Head
from segrt.runtime.profiling.layer_times import measure_layers
from segrt.runtime.results import rle
from segrt.runtime.segmenter import open_segmenter
from segrt.runtime.segmenter.bundle_finding import find_bundle
from segrt.runtime.stream import stream

HEIGHT, WIDTH = 96, 160  # 1.5 and 2.5 pixels to one of the network's
GREY = np.full((HEIGHT, WIDTH, 3), 51, np.uint8)
SURE = 0.6  # (1 + 51 / 255) / 2


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_pointing_bundle(tmp_path_factory.mktemp("prompts") / "pointing")


@pytest.fixture(scope="module")
def segmenter(folder: Path) -> Iterator[PromptSegmenter]:
    with open_bundle(folder, threads=1, device="cpu") as opened:
        assert isinstance(opened, PromptSegmenter)
        yield opened


@pytest.fixture
def runs(segmenter: PromptSegmenter, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Which networks run during a test, in order."""
    seen: list[str] = []
    run = type(segmenter.backend)._run_one

    def counted(self, slot, name):
        seen.append(name)
        return run(self, slot, name)

    monkeypatch.setattr(type(segmenter.backend), "_run_one", counted)
    return seen


def inside(left: float, top: float, right: float, bottom: float) -> np.ndarray:
    """Return the pixels whose centre lies in a box."""
    x, y = np.arange(WIDTH) + 0.5, np.arange(HEIGHT) + 0.5
    return ((y > top) & (y < bottom))[:, None] & ((x > left) & (x < right))[None]


def around(x: float, y: float, more: float = 0.0) -> np.ndarray:
    """Return the pixels near a point: as far as the network's reach, and `more` of its pixels."""
    down, right = (REACH + more) * HEIGHT / SIDE, (REACH + more) * WIDTH / SIDE
    return inside(x - right, y - down, x + right, y + down)


def agree(found: np.ndarray, wanted: np.ndarray) -> bool:
    """Whether masks differ by single pixels along an edge alone, which rounding may move."""
    return float((found == wanted).mean()) > 0.99 and wanted.any()


def test_a_box_gives_what_lies_in_it(segmenter: PromptSegmenter) -> None:
    result = segmenter(GREY, boxes=[(20, 12, 100, 60), (110, 30, 150, 90)])
    assert agree(result.masks[0], inside(20, 12, 100, 60))
    assert agree(result.masks[1], inside(110, 30, 150, 90))
    assert np.abs(result.boxes - [(20, 12, 100, 60), (110, 30, 150, 90)]).max() <= 2
    assert result.scores == pytest.approx([IOUS[0] * SURE] * 2, abs=1e-4)
    assert result.names == ["object", "object"]
    assert result.size == (HEIGHT, WIDTH)
    assert result.image is GREY


def test_a_point_alone_gives_the_best_of_three_masks_and_several_points_the_first(segmenter: PromptSegmenter) -> None:
    alone = segmenter(GREY, points=[(80, 48)])
    assert agree(alone.masks[0], around(80, 48, 1.0))  # mask 2, of the highest predicted IoU
    assert alone.scores == pytest.approx([IOUS[2] * SURE], abs=1e-4)
    several = segmenter(GREY, points=[[(60, 48), (100, 48)]])
    assert agree(several.masks[0], around(60, 48) | around(100, 48))
    assert several.scores == pytest.approx([IOUS[0] * SURE], abs=1e-4)


def test_background_points_take_their_surroundings_out_of_a_box(segmenter: PromptSegmenter) -> None:
    box = (20, 12, 140, 84)
    result = segmenter(GREY, boxes=[box], points=[[(80, 48), (120, 24)]], point_labels=[[1, 0]])
    assert agree(result.masks[0], inside(*box) & ~around(120, 24))


def test_each_point_is_an_object_unless_they_are_nested(segmenter: PromptSegmenter) -> None:
    assert len(segmenter(GREY, points=[(40, 48), (120, 48)])) == 2
    assert len(segmenter(GREY, points=np.array([(40, 48), (120, 48)]))) == 2
    assert len(segmenter(GREY, boxes=(20, 12, 100, 60))) == 1
    assert len(segmenter(GREY, boxes=[])) == len(segmenter(GREY, points=[])) == 0
    assert len(segmenter(GREY, points=(40, 48))) == 1
    assert len(segmenter(GREY, points=[[(40, 48), (120, 48)], [(10, 10)]])) == 2  # ragged
    kinds = [Prompt(box=(0, 0, WIDTH, HEIGHT)), Prompt(points=((40, 48),), labels=(1,))]
    assert agree(segmenter(GREY, prompts=kinds).masks[0], inside(0, 0, WIDTH, HEIGHT))


def test_the_encoder_sees_a_picture_once_for_many_prompts(segmenter: PromptSegmenter, runs: list[str]) -> None:
    bright = segmenter.embedded(np.full((HEIGHT, WIDTH, 3), 255, np.uint8))
    dark = segmenter.embedded(np.zeros((50, 70, 3), np.uint8))
    first = bright.prompt(boxes=[(20, 12, 100, 60)])
    other = dark.prompt(boxes=[(5, 5, 60, 40)])
    again = bright.prompt(boxes=[(20, 12, 100, 60), (0, 0, 50, 50)])
    assert runs == ["encoder"] * 2 + ["decoder"] * 4
    assert first.scores[0] == again.scores[0] == pytest.approx(IOUS[0])
    assert other.scores[0] == pytest.approx(IOUS[0] / 2)
    assert other.size == (50, 70)


def test_a_detectors_objects_keep_their_classes_tracks_and_order(segmenter: PromptSegmenter) -> None:
    labels = (Label("cat", 17, True, (0, 0, 0)), Label("dog", 18, True, (9, 9, 9)))
    boxes = np.array([(-4, 12, 100, 60), (110, 30, 150, HEIGHT + 3)], np.float32)  # beyond the edges
    empty = rle.encode(np.zeros((HEIGHT, WIDTH), np.uint8))
    detected = InstanceResult(
        boxes, np.array([0.4, 0.7], np.float32), np.array([1, 0]), [empty] * 2, (HEIGHT, WIDTH), labels
    ).with_tracks([7, None])
    result = segmenter(GREY, boxes=detected)
    assert result.names == ["dog", "cat"]
    assert result[0].track_id == 7
    assert result.scores == pytest.approx([IOUS[0] * SURE] * 2, abs=1e-4)
    assert agree(result.masks[1], inside(110, 30, 150, HEIGHT))
    none = InstanceResult(boxes[:0], np.zeros(0, np.float32), np.zeros(0, int), [], (HEIGHT, WIDTH), labels)
    assert len(segmenter(GREY, boxes=none)) == 0
    with pytest.raises(SegrtError, match="boxes: are of a picture of 160x96 pixels, but this one has 70x50"):
        segmenter(np.zeros((50, 70, 3), np.uint8), boxes=detected)
    for also in ({"points": [(80, 48)] * 2}, {"point_labels": [1, 1]}):
        with pytest.raises(SegrtError, match=r"cannot be joined to a result's objects; .* clipped to the picture"):
            segmenter(GREY, boxes=detected, **also)


def test_a_detectors_boxes_without_a_pixel_of_the_picture_are_objects_with_empty_masks(
    segmenter: PromptSegmenter, runs: list[str]
) -> None:
    boxes = np.array(
        [
            (-50, -50, -10, -10),  # wholly outside
            (20, 12, 100, 60),
            (40, 30, 40, 60),  # of no area
            (100, 60, 20, 12),  # reversed
            (0, 0, 0, 0),
            (WIDTH, 10, WIDTH + 20, 40),
        ],
        np.float32,
    )
    labels = (Label("cat", 17, True, (0, 0, 0)), Label("dog", 18, True, (9, 9, 9)))
    empty = rle.encode(np.zeros((HEIGHT, WIDTH), np.uint8))
    classes = np.array([0, 1, 0, 1, 0, 1])
    detected = InstanceResult(boxes, np.full(6, 0.5, np.float32), classes, [empty] * 6, (HEIGHT, WIDTH), labels)
    for result in (segmenter(GREY, boxes=detected), segmenter.embedded(GREY).prompt(boxes=detected)):
        assert result.names == ["cat", "dog", "cat", "dog", "cat", "dog"]
        assert [item.area > 0 for item in result] == [False, True, False, False, False, False]
        assert agree(result.masks[1], inside(20, 12, 100, 60))
        assert result.scores == pytest.approx([0, IOUS[0] * SURE, 0, 0, 0, 0], abs=1e-4)
        assert not result.boxes[[0, 2, 3, 4, 5]].any()
    assert runs == ["encoder", "decoder"] * 2, "the network is asked for the one that can be seen"


def test_a_panoptic_results_things_are_asked_and_a_semantic_result_has_none(segmenter: PromptSegmenter) -> None:
    labels = (Label("road", 1, False, (0, 0, 0)), Label("cat", 17, True, (9, 9, 9)))
    ids = np.zeros((HEIGHT, WIDTH), np.int32)
    ids[50:] = 1
    ids[12:40, 20:100] = 2
    segments = [
        Segment(1, 0, False, 0.9, (HEIGHT - 50) * WIDTH, (0, 50, WIDTH, HEIGHT - 50)),
        Segment(2, 1, True, 0.8, 80 * 28, (20, 12, 80, 28)),
    ]
    result = segmenter(GREY, boxes=PanopticResult(ids, segments, labels))
    assert result.names == ["cat"]
    assert agree(result.masks[0], inside(20, 12, 100, 40))
    with pytest.raises(SegrtError, match="boxes: a SemanticResult has no objects; give the result of an instance or"):
        segmenter(GREY, boxes=SemanticResult(np.zeros((HEIGHT, WIDTH), np.uint8), labels))


def test_nothing_runs_where_nothing_is_asked(segmenter: PromptSegmenter, runs: list[str]) -> None:
    assert len(segmenter(GREY, boxes=[])) == len(segmenter(GREY, prompts=[])) == 0
    assert not runs
    segmenter(GREY, boxes=[(0, 0, 9, 9)])
    assert runs == ["encoder", "decoder"]


def test_features_are_copied_once_a_call(segmenter: PromptSegmenter, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    for owner, name in ((type(segmenter.backend), "hand_on"), (Head, "on_host")):
        whole = getattr(owner, name)

        def counted(*given, whole=whole, name=name):
            calls.append(name)
            return whole(*given)

        monkeypatch.setattr(owner, name, counted)
    segmenter(GREY, boxes=[(20, 12, 100, 60), (0, 0, 50, 50)])
    assert calls == ["hand_on"]
    seen = segmenter.embedded(GREY)
    assert calls == ["hand_on", "on_host"]  # the network has one head of features
    seen.prompt(boxes=[(20, 12, 100, 60), (0, 0, 50, 50)])
    assert calls == ["hand_on", "on_host", "hand_on"]


def test_a_prompt_is_numbers_of_any_kind_and_may_stand_alone(segmenter: PromptSegmenter) -> None:
    box = [np.int32(20), np.float32(12), 100, 60.0]
    wanted = segmenter(GREY, boxes=[(20, 12, 100, 60)]).masks
    for given in (
        {"prompts": Prompt(box=box)},
        {"prompts": (Prompt(box=np.array(box)),)},
        {"boxes": np.array([box], np.float16)},
    ):
        assert np.array_equal(segmenter(GREY, **given).masks, wanted)
    one = segmenter(GREY, prompts=Prompt(points=[np.array((80, 48))], labels=np.array([1])))
    assert np.array_equal(one.masks, segmenter(GREY, points=np.array((80, 48)), point_labels=1).masks)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"boxes": [(20, 12, 161, 60)]}, r"boxes\[0\]: the box 20,12,161,60 reaches out of the picture, .* 160 wide"),
        ({"boxes": [(100, 12, 20, 60)]}, r"left < right and top < bottom, but got 100,12,20,60"),
        ({"boxes": [(20, 12, 60)]}, r"shape \(N, 4\), but got shape \(1, 3\)"),
        ({"boxes": [(20, 12, np.nan, 60)]}, "must be of finite numbers, but got 20,12,nan,60"),
        ({"boxes": "corner"}, "boxes: must be numbers in pixels, but got 'corner'"),
        ({"points": [(48, 100)]}, r"points\[0\]: the point 48,100 lies outside the picture"),
        ({"points": [(80, 48)], "point_labels": [0]}, r"points\[0\]: shows background alone, no object"),
        ({"points": [(80, 48)], "point_labels": [2]}, "must be 1, on the object, or 0, background"),
        ({"points": [(80, 48)], "point_labels": [1, 0]}, "point_labels: must be as many as points, 1, nested"),
        ({"points": [[(80, 48)] * TOKENS]}, f"takes at most {TOKENS - 1} points, but got {TOKENS}"),
        ({"boxes": [(0, 0, 9, 9)], "points": [[(8, 4)] * 4]}, "takes at most 3 points beside a box, but got 4"),
        ({"boxes": [(0, 0, 9, 9)], "points": [(8, 4), (9, 9)]}, "list of points for each box, 1, but got 2"),
        ({"boxes": [(0, 0, 9, 9)], "prompts": []}, "prompts: are boxes and points already"),
        ({"prompts": [Prompt()]}, r"prompts\[0\]: is empty, no object"),
        ({"boxes": [(0, 0, 10**400, 5)]}, "boxes: must be numbers in pixels, but got"),
        ({"boxes": [(0, 0, 10**5000, 5)]}, "boxes: must be numbers in pixels, but got"),
        ({"boxes": np.array([(0, 0, 9j, 5)])}, "boxes: must be numbers in pixels, but got"),
        ({"boxes": np.zeros((3, 0))}, r"shape \(N, 4\), but got shape \(3, 0\)"),
        ({"boxes": [(None, 0, 9, 9)]}, r"boxes(\[0\])?: must be"),
        ({"points": 5}, "points: must be a list, one for each object, but got '5'"),
        ({"points": np.array(5)}, "points: must be a list, one for each object, but got '5'"),
        ({"points": "ab"}, "points: must be a list, one for each object, but got 'ab'"),
        ({"points": np.zeros((3, 0))}, r"points\[0\]: must be x, y, or a list"),
        ({"points": [(80, 48)], "point_labels": 1}, "point_labels: must be a list, one for each object, but got '1'"),
        ({"prompts": 5}, "prompts: must be a list, one for each object, but got '5'"),
        ({"prompts": "box"}, "prompts: must be a list, one for each object, but got 'box'"),
        ({"prompts": [(1, 2, 30, 40)]}, r"prompts\[0\]: must be a Prompt\(box=.*, but got '\(1, 2, 30, 40\)'"),
        ({"prompts": [Prompt(box=(1, 2, 3))]}, "a box must be left, top, right, bottom in pixels, but got '.1, 2, 3.'"),
        ({"prompts": [Prompt(box=5)]}, "a box must be left, top, right, bottom in pixels, but got '5'"),
        ({"prompts": [Prompt(box=("a", 2, 3, 4))]}, "a box must be left, top, right, bottom in pixels, but got"),
        ({"prompts": [Prompt(box=("1", 2, 3, 4))]}, "a box must be left, top, right, bottom in pixels, but got"),
        ({"prompts": [Prompt(box=(None, 2, 3, 4))]}, "a box must be left, top, right, bottom in pixels, but got"),
        ({"prompts": [Prompt(box=(0, 0, 10**400, 5))]}, "a box must be left, top, right, bottom in pixels, but got"),
        ({"prompts": [Prompt(box=(0, 0, np.complex64(9j), 5))]}, "a box must be left, top, right, bottom in pixels"),
        ({"prompts": [Prompt(points=(80, 48), labels=(1, 1))]}, r"points must each be x, y .*, but got '80'"),
        (
            {"prompts": [Prompt(points=((80, 48, 3),), labels=(1,))]},
            r"points must each be x, y .*, but got '\(80, 48, 3",
        ),
        ({"prompts": [Prompt(points=5, labels=(1,))]}, "points must be a tuple, one for each point, but got '5'"),
        (
            {"prompts": [Prompt(points=((80, 48),), labels=1)]},
            "labels must be a tuple, one for each point, but got '1'",
        ),
        ({"prompts": [Prompt(points=((80, 48),), labels=("a",))]}, "a point's label must be 1, .*, but got 'a'"),
        ({"prompts": [Prompt(points=((80, 48),), labels=([1, [2]],))]}, "a point's label must be 1, .*, but got"),
        ({}, "segments what prompts point at, but got none"),
    ],
)
def test_prompts_that_say_nothing_of_the_picture_are_refused(
    segmenter: PromptSegmenter, given: dict, message: str
) -> None:
    with pytest.raises(SegrtError, match=message) as refused:
        segmenter(GREY, **given)
    assert "\n" not in str(refused.value)


def test_nothing_is_segmented_without_prompts(folder: Path, segmenter: PromptSegmenter, tmp_path: Path) -> None:
    geometry = segmenter.embedded(GREY).geometry
    for use in (
        lambda: segmenter.detailed(GREY),
        lambda: segmenter.heads(GREY),
        lambda: segmenter.stream("video.mp4"),
        lambda: segmenter.preprocess(GREY, None),
        lambda: segmenter.postprocess({}, geometry),
        lambda: segmenter.decoded({}, geometry),
        lambda: segmenter([GREY], boxes=[(0, 0, 9, 9)]),
    ):
        with pytest.raises(SegrtError, match="prompts"):
            use()
    with pytest.raises(SegrtError, match="is one picture at a time, but got a list; call embedded for each picture"):
        segmenter.embedded([GREY])
    with pytest.raises(SegrtError, match="takes prompts, which tiles would cut"):
        open_bundle(folder, tile="32x32")
    with pytest.raises(SegrtError, match="--decode cuda: rule prompted_masks has no decoder"):
        open_bundle(folder, decode_on="cuda")
    write_image(tmp_path / "frame.png", GREY)
    with pytest.raises(SegrtError, match="prompts"):
        list(stream(segmenter, str(tmp_path)))


def test_trials_take_the_middle_of_the_picture(folder: Path) -> None:
    with open_segmenter(find_bundle(folder), threads=1, device="cpu", trial_prompt=True) as trial:
        result = trial(GREY)
        assert agree(result.masks[0], inside(WIDTH / 4, HEIGHT / 4, 3 * WIDTH / 4, 3 * HEIGHT / 4))
        assert result.timings.inference_ms > 0
        with pytest.raises(SegrtError, match="runs two networks, whose layers are not measured; leave out --layers"):
            measure_layers(trial, GREY)


def test_several_threads_share_a_segmenter(segmenter: PromptSegmenter) -> None:
    boxes = [(2 * index, index, 2 * index + 60, index + 40) for index in range(24)]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda box: segmenter(GREY, boxes=[box]).masks[0], boxes))
    assert all(agree(mask, inside(*box)) for mask, box in zip(found, boxes, strict=True))
