"""Steps between post-processing and the sinks: in order, counted as stages, closed in the end whatever comes."""

from dataclasses import replace

import pytest

from segrt.runtime.stream.loop import open_pipeline
from segrt.runtime.stream.sinks.sink import Sink
from segrt.runtime.stream.step import Step


class Numbering(Step):
    """Gives every segment the number of results so far as its track; raises where it is told to."""

    name = "number"

    def __init__(self, fail_at=None):
        self.count, self.closes, self.fail_at = 0, 0, fail_at

    def take(self, frame, result):  # noqa: D102
        if frame.index == self.fail_at:
            raise RuntimeError("step")
        self.count += 1
        return result.with_tracks([self.count] * len(result))

    def close(self):  # noqa: D102
        self.closes += 1


class Doubling(Step):
    """Doubles every track id."""

    name = "double"

    def take(self, frame, result):  # noqa: ARG002, D102
        return replace(result, segments=[replace(item, track_id=2 * item.track_id) for item in result])


class TrackSink(Sink):
    """Keeps the track of each result's first segment."""

    name = "tracks"

    def __init__(self):
        self.tracks, self.closes = [], 0

    def open(self, sources):  # noqa: D102
        pass

    def write(self, frame, result, drawn):  # noqa: ARG002, D102
        self.tracks.append(result[0].track_id)

    def close(self):  # noqa: D102
        self.closes += 1


def test_results_go_through_the_steps_in_order(fakes):
    sink, numbering = TrackSink(), Numbering()
    with fakes.PanopticSegmenter() as segmenter:
        pipeline = open_pipeline(segmenter, fakes.ListSource(5), [sink], steps=[numbering, Doubling()])
        pipeline.run()
    assert sink.tracks == [2, 4, 6, 8, 10]
    assert numbering.closes == 1
    assert {"number", "double"} <= set(pipeline.recorder.metrics().stages)


def test_a_step_that_fails_ends_the_run_after_the_frames_before(fakes):
    sink, numbering = TrackSink(), Numbering(fail_at=3)
    with fakes.PanopticSegmenter() as segmenter:
        pipeline = open_pipeline(segmenter, fakes.ListSource(5), [sink], steps=[numbering])
        with pytest.raises(RuntimeError, match="step"):
            pipeline.run()
    assert sink.tracks == [1, 2, 3]
    assert numbering.closes == sink.closes == 1
