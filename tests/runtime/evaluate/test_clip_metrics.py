"""Figures of clips: those of public code on the same clips, and those of plain slow versions on others."""

import numpy as np
import pytest
from clip_reference import best_by_trial, stq, tracking, vpq
from made_clips import LABELS, MadeFrame, made_clip, made_clips

from segrt.runtime.errors import SegrtError
from segrt.runtime.evaluate.class_matching import ClassMatch
from segrt.runtime.evaluate.clips.pairing_up import best_pairs
from segrt.runtime.evaluate.clips.panoptic_clip_meter import PanopticClipMeter
from segrt.runtime.evaluate.clips.tracking_meter import InstanceTrackingMeter, PanopticTrackingMeter
from segrt.runtime.evaluate.datasets.dataset import ClipSpan
from segrt.runtime.evaluate.evaluation import Evaluation
from segrt.runtime.evaluate.metrics.meter import MeterOptions
from segrt.runtime.evaluate.truth import PanopticTruth, TruthSegment
from segrt.runtime.results import PanopticResult

MATCH = ClassMatch(LABELS, np.arange(len(LABELS)), np.arange(len(LABELS)))
SPAN = ClipSpan("clip", 0, 1)

# Of public_clip_metrics.py, with VPSNet's and deeplab2's code and TrackEval 1.3.0.
VPSNET = {
    "vpq_1": 0.568830743, "vpq_1_things": 0.368651485, "vpq_1_stuff": 0.769010000,
    "vpq_5": 0.516720702, "vpq_5_things": 0.289152253, "vpq_5_stuff": 0.744289152,
    "vpq_10": 0.509650425, "vpq_10_things": 0.278748137, "vpq_10_stuff": 0.740552712,
    "vpq_15": 0.523979803, "vpq_15_things": 0.266756778, "vpq_15_stuff": 0.781202829,
}  # fmt: skip
DEEPLAB2 = {"stq": 0.427075613, "aq": 0.363779121, "stq_iou": 0.501385508}
TRACKEVAL = {
    "car": {
        "hota": 0.502426730, "deta": 0.458611251, "assa": 0.575290351, "loca": 0.734303939,
        "idf1": 0.644549763, "mota": 1 / 3,
    },
    "person": {
        "hota": 0.294284456, "deta": 0.220374934, "assa": 0.398560003, "loca": 0.708711505,
        "idf1": 0.364705882, "mota": -0.693548387,
    },
}  # fmt: skip


def measured(meter, clips) -> Evaluation:
    """Return the figures of a meter that was shown the clips."""
    for clip in clips:
        meter.begin_clip(SPAN)
        for frame in clip:
            meter.update(frame.predicted, frame.truth)
    return meter.result()


def test_vpq_and_stq_are_those_of_public_code() -> None:
    figures = measured(PanopticClipMeter(MATCH, MeterOptions()), made_clips(crowd=True)).metrics
    assert {name: figures[name] for name in VPSNET} == pytest.approx(VPSNET, abs=1e-6)
    assert {name: figures[name] for name in DEEPLAB2} == pytest.approx(DEEPLAB2, abs=1e-6)
    assert figures["vpq"] == pytest.approx(np.mean([VPSNET[f"vpq_{length}"] for length in (1, 5, 10, 15)]), abs=1e-6)


def test_hota_idf1_and_mota_are_those_of_public_code() -> None:
    evaluation = measured(PanopticTrackingMeter(MATCH, MeterOptions()), made_clips(crowd=False))
    for name, figures in TRACKEVAL.items():
        assert evaluation.per_class[name] == pytest.approx(figures, abs=1e-6)
    assert evaluation.metrics["hota"] == pytest.approx(np.mean([each["hota"] for each in TRACKEVAL.values()]), abs=1e-6)
    assert set(evaluation.per_class) == set(TRACKEVAL)  # stuff is not tracked


@pytest.mark.parametrize("seed", [11, 12])
def test_figures_are_those_of_plain_slow_versions(seed: int) -> None:
    clips = [made_clip(seed, 9), made_clip(seed + 100, 7)]
    evaluation = measured(PanopticClipMeter(MATCH, MeterOptions()), clips)
    for length in (1, 5):
        slow = vpq(clips, length)
        assert {index: evaluation.per_class[LABELS[index].name][f"vpq_{length}"] for index in slow} == pytest.approx(
            slow
        )
    found = [evaluation.metrics[name] for name in ("stq", "aq", "stq_iou")]
    assert found == pytest.approx(stq(clips))
    tracked = measured(PanopticTrackingMeter(MATCH, MeterOptions()), clips).per_class
    for class_id in (2, 3):
        slow = tracking(clips, class_id)
        assert {name: tracked[LABELS[class_id].name][name] for name in slow} == pytest.approx(slow)


def test_a_window_longer_than_a_clip_has_no_figure() -> None:
    figures = measured(PanopticClipMeter(MATCH, MeterOptions()), [made_clip(4, 9)]).metrics
    assert figures["vpq_10"] is None
    assert figures["vpq"] == pytest.approx((figures["vpq_1"] + figures["vpq_5"]) / 2)


def test_masks_as_objects_have_the_figures_of_the_map() -> None:
    clips = made_clips(crowd=True)
    of_maps = measured(PanopticTrackingMeter(MATCH, MeterOptions()), clips).metrics
    objects = [
        [
            MadeFrame(
                frame.truth,
                frame.predicted.to_result().with_tracks([item.id for item in frame.predicted.segments]).to_instances(),
            )
            for frame in clip
        ]
        for clip in clips
    ]
    assert measured(InstanceTrackingMeter(MATCH, MeterOptions()), objects).metrics == pytest.approx(of_maps)


def test_meters_of_single_clips_add_up() -> None:
    clips = made_clips(crowd=True)
    for kind in (PanopticClipMeter, PanopticTrackingMeter):
        parts = [kind(MATCH, MeterOptions()) for _ in clips]
        for part, clip in zip(parts, clips, strict=True):
            measured(part, [clip])
        for part in parts[1:]:
            parts[0].merge(part)
        assert parts[0].result() == measured(kind(MATCH, MeterOptions()), clips)


def tracked_result(frame: MadeFrame, track_ids: list[int | None]) -> PanopticResult:
    """Return a frame's prediction as a segmenter and tracker give it."""
    return frame.predicted.to_result().with_tracks(track_ids)


def test_results_of_a_tracker_count_as_files_with_its_ids() -> None:
    clip = made_clip(6)
    results = [MadeFrame(f.truth, tracked_result(f, [item.id for item in f.predicted.segments])) for f in clip]
    for kind in (PanopticClipMeter, PanopticTrackingMeter):
        assert measured(kind(MATCH, MeterOptions()), [results]) == measured(kind(MATCH, MeterOptions()), [clip])


def test_a_thing_without_a_track_is_a_segment_of_its_frame_alone() -> None:
    clip = made_clip(6)
    thing = [LABELS[item.class_id].isthing for item in clip[0].predicted.segments]
    some = [
        MadeFrame(f.truth, tracked_result(f, [item.id if item.id != 210 else None for item in f.predicted.segments]))
        for f in clip
    ]
    assert any(thing)
    figures = [measured(PanopticClipMeter(MATCH, MeterOptions()), [each]).metrics for each in (clip, some)]
    assert figures[0]["vpq_1"] == figures[1]["vpq_1"]  # each frame alone is as good
    assert figures[0]["stq_iou"] == figures[1]["stq_iou"]
    scores = [measured(PanopticTrackingMeter(MATCH, MeterOptions()), [each]).metrics for each in (clip, some)]
    without = [
        MadeFrame(
            f.truth,
            PanopticTruth(
                np.where(f.predicted.ids == 210, 0, f.predicted.ids).astype(np.int32),
                tuple(item for item in f.predicted.segments if item.id != 210),
                LABELS,
            ),
        )
        for f in clip
    ]
    assert scores[1] == pytest.approx(measured(PanopticTrackingMeter(MATCH, MeterOptions()), [without]).metrics)


@pytest.mark.parametrize(
    ("track_ids", "message"),
    [
        (lambda index, number: None, "none of its objects has a track"),  # noqa: ARG005
        (lambda index, number: 1 + 100 * index + number, "no id is in two frames: the ids are new in each"),
    ],
)
def test_predictions_without_tracks_are_refused(track_ids, message: str) -> None:
    clip = made_clip(6, 5)
    results = [
        MadeFrame(f.truth, tracked_result(f, [track_ids(index, n) for n in range(len(f.predicted.segments))]))
        for index, f in enumerate(clip)
    ]
    with pytest.raises(SegrtError, match=f"the predictions are not tracked: {message}; give results of a tracker"):
        measured(PanopticTrackingMeter(MATCH, MeterOptions()), [results])


def test_two_objects_of_one_track_in_a_frame_are_refused() -> None:
    frame = made_clip(6)[4]
    tracks = [7 if LABELS[item.class_id].isthing else None for item in frame.predicted.segments]
    with pytest.raises(SegrtError, match="track 7 twice in one frame; a track is one object"):
        PanopticClipMeter(MATCH, MeterOptions()).update(tracked_result(frame, tracks), frame.truth)


def test_what_an_instance_model_finds_on_stuff_is_wrong_and_on_void_is_not_counted() -> None:
    """The classes that it does not know are no void."""
    ids = np.zeros((20, 30), np.int32)
    ids[:, 10:20], ids[:, 20:] = 1, 5  # void, road, car
    whole = PanopticTruth(ids, (TruthSegment(1, 0, iscrowd=False), TruthSegment(5, 2, iscrowd=False)), LABELS)
    things = ClassMatch(LABELS[2:], np.array([0, 1]), np.array([-1, -1, 0, 1]))
    from segrt.runtime.evaluate.conversion import truth

    expected = {0: (1.0, 1.0), 10: (2 / 3, 0.0)}  # IDF1 and MOTA with a second car on void, on road
    for left, (idf1, mota) in expected.items():
        found = np.zeros((20, 30), np.int32)
        found[:, 20:], found[:, left : left + 9] = 5, 6
        segments = (TruthSegment(5, 0, iscrowd=False), TruthSegment(6, 0, iscrowd=False))
        objects = PanopticTruth(found, segments, LABELS[2:]).to_result().with_tracks([5, 6]).to_instances()
        meter = InstanceTrackingMeter(things, MeterOptions())
        clip = [MadeFrame(truth(whole, things), objects)] * 2
        figures = measured(meter, [clip]).metrics
        assert (figures["idf1"], figures["mota"]) == pytest.approx((idf1, mota))


def test_assignment_is_the_best_of_all() -> None:
    random = np.random.default_rng(0)
    for _ in range(300):
        scores = random.random(random.integers(0, 6, 2)) * (random.random() < 0.9)
        scores *= random.random(scores.shape) < random.choice([0.3, 0.7, 1.0])
        rows, columns = best_pairs(scores)
        assert scores[rows, columns].sum() == pytest.approx(sum(scores[i, j] for i, j in best_by_trial(scores)))
        assert len(set(rows.tolist())) == len(rows)
        assert len(set(columns.tolist())) == len(columns)
        assert (scores[rows, columns] > 0).all()
