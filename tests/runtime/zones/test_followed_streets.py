"""Things that are followed by their masks alone: zones and lines see the same as with the truth's own ids."""

from collections import Counter

import pytest

from segrt.runtime.streetworld.clips import LABELS, ClipFrame, StreetClip
from segrt.runtime.tracking import Tracker, TrackerOptions
from segrt.runtime.zones.counting import ZoneCounter
from segrt.runtime.zones.shapes import Line, Zone, ZonePlan

pytest.importorskip("scipy")
PLAN = ZonePlan(
    (
        Zone("left", polygon=((0.0, 0.3), (0.5, 0.4), (0.45, 1.0), (0.0, 1.0))),
        Zone("crossing", polygon=((0.25, 0.55), (0.75, 0.55), (0.9, 0.95), (0.1, 0.95)), share=0.3),
    ),
    (Line("middle", start=(0.5, 0.3), end=(0.52, 1.0)), Line("bar", start=(0.1, 0.62), end=(0.9, 0.6))),
    tuple(label.name for label in LABELS),
)


def seen(frames: list[ClipFrame], tracker: Tracker | None) -> tuple[Counter[object], list[object]]:
    """Return how often each event was told at each frame, whoever it was about, and the counts of each frame."""
    counter, told, counts = ZoneCounter(PLAN, "street"), Counter[object](), []
    for frame in frames:
        result = frame.truth
        if tracker is not None:
            result = tracker.update(result.with_tracks([None] * len(result)), frame.pts, frame.image)
        update = counter.update(frame.index, frame.pts, result)
        counts.append(update.counts)
        told.update((one.event, one.zone, one.class_name, one.index, one.direction) for one in update.events)
    return told, counts


@pytest.mark.parametrize("seed", [2, 4, 7, 8])
def test_events_and_counts_are_those_of_the_truths_ids(seed: int) -> None:
    frames = list(StreetClip(seed, frames=60, size=(96, 160), fps=8, meetings=0))
    expected, counts = seen(frames, None)
    assert sum(expected.values()) > 50
    assert min(sum(number for (event, *_), number in expected.items() if event == kind)  # type: ignore[misc]
               for kind in ("entered", "left", "crossed", "gone")) > 3  # fmt: skip
    assert seen(frames, Tracker()) == (expected, counts)


def test_colours_tell_whom_masks_take_for_another() -> None:
    """Colours were weighed on this clip among others; by masks alone two cyclists change places in it."""
    frames = list(StreetClip(115, frames=60, size=(96, 160), fps=8, meetings=0))
    truth = seen(frames, None)
    assert seen(frames, Tracker()) != truth
    assert seen(frames, Tracker(TrackerOptions(appearance=0.9))) == truth
