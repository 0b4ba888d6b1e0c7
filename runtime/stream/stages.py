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
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import numpy.typing as npt

from segrt.runtime.errors import SegrtError
from segrt.runtime.results import Result, Timings
from segrt.runtime.stream.backoff import Backoff
from segrt.runtime.stream.channel import Channel, Stopped
from segrt.runtime.stream.finite import count_nonfinite
from segrt.runtime.stream.frame import Frame
from segrt.runtime.stream.recorder import Recorder
from segrt.runtime.stream.sinks.sink import Dropped, Sink
from segrt.runtime.stream.sources.source import Source, SourceInfo
from segrt.runtime.stream.thinning import Lookout, Pace, Thinning

if TYPE_CHECKING:
    from segrt.runtime.inference.backend import Backend
    from segrt.runtime.inference.tensors import Slot
    from segrt.runtime.preprocess.geometry import Geometry
    from segrt.runtime.segmenter import Segmenter

log = logging.getLogger("segrt.stream")
_Item = TypeVar("_Item", "Batch", "Job")
_BATCH_SECONDS = 0.02  # so long a batch that has begun waits for further frames, where none may be dropped
Picture = npt.NDArray[np.uint8]
Draw = Callable[[Picture, Result], Picture]


@dataclass(frozen=True)
class Place:
    """A frame in its place of a batch: where its picture lies in the network's input, and what writing it took."""

    frame: Frame
    geometry: "Geometry"
    preprocess_ms: float


@dataclass(eq=False)
class Batch:
    """A slot on its way through the network, with the frames in its first places; the others hold nothing new."""

    slot: "Slot | None"
    places: list[Place]
    lookout: Lookout
    waited: bool = False
    heads: Any = None
    inference_ms: float = 0.0


@dataclass(eq=False)
class Job:
    """A frame with its result, and the drawing of it once there is one."""

    frame: Frame
    result: Result
    drawn: Picture | None = None


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
    submitted: Channel[Batch],
    recorder: Recorder,
    *,
    batch: int,
    max_frames: int | None,
    delivered: Channel[Job] | None,
    thinning: Thinning,
    newest: bool,
) -> None:
    """Write frames into slots of `batch` places and submit them, at most `max_frames`; drop those that grew too old.

    A frame is taken last, so that it is the newest there is; with `newest` not before the network is about to be done
    with the one before. A batch waits for its first frame, then takes what is there, or comes in a moment where every
    frame counts. Before a slot is taken, there is room for its results in `delivered`: no slot is held while the
    consumer of results thinks, for it may want to use the segmenter itself.
    """
    backend = segmenter.backend
    left = max_frames
    lookout = Lookout()
    while left is None or left > 0:
        wanted = batch if left is None else min(batch, left)
        if delivered is not None:
            delivered.reserve(wanted)
        slot = backend.acquire()
        try:
            if newest:
                captured.linger(lookout.seconds())
            places: list[Place] = []
            while len(places) < wanted:
                frame = captured.get() if not places else captured.get_within(0.0 if newest else _BATCH_SECONDS)
                if frame is None:
                    break
                if thinning.too_old(frame):
                    recorder.dropped(frame.source_id)
                    continue
                recorder.entered(frame.source_id)
                start = time.perf_counter()
                geometry = segmenter.preprocess(frame.image, slot, len(places))
                places.append(Place(frame, geometry, _ms_since(start)))
            if delivered is not None:
                delivered.unreserve(wanted - len(places))
            slot.sources[:] = [place.frame.source_id for place in places]
            backend.submit(slot)
            lookout.submitted(sum(place.preprocess_ms for place in places))
        except BaseException:
            with suppress(SegrtError):
                backend.release(slot)
            raise
        left = None if left is None else left - len(places)
        _pass_on(Batch(slot, places, lookout), [submitted], backend)


def infer(backend: "Backend", submitted: Channel[Batch], inferred: Channel[Batch]) -> None:
    """Wait for the heads of submitted batches."""
    while True:
        batch = submitted.get()
        assert batch.slot is not None
        try:
            batch.waited = True
            batch.heads = backend.wait(batch.slot)
            batch.inference_ms = batch.slot.inference_ms
            batch.lookout.finished(batch.inference_ms)
        except BaseException:
            release([batch], backend)
            raise
        _pass_on(batch, [inferred], backend)


def postprocess(
    segmenter: "Segmenter", inferred: Channel[Batch], targets: Sequence[Channel[Job]], recorder: Recorder
) -> None:
    """Turn heads into results and give the slots back.

    A frame's inference time is that of its whole batch: so long it was in the network.
    """
    while True:
        batch = inferred.get()
        done: list[Job] = []
        try:
            try:
                for index, place in enumerate(batch.places):
                    done.append(_decoded(segmenter, batch, place, index, recorder))
            finally:
                batch.heads = None
                release([batch], segmenter.backend)
        finally:
            for job in done:
                _pass_on(job, targets, segmenter.backend)


def _decoded(segmenter: "Segmenter", batch: Batch, place: Place, index: int, recorder: Recorder) -> Job:
    start = time.perf_counter()
    result = segmenter.postprocess(batch.heads, place.geometry, index)
    timings = Timings(place.preprocess_ms, batch.inference_ms, _ms_since(start))
    nonfinite = count_nonfinite(batch.heads, index)
    # Nobody else has seen this frozen result yet.
    object.__setattr__(result, "timings", timings)
    object.__setattr__(result, "nonfinite_heads", nonfinite)
    _note(recorder, place.frame, timings, nonfinite)
    return Job(place.frame, result)


def paint(
    draw: Draw | None, undrawn: Channel[Job], targets: Sequence[Channel[Job]], recorder: Recorder, backend: "Backend"
) -> None:
    """Draw each result over its frame, once for all sinks."""
    if draw is None:
        from segrt.runtime.draw import overlay

        draw = overlay
    while True:
        job = undrawn.get()
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
    start = time.perf_counter()
    try:
        sink.write(job.frame, job.result, job.drawn if sink.needs_drawing else None)
    except Dropped:
        recorder.sink(name, dropped=1)
        return
    recorder.took(job.frame.source_id, name, _ms_since(start))
    recorder.sink(name, written=1)


def release(items: Iterable[object], backend: "Backend") -> None:
    """Give back the slots of batches; frames and jobs are just dropped."""
    for batch in items:
        if not isinstance(batch, Batch) or batch.slot is None:
            continue
        slot, batch.slot = batch.slot, None
        with suppress(Exception):  # nobody wants these heads any more, so neither their error
            if not batch.waited:
                backend.wait(slot)
        with suppress(SegrtError):  # the backend has been closed, and the slot with it
            backend.release(slot)


def _note(recorder: Recorder, frame: Frame, timings: Timings, nonfinite: int) -> None:
    recorder.took(frame.source_id, "preprocess", timings.preprocess_ms)
    recorder.took(frame.source_id, "inference", timings.inference_ms)
    recorder.took(frame.source_id, "postprocess", timings.postprocess_ms)
    recorder.took(frame.source_id, "total", timings.total_ms)
    recorder.finished(frame.source_id, (time.monotonic() - frame.capture_time) * 1e3, nonfinite)


def _pass_on(item: _Item, targets: Sequence[Channel[_Item]], backend: "Backend") -> None:
    try:
        for channel in targets:
            channel.put(item)
    except Stopped:
        release([item], backend)
        raise


def _ms_since(start: float) -> float:
    return (time.perf_counter() - start) * 1e3
