"""Things that walk through zones: what tests of zones, webhooks and clips run."""

import json
import time

import av
import numpy as np

from segrt.runtime.results import Label, PanopticResult, Segment
from segrt.runtime.stream.loop import open_pipeline
from segrt.runtime.stream.step import Step
from segrt.runtime.zones.shapes import Line, Zone, ZonePlan

LABELS = (Label("person", 0, True, (220, 20, 60)), Label("road", 1, False, (128, 64, 128)))
DOOR = Zone("door", polygon=((0.5, 0.0), (1.0, 0.0), (1.0, 1.0), (0.5, 1.0)))
GATE = Line("gate", start=(0.5, 0.0), end=(0.5, 1.0))


def plan(*places, rules=()):
    zones = tuple(place for place in places if isinstance(place, Zone))
    lines = tuple(place for place in places if isinstance(place, Line))
    return ZonePlan(zones, lines, ("person", "road"), rules)


class Walker(Step):
    """Puts one person into each result, who is in the right half in frames `inside`."""

    name = "tracked"

    def __init__(self, inside, track=1):
        self.inside, self.track = inside, track

    def take(self, frame, result):  # noqa: D102
        height, width = result.size
        left = width // 2 if frame.index in self.inside else 0
        ids = np.zeros((height, width), np.int32)
        ids[:, left : left + width // 2] = 1
        box = (left, 0, width // 2, height)
        return PanopticResult(ids, [Segment(1, 0, True, 0.9, int(ids.sum()), box, track_id=self.track)], LABELS)


def run(fakes, source, step, inside, *, track=1, sinks=()):
    """Run one step or several behind a walker."""
    behind = step if isinstance(step, list) else [step]
    with fakes.PanopticSegmenter() as segmenter:
        pipeline = open_pipeline(segmenter, source, sinks, steps=[Walker(inside, track), *behind])
        pipeline.run()
    return pipeline


def lines_of(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def wait_for(condition, seconds=10):
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert condition()


def write_film(path, frames=60, rate=10, gop=10):
    with av.open(str(path), "w") as film:
        stream = film.add_stream("libx264", rate=rate, options={"bf": "2", "g": str(gop)})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for index in range(frames):
            image = np.full((48, 64, 3), index * 4, np.uint8)
            film.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="bgr24")))
        film.mux(stream.encode(None))
