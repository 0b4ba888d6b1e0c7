"""The candidate as it streams: stages in threads of their own, traced, at full speed and at a camera's.

Pictures come from memory, so that the network is what limits the speed, and not the disk or the decoder.
"""

import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from segrt.runtime.files.images import Picture
from segrt.runtime.preprocess.channels import Raster
from segrt.runtime.profiling.gpu_trace import GpuTrace
from segrt.runtime.profiling.records import Live, Span
from segrt.runtime.results import Result
from segrt.runtime.stream.frame import Frame
from segrt.runtime.stream.loop import open_pipeline
from segrt.runtime.stream.sinks.sink import Sink
from segrt.runtime.stream.sources.source import Source, SourceInfo

if TYPE_CHECKING:
    from segrt.runtime.inference.tensors import Head, Slot
    from segrt.runtime.preprocess.cuda.device_picture import DevicePicture
    from segrt.runtime.preprocess.geometry import Geometry
    from segrt.runtime.preprocess.input_spec import InputSpec
    from segrt.runtime.segmenter import Segmenter


@dataclass(frozen=True)
class Overlapped:
    """Frames a second at full speed, the spans of every stage's work, and (begin, end) of the GPU's for each batch."""

    fps: float
    spans: list[Span]
    gpu_spans: list[tuple[float, float]]


def at_full_speed(segmenter: "Segmenter", pictures: Sequence[Raster], frames: int, *, draws: bool) -> Overlapped:
    """Stream `frames` pictures, as fast as the slowest stage, into a sink that keeps nothing."""
    trace = Trace()
    source = MemorySource(pictures, frames)
    sink = TracedSink(trace, draws=draws)
    with GpuTrace(segmenter.backend) as gpu:
        pipeline = open_pipeline(
            TracedSegmenter(segmenter, trace, gpu),
            source,
            [sink],
            policy="all",
            draw=trace.draw,
        )
        trace.begin = time.monotonic()
        pipeline.run()
    elapsed = sink.last - sink.first
    return Overlapped((sink.count - 1) / elapsed if elapsed > 0 else 0.0, trace.spans, gpu.spans)


def at_camera_speed(
    segmenter: "Segmenter", pictures: Sequence[Raster], frames: int, fps: float, *, draws: bool
) -> Live:
    """Stream `frames` pictures as a camera of `fps` gives them, with the policy `latest`; return what came through."""
    trace = Trace()
    source = MemorySource(pictures, frames, fps=fps)
    sink = TracedSink(trace, draws=draws)
    pipeline = open_pipeline(segmenter, source, [sink], policy="latest", draw=trace.draw)
    pipeline.run()
    metrics = pipeline.recorder.metrics()
    return Live(fps, frames, metrics.frames_out, frames - metrics.frames_out, sink.frames, sink.ages_ms)


class Trace:
    """Collects spans from all threads."""

    def __init__(self) -> None:
        self.begin = time.monotonic()
        self.spans: list[Span] = []
        self._drawn = 0

    def add(self, frame: int, stage: str, begin: float, end: float) -> None:
        """Note a stage's work on a frame; times of `time.monotonic`."""
        thread = threading.current_thread().name.removeprefix("segrt ")
        self.spans.append(Span(frame, stage, thread, (begin - self.begin) * 1e3, (end - self.begin) * 1e3))

    def draw(self, image: Picture, result: Result) -> Picture:
        """Draw, and note it."""
        from segrt.runtime.draw import overlay

        begin = time.monotonic()
        drawn = overlay(image, result)
        self.add(self._drawn, "draw", begin, time.monotonic())
        self._drawn += 1
        return drawn


class MemorySource(Source):
    """Pictures over and over; with `fps` as a live camera gives them."""

    def __init__(self, pictures: Sequence[Raster], frames: int, *, fps: float | None = None) -> None:
        self.info = SourceInfo("profile", Fraction(fps or 25.0).limit_denominator(1001), frames, fps is not None)
        self._pictures, self._count, self._fps = pictures, frames, fps
        self._stopped = threading.Event()

    def frames(self) -> Iterator[Frame]:
        """Yield the frames."""
        start = time.monotonic()
        for index in range(self._count):
            if self._fps is not None and self._stopped.wait(max(0.0, start + index / self._fps - time.monotonic())):
                return
            image = self._pictures[index % len(self._pictures)]
            yield Frame(image, index, index / (self._fps or 25.0), time.monotonic(), self.info.source_id)

    def give(self, spec: "InputSpec") -> None:
        """Let it be: the pictures were read for the network."""

    def stop(self) -> None:
        """Let `frames` end."""
        self._stopped.set()

    def close(self) -> None:
        """Do nothing."""


class TracedSink(Sink):
    """Keeps nothing but times."""

    name = "sink"

    def __init__(self, trace: Trace, *, draws: bool) -> None:
        self.needs_drawing = draws
        self.first = self.last = 0.0
        self.count = 0
        self.frames: list[int] = []
        self.ages_ms: list[float] = []
        self._trace = trace

    def write(self, frame: Frame, result: Result, drawn: Picture | None) -> None:  # noqa: ARG002
        """Note the moment."""
        begin = now = time.monotonic()
        self.first = self.first or now
        self.last = now
        self.count += 1
        self.frames.append(frame.index)
        self.ages_ms.append((now - frame.capture_time) * 1e3)
        self._trace.add(frame.index, "sink", begin, time.monotonic())

    def close(self) -> None:
        """Do nothing."""


class TracedBackend:
    """A backend that notes when the network works, and what the GPU does."""

    def __init__(self, backend: Any, trace: Trace, gpu: GpuTrace) -> None:
        self._backend, self._trace, self._gpu = backend, trace, gpu
        self._waited = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._backend, name)

    def wait(self, slot: "Slot") -> "Mapping[str, Head]":
        """Wait, and note the execution, which ended now at the latest."""
        heads: Mapping[str, Head] = self._backend.wait(slot)
        end = time.monotonic()
        if self._backend.head_device == "cpu":
            self._trace.add(self._waited, "inference", end - slot.inference_ms / 1e3, end)
            self._waited += 1
        return heads

    def release(self, slot: "Slot") -> None:
        """Note what the GPU did, and give the slot back."""
        if slot.state == "done":
            network = self._gpu.note(slot)
            if network is not None and self._backend.head_device == "cuda":  # known only now
                self._trace.add(self._waited, "inference", *network)
                self._waited += 1
        self._backend.release(slot)


class TracedSegmenter:
    """A segmenter that notes its stages."""

    def __init__(self, segmenter: "Segmenter", trace: Trace, gpu: GpuTrace) -> None:
        self._segmenter, self._trace = segmenter, trace
        self.backend = TracedBackend(segmenter.backend, trace, gpu)
        self._preprocessed = self._postprocessed = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._segmenter, name)

    def preprocess(self, image: "Picture | DevicePicture", slot: "Slot", index: int = 0) -> "Geometry":
        """Preprocess, and note it."""
        begin = time.monotonic()
        geometry = self._segmenter.preprocess(image, slot, index)
        self._trace.add(self._preprocessed, "preprocess", begin, time.monotonic())
        self._preprocessed += 1
        return geometry

    def postprocess(self, heads: "Mapping[str, Head]", geometry: "Geometry", index: int = 0) -> Result:
        """Post-process, and note it."""
        begin = time.monotonic()
        result = self._segmenter.postprocess(heads, geometry, index)
        self._trace.add(self._postprocessed, "postprocess", begin, time.monotonic())
        self._postprocessed += 1
        return result
