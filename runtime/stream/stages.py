"""The stages, each a loop from one channel to the next, and the job that they pass on.

A stage returns when there is nothing more to do and lets `Ended` and `Stopped` through; the pipeline closes and
aborts its channels then. Slots are scarce and always come back: whoever holds a job that it cannot pass on releases
the job's slot.
"""

import logging
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from segrt.runtime.errors import SegrtError
from segrt.runtime.results import Result, Timings
from segrt.runtime.stream.backoff import Backoff
from segrt.runtime.stream.channel import Channel, Stopped
from segrt.runtime.stream.finite import count_nonfinite
from segrt.runtime.stream.frame import Frame
from segrt.runtime.stream.metrics import Recorder
from segrt.runtime.stream.sinks.base import Dropped, Sink
from segrt.runtime.stream.sources.base import Source, SourceInfo
from segrt.runtime.stream.thinning import Lookout, Pace, Thinning

if TYPE_CHECKING:
    from segrt.runtime.backends.base import Backend, Slot
    from segrt.runtime.geometry import Geometry
    from segrt.runtime.segmenter import Segmenter

log = logging.getLogger("segrt.stream")
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
    lookout: "Lookout | None" = None


def capture(
    source: Source, lane: int, captured: Channel[Frame], recorder: Recorder, *, paced: bool, thinning: Thinning
) -> None:
    """Put the frames of `source` that `thinning` wants into its lane; `paced` plays it at its own speed."""
    source_id = source.info.source_id
    pace, wanted = Pace(), thinning.start()
    source.listener = recorder
    frames = source.frames()
    try:
        while True:
            start = time.perf_counter()
            frame = next(frames, None)
            if frame is None:
                return
            recorder.captured(source_id)
            # A camera's next picture is waited for; what counts is the work on it since it arrived.
            worked = (time.monotonic() - frame.capture_time) * 1e3 if source.info.live else _ms_since(start)
            recorder.took(source_id, "decode", worked)
            if paced:
                captured.pause(pace.seconds_until(frame.pts))
            if not wanted(frame):
                recorder.skipped(source_id)
                continue
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
        recorder.ended(source_id)
        with suppress(AttributeError):  # what is not a generator holds nothing
            frames.close()  # type: ignore[attr-defined]
        source.close()


def preprocess(
    segmenter: "Segmenter",
    captured: Channel[Frame],
    submitted: Channel[Job],
    recorder: Recorder,
    *,
    max_frames: int | None,
    delivered: Channel[Job] | None,
    thinning: Thinning,
    newest: bool,
) -> None:
    """Write frames into slots and submit them, at most `max_frames`; drop those that have grown too old.

    A frame is taken last, so that it is the newest there is; with `newest` not before the network is about to be done
    with the one before. Before a slot is taken, there is room for its result in
    `delivered`: no slot is held while the consumer of results thinks, for it may want to use the segmenter itself.
    """
    backend = segmenter.backend
    count = 0
    lookout = Lookout()
    while max_frames is None or count < max_frames:
        if delivered is not None:
            delivered.reserve()
        slot = backend.acquire()
        try:
            if newest:
                captured.linger(lookout.seconds())
            frame = captured.get()
            while thinning.too_old(frame):
                recorder.dropped(frame.source_id)
                frame = captured.get()
            recorder.entered(frame.source_id)
            job = Job(frame, slot, lookout=lookout)
            start = time.perf_counter()
            job.geometry = segmenter.preprocess(frame.image, slot)
            slot.sources[:] = [frame.source_id]
            job.preprocess_ms = _ms_since(start)
            backend.submit(slot)
            lookout.submitted(job.preprocess_ms)
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
            if job.lookout is not None:
                job.lookout.finished(job.inference_ms)
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
        # Nobody else has seen this frozen result yet.
        object.__setattr__(result, "timings", timings)
        object.__setattr__(result, "nonfinite_heads", nonfinite)
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
        sink.watch(recorder, name)
        sink.open(sources)
        while True:
            write(sink, name, jobs.get(), recorder)
    finally:
        sink.close()


def feed_lastingly(
    sink: Sink, name: str, jobs: Channel[Job], sources: Sequence[SourceInfo], recorder: Recorder
) -> None:
    """Write jobs into `sink`; when that fails, drop them, say so, and try to begin again after a growing pause."""
    backoff = Backoff()
    opened, failed, again_at, lost = False, False, 0.0, 0
    sink.watch(recorder, name)
    try:
        while True:
            job = jobs.get()
            if failed and time.monotonic() < again_at:
                recorder.sink(name, dropped=1)
                lost += 1
                continue
            try:
                if failed:
                    sink.reopen()
                elif not opened:
                    sink.open(sources)
                opened = True
                write(sink, name, job, recorder)
            except Exception as error:  # whatever it is, the other sinks go on
                again_at = time.monotonic() + backoff.next()
                recorder.sink(name, dropped=1, failures=0 if failed else 1)
                lost += 1
                if backoff.worth_saying:
                    log.warning("sink %s: %s", name, str(error) or type(error).__name__)
                failed = True
                continue
            if failed:
                log.warning("sink %s: works again; %d results are lost", name, lost)
                failed, lost = False, 0
                backoff.reset()
    finally:
        try:
            sink.close()
        except Exception as error:
            log.warning("sink %s: %s", name, str(error) or type(error).__name__)


def write(sink: Sink, name: str, job: Job, recorder: Recorder) -> None:
    """Write one job and note how long that took."""
    assert job.result is not None
    start = time.perf_counter()
    try:
        sink.write(job.frame, job.result, job.drawn if sink.needs_drawing else None)
    except Dropped:
        recorder.sink(name, dropped=1)
        return
    recorder.took(job.frame.source_id, name, _ms_since(start))
    recorder.sink(name, written=1)


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
