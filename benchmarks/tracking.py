"""What following things costs, and how well it is done, beside ByteTrack on the same detections.

    python benchmarks/tracking.py speed [--frames N]
    python benchmarks/tracking.py quality [--seeds 1-20] [--fps F] [--busy B]

- speed: 50 tracks at 1080x1920, on one processor: `Tracker.update` (masks, association, paths), the overlay as a stream
  draws it, the tracks alone painted into the frame, and the counting of five large zones; the peers follow boxes, and
  draw and count nothing here
- quality: HOTA and IDF1, by mask IoU, on street clips: the embedded panoptic model's things, and the truth's masks as
  things. ByteTrack gets the same things as boxes; its ids are then those of their masks

ByteTrack is that of supervision (up to 0.28, which has it) and that of trackers, each where it is installed.
"""

import argparse
import os
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import version
from typing import Any

import cv2
import numpy as np

from segrt.runtime import open_bundle
from segrt.runtime.draw import overlay
from segrt.runtime.evaluate.clips.track_scores import FrameMatches, TrackScores
from segrt.runtime.postproc import count_overlaps
from segrt.runtime.results import Label, PanopticResult, Segment
from segrt.runtime.streetworld import StreetWorld
from segrt.runtime.streetworld.taxonomy import STUFF, street_labels
from segrt.runtime.streetworld.world import StreetView
from segrt.runtime.tracking import Tracker
from segrt.runtime.zones.counting import ZoneCounter
from segrt.runtime.zones.shapes import Line, Zone, ZonePlan

STREET = street_labels()
LABELS = (Label("ground", 1, False, (90, 90, 90)), Label("thing", 2, True, (200, 0, 0)))
Follow = Callable[[PanopticResult, float], list[int | None]]


def ours() -> Follow:
    """Return what follows things by segrt's tracker."""
    tracker = Tracker()
    return lambda result, pts: [segment.track_id for segment in tracker.update(result, pts)]


def byte_track(package: str, fps: float) -> Callable[[], Follow]:
    """Return what makes ByteTrack of `package`, lost tracks living for as long as ours."""

    def make() -> Follow:
        supervision = import_module("supervision")
        buffer = 90  # of 30 frames a second: three seconds
        if package == "supervision":
            tracker = supervision.ByteTrack(frame_rate=fps, lost_track_buffer=buffer)
            update = tracker.update_with_detections
        else:
            tracker = import_module("trackers").ByteTrackTracker(
                frame_rate=fps, lost_track_buffer=buffer, minimum_consecutive_frames=1, track_activation_threshold=0.5
            )
            update = tracker.update

        def follow(result: PanopticResult, pts: float) -> list[int | None]:  # noqa: ARG001
            places = [place for place, segment in enumerate(result) if segment.isthing]
            boxes = np.array([result[place].bbox for place in places], np.float32).reshape(-1, 4)
            boxes[:, 2:] += boxes[:, :2]
            found = update(
                supervision.Detections(
                    xyxy=boxes,
                    confidence=np.array([result[place].score for place in places], np.float32),
                    class_id=np.array([result[place].class_id for place in places], int),
                    data={"place": np.array(places, int)},
                )
            )
            ids: list[int | None] = [None] * len(result)
            for place, track in zip(found.data.get("place", ()), found.tracker_id, strict=True):
                ids[int(place)] = int(track) if track >= 0 else None
            return ids

        return follow

    return make


def peers(fps: float) -> dict[str, Callable[[], Follow]]:
    """Return the trackers that are there, by name and version."""
    there: dict[str, Callable[[], Follow]] = {"segrt": ours}
    for package in ("supervision", "trackers"):
        try:
            make = byte_track(package, fps)
            make()
        except (ImportError, AttributeError):
            print(f"without {package}: not installed, or without a ByteTrack of its own")
            continue
        there[f"ByteTrack of {package} {version(package)}"] = make
    return there


def moving_things(frames: int, things: int = 50, size: tuple[int, int] = (1080, 1920)) -> list[PanopticResult]:
    """Return results of `things` ellipses that move and cover each other, as a decoder paints them."""
    height, width = size
    rng = np.random.default_rng(0)
    start, speed = rng.uniform((0, 0), (width, height), (things, 2)), rng.uniform(-6, 6, (things, 2))
    axes = rng.uniform((20, 30), (60, 110), (things, 2))
    results = []
    for frame in range(frames):
        ids = np.ones(size, np.uint8)
        for number in range(things):
            x, y = (start[number] + frame * speed[number]) % (width, height)
            half = axes[number]
            cv2.ellipse(ids, (int(x), int(y)), (int(half[0]), int(half[1])), 0, 0, 360, number + 2, -1)
        segments = [Segment(1, 0, False, 1.0, int((ids == 1).sum()), (0, 0, width, height))]
        for number in range(2, things + 2):
            x, y, w, h = cv2.boundingRect((ids == number).view(np.uint8))
            if w:
                score = float(rng.uniform(0.5, 1))  # it is another one in every frame, as a network's
                segments.append(Segment(number, 1, True, score, int((ids == number).sum()), (x, y, w, h)))
        results.append(PanopticResult.decided(ids, segments, LABELS))
    return results


def timed(what: Callable[[int], Any], frames: int) -> tuple[list[Any], np.ndarray]:
    """Return what each frame gave, and the milliseconds of processor time that it took."""
    given, times = [], []
    for index in range(frames):
        begin = time.process_time()
        given.append(what(index))
        times.append((time.process_time() - begin) * 1e3)
    return given, np.array(times)


def supervision_drawing(picture: np.ndarray, result: PanopticResult) -> Callable[[int], None] | None:
    """Return what paints a result's things with supervision's annotators, None without it.

    The masks of whole pictures that it wants are there already.
    """
    try:
        supervision = import_module("supervision")
        painters = supervision.MaskAnnotator(), supervision.PolygonAnnotator()
        labels = supervision.LabelAnnotator()
    except (ImportError, AttributeError):
        return None
    things = [segment for segment in result if segment.isthing]
    boxes = np.array([segment.bbox for segment in things], float)
    boxes[:, 2:] += boxes[:, :2]
    found = supervision.Detections(
        xyxy=boxes,
        mask=np.stack([result.segment_ids == segment.id for segment in things]),
        confidence=np.array([segment.score for segment in things]),
        class_id=np.ones(len(things), int),
    )
    texts = [f"thing {segment.track_id} {segment.score:.2f}" for segment in things]
    frame = picture.copy()

    def draw(_: int) -> None:
        for painter in painters:
            painter.annotate(frame, found)
        labels.annotate(frame, found, labels=texts)

    return draw


def measure_speed(frames: int) -> None:
    """Print milliseconds a frame, of one processor's time."""
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    cv2.setNumThreads(1)
    results = moving_things(frames)
    print(f"{np.mean([len(result) - 1 for result in results]):.1f} things in 1080x1920, {frames} frames, one processor")

    def told(name: str, times: np.ndarray) -> None:
        print(f"{name}: median {np.median(times):.3f} ms, p10 {np.percentile(times, 10):.3f}, mean {times.mean():.3f}")

    tracker = Tracker()
    # The first that sees the results: they keep the runs of their things, which are found here.
    tracked, following = timed(lambda index: tracker.update(results[index], index / 25), frames)
    told("segrt", following)
    for name, make in peers(25.0).items():
        if make is not ours:
            follow = make()
            told(name, timed(lambda index, follow=follow: follow(results[index], index / 25), frames)[1])
    grain = np.random.default_rng(0).integers(0, 256, (108, 192, 3), dtype=np.uint8)
    picture = cv2.resize(grain, (1920, 1080), interpolation=cv2.INTER_LINEAR)
    for name, captions in (("overlay", True), ("overlay without captions", False)):

        def draw(index: int, *, captions: bool = captions) -> None:  # the picture is let go of, as by a stream's sinks
            overlay(picture, tracked[index], captions=captions)

        draw(0)
        drawing = timed(draw, frames)[1]
        told(name, drawing)
        told(f"update and {name}", following + drawing)
    frame = picture.copy()
    for name, captions in (("tracks alone, in place", False), ("tracks alone with captions, in place", True)):

        def paint(index: int, *, captions: bool = captions) -> None:
            overlay(frame, tracked[index], captions=captions, stuff=False, out=frame)

        paint(0)
        drawing = timed(paint, frames)[1]
        told(name, drawing)
        told(f"update and {name}", following + drawing)
    peer = supervision_drawing(picture, tracked[0])
    if peer is not None:
        told("supervision's masks, polygons and labels", timed(peer, min(frames, 20))[1])
    corners = [((0.02 * n, 0.02), (0.9 + 0.02 * n, 0.05), (0.95, 0.95), (0.05, 0.9)) for n in range(5)]
    zones = tuple(Zone(f"zone {n}", polygon=polygon) for n, polygon in enumerate(corners))
    line = Line("line", start=(0.5, 0.0), end=(0.5, 1.0))
    counter = ZoneCounter(ZonePlan(zones, (line,), tuple(label.name for label in LABELS)))
    told("five zones and a line", timed(lambda index: counter.update(index, index / 25, tracked[index]), frames)[1])


@dataclass(frozen=True)
class Shown:
    """A frame of a clip: its time, its truth, and what is followed in it."""

    pts: float
    view: StreetView
    things: PanopticResult


def truth_of(view: StreetView) -> PanopticResult:
    """Return the truth as a result; crowd, what is too small to be told, is left out."""
    segments = []
    for segment in view.segments:
        if not segment.iscrowd:
            box = cv2.boundingRect((view.segment_ids == segment.id).view(np.uint8))
            thing = segment.class_id >= len(STUFF)
            segments.append(Segment(segment.id, segment.class_id, thing, 1.0, segment.area, tuple(map(int, box))))
    return PanopticResult.decided(view.segment_ids, segments, STREET)


def clip(seed: int, fps: float, busy: float, segmenter: Any | None) -> Iterator[Shown]:
    """Yield eight seconds of the street of `seed`, seen by the segmenter, or by its truth without one."""
    world = StreetWorld(seed, busy=busy)
    for index in range(int(8 * fps)):
        view = world.render(index / fps, (360, 640))
        yield Shown(index / fps, view, truth_of(view) if segmenter is None else segmenter(view.image))


def matches_of(shown: Shown, ids: list[int | None]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the ids of truth and tracks, and mask IoUs, 0 between classes; what lies in crowd is left out."""
    truth = [segment for segment in shown.view.segments if segment.class_id >= len(STUFF)]
    found = [(segment, ids[place]) for place, segment in enumerate(shown.things) if segment.isthing]
    found = [(segment, track) for segment, track in found if track is not None]
    counts = count_overlaps(
        shown.view.segment_ids, shown.things.stored_ids, [s.id for s in truth], [s.id for s, _ in found]
    )
    shared, areas = counts[1:, 1:], counts[:, 1:].sum(axis=0)
    iou = shared / np.maximum(np.array([s.area for s in truth])[:, None] + areas - shared, 1)
    iou *= np.array([s.class_id for s in truth])[:, None] == np.array([s.class_id for s, _ in found])
    crowd = np.array([s.iscrowd for s in truth], bool)
    kept = shared[crowd].sum(axis=0) <= 0.5 * areas
    tracks = np.array([track for _, track in found], np.int64)
    return np.array([s.id for s in truth])[~crowd], tracks[kept], iou[~crowd][:, kept]


def numbered(frames: list[tuple[np.ndarray, np.ndarray, np.ndarray]]) -> list[FrameMatches]:
    """Return a clip's frames with its ids as places from 0 on."""
    true: dict[int, int] = {}
    followed: dict[int, int] = {}

    def places(ids: np.ndarray, known: dict[int, int]) -> np.ndarray:
        return np.array([known.setdefault(int(one), len(known)) for one in ids], np.int64)

    return [FrameMatches(places(ids, true), places(tracks, followed), iou) for ids, tracks, iou in frames]


def measure_quality(seeds: range, fps: float, busy: float) -> None:
    """Print HOTA and IDF1 over the clips of all seeds."""
    makers = peers(fps)
    with open_bundle("street-panoptic", threads=1, device="cpu") as segmenter:
        for title, seen_by in (("street-panoptic", segmenter), ("truth", None)):
            scores = {name: TrackScores() for name in makers}
            for seed in seeds:
                follows = {name: make() for name, make in makers.items()}
                clips: dict[str, list[tuple[np.ndarray, np.ndarray, np.ndarray]]] = {name: [] for name in makers}
                for shown in clip(seed, fps, busy, seen_by):
                    for name, follow in follows.items():
                        clips[name].append(matches_of(shown, follow(shown.things, shown.pts)))
                for name, frames in clips.items():
                    scores[name].add_clip(numbered(frames))
            for name, of_all in scores.items():
                values = of_all.figures()
                print(f"{title}, {name}:", *(f"{key} {value:.4f}" for key, value in values.items()), flush=True)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["speed", "quality"])
    parser.add_argument("--frames", type=int, default=300)
    parser.add_argument("--seeds", default="1-20")
    parser.add_argument("--fps", type=float, default=12.5)
    parser.add_argument("--busy", type=float, default=1.0)
    options = parser.parse_args()
    warnings.filterwarnings("ignore")
    if options.what == "speed":
        measure_speed(options.frames)
    else:
        first, _, last = options.seeds.partition("-")
        measure_quality(range(int(first), int(last or first) + 1), options.fps, options.busy)


if __name__ == "__main__":
    main()
