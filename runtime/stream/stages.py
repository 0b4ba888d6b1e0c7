"""The stages from a source to the results, each a loop from one channel to the next.

A stage returns when there is nothing more to do and lets `Ended` and `Stopped` through; the pipeline closes and
aborts its channels then.
"""

import time
from collections.abc import Sequence
from contextlib import suppress

from segrt.runtime.errors import SegrtError
from segrt.runtime.inference.backend import Stopwatch
from segrt.runtime.results import Timings
from segrt.runtime.stream.batches import Batch, BatchedFrame, Job, pass_on, release
from segrt.runtime.stream.carried_state import CarriedState
from segrt.runtime.stream.channel import Channel, Stopped
from segrt.runtime.stream.frame import Frame, GpuFrame
from segrt.runtime.stream.frame_segmenter import FrameBackend, FrameSegmenter
from segrt.runtime.stream.pipeline_options import PipelineOptions
from segrt.runtime.stream.recorder import Recorder
from segrt.runtime.stream.sources.source import Source
from segrt.runtime.stream.step import Draw
from segrt.runtime.stream.thinning import NetworkForecast, Pace, Thinning

_BATCH_SECONDS = 0.02  # so long a batch that has begun waits for further frames, where none may be dropped


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
            watch = Stopwatch()
            frame = next(frames, None)
            if frame is None:
                return
            recorder.captured(source_id)
            # A camera's next picture is waited for; what counts is the work on it since it arrived.
            worked = (time.monotonic() - frame.capture_time) * 1e3 if source.info.live else watch.ms()
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
    segmenter: FrameSegmenter,
    captured: Channel[Frame],
    submitted: Channel[Batch],
    delivered: Channel[Job] | None,
    recorder: Recorder,
    options: PipelineOptions,
) -> None:
    """Write frames into slots and submit them, at most `max_frames`; drop those that grew too old.

    A frame is taken last, so that it is the newest there is; with the policy "latest" not before the network is about
    to be done with the one before. A batch waits for its first frame, then takes what is there, or comes in a moment
    where every frame counts. Before a slot is taken, there is room for its results in `delivered`: no slot is held
    while the consumer of results thinks, for it may want to use the segmenter itself.
    """
    backend = segmenter.backend
    batch, left = backend.batch, options.max_frames
    newest = options.newest and delivered is None
    forecast = NetworkForecast()
    while left is None or left > 0:
        wanted = batch if left is None else min(batch, left)
        if delivered is not None:
            delivered.reserve(wanted)
        slot = backend.acquire()
        try:
            if newest:
                captured.linger(forecast.seconds())
            frames: list[BatchedFrame] = []
            while len(frames) < wanted:
                frame = captured.get() if not frames else captured.get_within(0.0 if newest else _BATCH_SECONDS)
                if frame is None:
                    break
                if options.thinning.too_old(frame):
                    recorder.dropped(frame.source_id)
                    continue
                recorder.entered(frame.source_id, on_gpu=isinstance(frame, GpuFrame))
                watch = Stopwatch()
                if isinstance(segmenter, CarriedState):
                    segmenter.begin(frame)
                geometry = segmenter.preprocess(frame.picture, slot, len(frames))
                frames.append(BatchedFrame(frame, geometry, watch.ms()))
            if delivered is not None:
                delivered.unreserve(wanted - len(frames))
            slot.sources[:] = [batched.frame.source_id for batched in frames]
            backend.submit(slot)
            forecast.submitted(sum(batched.preprocess_ms for batched in frames))
        except BaseException:
            with suppress(SegrtError):
                backend.release(slot)
            raise
        left = None if left is None else left - len(frames)
        pass_on(Batch(slot, frames, forecast), [submitted], backend)


def infer(backend: FrameBackend, submitted: Channel[Batch], inferred: Channel[Batch]) -> None:
    """Wait for the heads of submitted batches."""
    while True:
        batch = submitted.get()
        assert batch.slot is not None
        try:
            batch.waited = True
            batch.heads = backend.wait(batch.slot)
            if all(head.device == "cpu" for head in batch.heads.values()):
                batch.settle()
        except BaseException:
            release([batch], backend)
            raise
        pass_on(batch, [inferred], backend)


def postprocess(
    segmenter: FrameSegmenter,
    inferred: Channel[Batch],
    targets: Sequence[Channel[Job]],
    recorder: Recorder,
    options: PipelineOptions,
) -> None:
    """Turn heads into results, of `options.classes` alone, take them through its steps, and give the slots back.

    A frame's inference time is that of its whole batch: so long it was in the network.
    """
    try:
        while True:
            _postprocess_batch(segmenter, inferred.get(), targets, recorder, options)
    finally:
        for step in options.steps:
            step.close()


def _postprocess_batch(
    segmenter: FrameSegmenter,
    batch: Batch,
    targets: Sequence[Channel[Job]],
    recorder: Recorder,
    options: PipelineOptions,
) -> None:
    done: list[Job] = []
    try:
        try:
            for index, batched in enumerate(batch.frames):
                done.append(_decoded(segmenter, batch, batched, index, recorder, options))
        finally:
            batch.heads = None
            release([batch], segmenter.backend)
    finally:
        for job in done:
            pass_on(job, targets, segmenter.backend)


def _decoded(
    segmenter: FrameSegmenter,
    batch: Batch,
    batched: BatchedFrame,
    index: int,
    recorder: Recorder,
    options: PipelineOptions,
) -> Job:
    assert batch.heads is not None
    assert batch.slot is not None
    watch = Stopwatch()
    result = segmenter.postprocess(batch.heads, batched.geometry, index)
    result = result if options.classes is None else result.filter(options.classes)
    wall_ms = watch.ms()
    waited_for_network = not batch.settled
    batch.settle()
    decoding_ms = batch.slot.decoding_ms(wall_ms) if waited_for_network else wall_ms
    timings = Timings(batched.preprocess_ms, batch.inference_ms, decoding_ms)
    # Nobody else has seen this frozen result yet.
    object.__setattr__(result, "timings", timings)
    frame = batched.frame
    for step in options.steps:
        watch = Stopwatch()
        result = step.take(frame, result)
        frame = step.frame_of(frame, result)
        recorder.took(frame.source_id, step.name, watch.ms())
    _note(recorder, frame, timings, result.nonfinite_heads)
    return Job(frame, result)


def paint(
    draw: Draw | None, undrawn: Channel[Job], targets: Sequence[Channel[Job]], recorder: Recorder, backend: FrameBackend
) -> None:
    """Draw each result over its frame, once for all sinks."""
    if draw is None:
        from segrt.runtime.draw import overlay

        draw = overlay
    while True:
        job = undrawn.get()
        watch = Stopwatch()
        job.drawn = draw(job.frame.visible, job.result)
        recorder.took(job.frame.source_id, "draw", watch.ms())
        pass_on(job, targets, backend)


def _note(recorder: Recorder, frame: Frame, timings: Timings, nonfinite: int) -> None:
    recorder.took(frame.source_id, "preprocess", timings.preprocess_ms)
    recorder.took(frame.source_id, "inference", timings.inference_ms)
    recorder.took(frame.source_id, "postprocess", timings.postprocess_ms)
    recorder.took(frame.source_id, "total", timings.total_ms)
    recorder.finished(frame.source_id, (time.monotonic() - frame.capture_time) * 1e3, nonfinite)
