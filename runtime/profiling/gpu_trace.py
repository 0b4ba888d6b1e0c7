"""What the GPU does, by its own clock: the stages of each frame, and how long it is idle between them."""

import itertools
import time
from collections.abc import Sequence
from statistics import median
from typing import TYPE_CHECKING

from segrt.runtime.inference.cuda.device_array import GpuTimes
from segrt.runtime.inference.tensors import Slot
from segrt.runtime.profiling.records import GPU_STAGES, GpuRun, StageFigures

if TYPE_CHECKING:
    from segrt.runtime.inference.backend import Backend

Span = tuple[float, float]


def stages_of(times: GpuTimes) -> dict[str, float]:
    """Return stage → milliseconds, those that took any."""
    stages = {
        "upload": times.upload_ms,
        "preprocess": times.preprocess_ms,
        "network": times.inference_ms,
        "decode": times.decode_ms,
        "download": times.download_ms,
    }
    return {name: ms for name, ms in stages.items() if ms > 0}


class GpuTrace:
    """Notes when the GPU works, on one scale for all slots of a backend; use in a `with` statement.

    `note` is called with each slot before it is released. Where nothing runs on a GPU it notes nothing.
    """

    def __init__(self, backend: "Backend") -> None:
        self._backend = backend
        self.spans: list[Span] = []

    def __enter__(self) -> "GpuTrace":
        slots = [self._backend.acquire() for _ in range(self._backend.slots)]
        try:
            queues = [slot.gpu for slot in slots if slot.gpu is not None]
            self._queues = queues
            if queues:
                with queues[0].cuda.current():
                    self._epoch = queues[0].cuda.event()
                    self._epoch.record(queues[0].stream)
                    self._epoch.synchronize()
                    self._began = time.monotonic()
            for queue in queues:
                queue.epoch = self._epoch
        finally:
            for slot in slots:
                self._backend.release(slot)
        return self

    def __exit__(self, *_: object) -> None:
        for queue in self._queues:
            queue.epoch = None
        if self._queues:
            with self._queues[0].cuda.current():
                self._epoch.free()

    def note(self, slot: Slot) -> Span | None:
        """Note the frame that was in `slot`; return when its network ran, in seconds of `time.monotonic`."""
        if slot.gpu is None:
            return None
        times = slot.gpu.times()
        self.spans.append((times.begin_ms, times.end_ms))
        begin = self._began + (times.begin_ms + times.upload_ms + times.preprocess_ms) / 1e3
        return begin, begin + times.inference_ms / 1e3


def gpu_run(stages: dict[str, StageFigures], spans: Sequence[Span], why_no_graph: str) -> GpuRun | None:
    """Return what is known of the GPU, None where nothing ran there."""
    if not stages:
        return None
    busy = merged(spans)
    if len(busy) == 0 or busy[-1][1] <= busy[0][0]:
        return GpuRun(stages, why_no_graph=why_no_graph)
    gaps = [after[0] - before[1] for before, after in itertools.pairwise(busy)] or [0.0]
    worked = sum(end - begin for begin, end in busy)
    # A frame that follows the one before at once has no gap of its own.
    all_gaps = gaps + [0.0] * (len(spans) - 1 - len(gaps))
    return GpuRun(stages, worked / (busy[-1][1] - busy[0][0]), median(all_gaps), max(gaps), why_no_graph)


def gpu_cells(gpu: GpuRun) -> list[str]:
    """Return a table's cells: the median of each stage, the busy share, the idle time of a frame, the longest."""
    medians = [f"{gpu.stages[name].p50_ms:.3f}" if name in gpu.stages else "-" for name in GPU_STAGES]
    if gpu.busy_share is None or gpu.idle_ms is None or gpu.longest_idle_ms is None:
        return [*medians, "-", "-", "-"]
    return [*medians, f"{gpu.busy_share:.0%}", f"{gpu.idle_ms:.3f}", f"{gpu.longest_idle_ms:.3f}"]


def merged(spans: Sequence[Span]) -> list[Span]:
    """Return the times in which at least one of `spans` runs, in order."""
    result: list[Span] = []
    for begin, end in sorted(spans):
        if result and begin <= result[-1][1]:
            result[-1] = (result[-1][0], max(result[-1][1], end))
        else:
            result.append((begin, end))
    return result
