"""The stages, each a loop from one channel to the next, and the job that they pass on.

A stage returns when there is nothing more to do and lets `Ended` and `Stopped` through; the pipeline closes and
aborts its channels then. Slots are scarce and always come back: whoever holds a job that it cannot pass on releases
the job's slot.
"""

import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from segrt.runtime.errors import SegrtError
from segrt.runtime.results import Result, Timings
from segrt.runtime.stream.channel import Channel, Stopped
from segrt.runtime.stream.finite import count_nonfinite
from segrt.runtime.stream.frame import Frame
from segrt.runtime.stream.metrics import Recorder
from segrt.runtime.stream.sinks.base import Sink
from segrt.runtime.stream.sources.base import Source, SourceInfo

if TYPE_CHECKING:
    from segrt.runtime.backends.base import Backend, Slot
    from segrt.runtime.geometry import Geometry
    from segrt.runtime.segmenter import Segmenter

Picture = npt.NDArray[np.uint8]
Draw = Callable[[Picture, Result], Picture]


@dataclass(eq=False)
class Job:
    """A frame on its way, and what the stages have added to it."""

    frame: Frame
    slot: "Slot | None"
    waited: bool = False
    geometry: "Geometry | None" = None
    heads: Any = None
    preprocess_ms: float = 0.0
    inference_ms: float = 0.0
    result: Result | None = None
    drawn: Picture | None = None


def capture(source: Source, lane: int, captured: Channel[Frame], recorder: Recorder, *, paced: bool) -> None:
    """Put every frame of `source` into its lane; `paced` plays it at its own speed."""
    source_id = source.info.source_id
    pace = Pace()
    frames = source.frames()
    try:
        while True:
            start = time.perf_counter()
            frame = next(frames, None)
            if frame is None:
                return
            recorder.took(source_id, "decode", _ms_since(start))
            if paced:
                captured.pause(pace.seconds_until(frame.pts))
            if captured.put(frame, lane) is not None:
                recorder.dropped(source_id)
    except Stopped:
        pass
    except BaseException:
        # What has been captured, of all sources, still goes through; nothing new does.
        captured.close()
        raise
    finally:
        captured.close(lane)
        source.close()


def preprocess(
    segmenter: "Segmenter",
    captured: Channel[Frame],
    submitted: Channel[Job],
    recorder: Recorder,
    *,
    max_frames: int | None,
    delivered: Channel[Job] | None,
) -> None:
    """Write frames into slots and submit them, at most `max_frames`.

    A frame is taken last, so that it is the newest there is. Before a slot is taken, there is room for its result in
    `delivered`: no slot is held while the consumer of results thinks, for it may want to use the segmenter itself.
    """
    backend = segmenter.backend
    count = 0
    while max_frames is None or count < max_frames:
        if delivered is not None:
            delivered.reserve()
        slot = backend.acquire()
        try:
            frame = captured.get()
            recorder.entered(frame.source_id)
            job = Job(frame, slot)
            start = time.perf_counter()
            job.geometry = segmenter.preprocess(frame.image, slot)
            slot.sources[:] = [frame.source_id]
            job.preprocess_ms = _ms_since(start)
            backend.submit(slot)
        except BaseException:
            with suppress(SegrtError):
                backend.release(slot)
            raise
        count += 1
        _pass_on(job, [submitted], backend)


def infer(backend: "Backend", submitted: Channel[Job], inferred: Channel[Job]) -> None:
    """Wait for the heads of submitted jobs."""
    while True:
        job = submitted.get()
        assert job.slot is not None
        try:
            job.waited = True
            job.heads = backend.wait(job.slot)
            job.inference_ms = job.slot.inference_ms
        except BaseException:
            release([job], backend)
            raise
        _pass_on(job, [inferred], backend)


def postprocess(
    segmenter: "Segmenter", inferred: Channel[Job], targets: Sequence[Channel[Job]], recorder: Recorder
) -> None:
    """Turn heads into results and give the slots back."""
    while True:
        job = inferred.get()
        assert job.geometry is not None
        try:
            start = time.perf_counter()
            result = segmenter.postprocess(job.heads, job.geometry)
            postprocess_ms = _ms_since(start)
            nonfinite = count_nonfinite(job.heads)
        finally:
            job.heads = None
            release([job], segmenter.backend)
        timings = Timings(job.preprocess_ms, job.inference_ms, postprocess_ms)
        object.__setattr__(result, "timings", timings)  # nobody else has seen this frozen result yet
        job.result = result
        _note(recorder, job.frame, timings, nonfinite)
        _pass_on(job, targets, segmenter.backend)


def paint(
    draw: Draw | None, undrawn: Channel[Job], targets: Sequence[Channel[Job]], recorder: Recorder, backend: "Backend"
) -> None:
    """Draw each result over its frame, once for all sinks."""
    if draw is None:
        from segrt.runtime.draw import overlay

        draw = overlay
    while True:
        job = undrawn.get()
        assert job.result is not None
        start = time.perf_counter()
        job.drawn = draw(job.frame.image, job.result)
        recorder.took(job.frame.source_id, "draw", _ms_since(start))
        _pass_on(job, targets, backend)


def feed(sink: Sink, name: str, jobs: Channel[Job], sources: Sequence[SourceInfo], recorder: Recorder) -> None:
    """Write every job into `sink`, called `name` in the metrics, and close it whatever happens."""
    try:
        sink.open(sources)
        while True:
            job = jobs.get()
            assert job.result is not None
            start = time.perf_counter()
            sink.write(job.frame, job.result, job.drawn)
            recorder.took(job.frame.source_id, name, _ms_since(start))
    finally:
        sink.close()


def release(items: Iterable[object], backend: "Backend") -> None:
    """Give back the slots of jobs; frames and jobs without a slot are just dropped."""
    for job in items:
        if not isinstance(job, Job) or job.slot is None:
            continue
        slot, job.slot = job.slot, None
        with suppress(Exception):  # nobody wants these heads any more, so neither their error
            if not job.waited:
                backend.wait(slot)
        with suppress(SegrtError):  # the backend has been closed, and the slot with it
            backend.release(slot)


class Pace:
    """When a frame is due if its source is played at its own speed."""

    def __init__(self) -> None:
        self._origin: float | None = None

    def seconds_until(self, pts: float | None) -> float:
        """Return the seconds until the frame of `pts` is due; one without a time is due at once."""
        if pts is None:
            return 0.0
        now = time.monotonic()
        if self._origin is None:
            self._origin = now - pts
        return self._origin + pts - now


def _note(recorder: Recorder, frame: Frame, timings: Timings, nonfinite: int) -> None:
    recorder.took(frame.source_id, "preprocess", timings.preprocess_ms)
    recorder.took(frame.source_id, "inference", timings.inference_ms)
    recorder.took(frame.source_id, "postprocess", timings.postprocess_ms)
    recorder.took(frame.source_id, "total", timings.total_ms)
    recorder.finished(frame.source_id, (time.monotonic() - frame.capture_time) * 1e3, nonfinite)


def _pass_on(job: Job, targets: Sequence[Channel[Job]], backend: "Backend") -> None:
    try:
        for channel in targets:
            channel.put(job)
    except Stopped:
        release([job], backend)
        raise


def _ms_since(start: float) -> float:
    return (time.perf_counter() - start) * 1e3
