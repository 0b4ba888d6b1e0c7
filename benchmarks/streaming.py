"""What the stream around the network costs, on this machine.

    python benchmarks/streaming.py [--frames N] [--tails N]

- throughput with a backend that sleeps 50 ms: the share of its own 20 frames a second
- throughput with the embedded panoptic network on one thread, into a sink that keeps nothing: the share of what a bare
  ONNX Runtime session does on the same pictures; both in turn
- CPU time of queues, bookkeeping and metrics for a frame: a network that takes no time, 640x360 pictures
- with the embedded panoptic network on two threads and pictures of 1080p, drawn: p50, p99 and the most that each stage
  takes over 10,000 frames (`--tails`, 0 to leave it out), and what breaks it
"""

import argparse
import time
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from statistics import median
from typing import Any

import numpy as np
import onnxruntime
import stream_tails

from segrt.runtime import open_bundle
from segrt.runtime.inference.backend import Backend
from segrt.runtime.inference.tensors import Head, Slot, TensorSpec
from segrt.runtime.preprocess.geometry import Geometry
from segrt.runtime.preprocess.picture import network_inputs
from segrt.runtime.profiling.overlapped import MemorySource
from segrt.runtime.profiling.sample_pictures import Pictures
from segrt.runtime.results import Label, SemanticResult
from segrt.runtime.stream import run_stream

LABELS = (Label("road", 0, False, (0, 0, 0)),)


class SleepingBackend(Backend):
    """Sleeps instead of computing."""

    name = "sleeping"
    device = "cpu"

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._worker = ThreadPoolExecutor(1)
        self._running: dict[int, Future[None]] = {}
        super().__init__([TensorSpec("image", "uint8", (1, 1))], [TensorSpec("out", "float32", (1, 1))])

    def _make_inputs(self, index: int) -> Mapping[str, Any]:  # noqa: ARG002
        return {"image": np.zeros((1, 1), np.uint8)}

    def _start(self, slot: Slot) -> None:
        self._running[slot.index] = self._worker.submit(time.sleep, self._seconds)

    def _finish(self, slot: Slot) -> Mapping[str, Head]:
        self._running.pop(slot.index).result()
        slot.inference_ms = self._seconds * 1e3
        return {"out": Head("out", np.zeros((1, 1), np.float32))}

    def _shut(self) -> None:
        self._worker.shutdown()


class SleepingSegmenter:
    """A segmenter whose pre- and post-processing are free."""

    technique = "semantic"
    labels = LABELS

    class variant:  # noqa: N801 (stands for a manifest's entry)
        """The only one."""

        precision = "fp32"

    def __init__(self, seconds: float, size: tuple[int, int]) -> None:
        self.backend = SleepingBackend(seconds)
        self._result = SemanticResult(np.zeros(size, np.uint8), LABELS)

    def preprocess(self, image: np.ndarray, slot: Slot, index: int = 0) -> Geometry:  # noqa: ARG002
        """Do nothing."""
        return Geometry(image.shape[:2], (1, 1), (0.0, 0.0, 1.0, 1.0))

    def postprocess(self, heads: Any, geometry: Geometry, index: int = 0) -> SemanticResult:  # noqa: ARG002
        """Return the same result."""
        return SemanticResult(self._result.class_map, LABELS)


def stream_fps(segmenter: Any, pictures: list[np.ndarray], frames: int) -> tuple[float, float]:
    """Return (frames a second, CPU milliseconds a frame) of a stream into the null sink."""
    cpu = time.process_time()
    metrics = run_stream(segmenter, MemorySource(pictures, frames), ["null"], policy="all")
    return metrics.fps, (time.process_time() - cpu) * 1e3 / frames


def bare_fps(bundle: str, pictures: list[np.ndarray], frames: int) -> float:
    """Return the frames a second of a bare session on one thread, inputs made beforehand."""
    with open_bundle(bundle, threads=1, device="cpu") as segmenter:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        path = segmenter.bundle.network(segmenter.variant)
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        inputs = [network_inputs(segmenter.manifest.inputs, picture)[0] for picture in pictures]
    for number in range(10):
        session.run(None, inputs[number % len(inputs)])
    begin = time.perf_counter()
    for number in range(frames):
        session.run(None, inputs[number % len(inputs)])
    return frames / (time.perf_counter() - begin)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=200)
    parser.add_argument("--tails", type=int, default=10_000)
    options = parser.parse_args()
    frames = options.frames
    pictures = Pictures("street://?seed=1&width=640&height=360").some(16)
    fps, _ = stream_fps(SleepingSegmenter(0.05, (360, 640)), pictures, frames)
    print(f"a backend that sleeps 50 ms: {fps:.2f} frames/s, {fps / 20:.1%} of its own throughput", flush=True)
    _, cpu = stream_fps(SleepingSegmenter(0.0, (360, 640)), pictures, 20 * frames)
    print(f"the framework's CPU time for a frame: {cpu:.3f} ms", flush=True)
    shares = []
    for _ in range(5):
        with open_bundle("street-panoptic", threads=1, device="cpu") as segmenter:
            streamed, _ = stream_fps(segmenter, pictures, frames)
        bare = bare_fps("street-panoptic", pictures, frames)
        shares.append(streamed / bare)
        print(f"street-panoptic on one thread: streamed {streamed:.1f}, bare session {bare:.1f} frames/s", flush=True)
    print(f"median share of the bare session's throughput: {median(shares):.1%}", flush=True)
    if options.tails > 0:
        pictures = Pictures("street://?seed=1&width=1920&height=1080").some(8)
        with open_bundle("street-panoptic", threads=2, device="cpu") as segmenter:
            print("\n".join(stream_tails.lines(*stream_tails.watch(segmenter, pictures, options.tails))))


if __name__ == "__main__":
    main()
