"""Streams that follow things: a tracker for each source, and a technique without things refused in one line."""

import json

import numpy as np
import pytest

from segrt.runtime.errors import SegrtError
from segrt.runtime.results import Label, PanopticResult, Segment
from segrt.runtime.stream import stream
from segrt.runtime.stream.loop import run_stream
from segrt.runtime.tracking import TrackerOptions

LABELS = (Label("road", 1, False, (9, 9, 9)), Label("car", 2, True, (0, 0, 200)))


@pytest.fixture
def walking(fakes):
    """A segmenter whose pictures show one car, a pixel further to the right in each frame; hidden in frame 3."""

    class WalkingSegmenter(fakes.FakeSegmenter):
        technique = "panoptic"
        labels = LABELS

        def postprocess(self, heads, geometry, index=0):
            frame = int(super().postprocess(heads, geometry, index).class_map[0, 0])
            ids = np.ones((20, 40), np.int32)
            segments = [Segment(1, 0, False, 1.0, 800, (0, 0, 40, 20))]
            if frame != 3:
                ids[5:15, frame : frame + 10] = 2
                segments.append(Segment(2, 1, True, 0.9, 100, (frame, 5, 10, 10)))
            return PanopticResult(ids, segments, LABELS)

    with WalkingSegmenter() as segmenter:
        yield segmenter


def test_things_keep_their_ids_in_each_source(walking, fakes):
    sources = [fakes.ListSource(6, source_id=name, size=(20, 40)) for name in ("a", "b")]
    seen = {"a": [], "b": []}
    for frame, result in stream(walking, sources, track=True):
        seen[frame.source_id].append([item.track_id for item in result])
    hidden = [[2, 1]] * 3 + [[2]] + [[2, 1]] * 2
    assert seen == {"a": hidden, "b": hidden}


def test_options_of_a_tracker_are_taken_and_its_stage_is_measured(walking, fakes, tmp_path):
    out = tmp_path / "out.jsonl"
    options = TrackerOptions(lost_seconds=0.0)
    metrics = run_stream(walking, fakes.ListSource(6, size=(20, 40)), [out], track=options)
    assert metrics.stages["tracked"].mean_ms > 0
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    cars = [[item["track_id"] for item in row["segments"] if item["name"] == "car"] for row in rows]
    assert cars == [[1], [1], [1], [], [3], [3]]


def test_a_technique_without_things_is_refused_before_anything_is_opened(fakes):
    with fakes.FakeSegmenter() as segmenter:
        source = fakes.ListSource(3)
        with pytest.raises(
            SegrtError,
            match=r"^--track \(track=True\): takes instance or panoptic results, but the bundle's are semantic",
        ):
            stream(segmenter, source, track=True)
        assert source.given == 0
