"""What a stage of a stream takes at worst, and what breaks it: pages, garbage, other programs, the other stages.

Each call of a stage is measured by wall time, by its own thread's CPU time, and by what the system counted for the
thread meanwhile.
"""

import gc
import resource
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segrt.runtime.draw import overlay
from segrt.runtime.profiling.overlapped import MemorySource
from segrt.runtime.stream import run_stream
from segrt.runtime.stream.sinks.sink import Sink

P99_GOAL, MAX_GOAL = 1.6, 3.0  # times the median
WARM_UP = 100  # frames at the beginning, in which memory is taken that is then kept


@dataclass
class Calls:
    """What each call of a stage took: milliseconds of wall and CPU time, and what the system counted meanwhile."""

    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    begun: list[float] = field(default_factory=list)
    faults: list[int] = field(default_factory=list)  # pages given by the system
    preempted: list[int] = field(default_factory=list)  # another program, or thread, got the processor
    waited: list[int] = field(default_factory=list)  # for a lock, the interpreter's or another

    @contextmanager
    def one(self) -> Iterator[None]:
        """Measure a call."""
        before = resource.getrusage(resource.RUSAGE_THREAD)
        begun, cpu = time.perf_counter(), time.thread_time()
        yield
        cpu, wall = time.thread_time() - cpu, time.perf_counter() - begun
        after = resource.getrusage(resource.RUSAGE_THREAD)
        self.wall.append(wall * 1e3)
        self.cpu.append(cpu * 1e3)
        self.begun.append(begun)
        self.faults.append(after.ru_minflt - before.ru_minflt)
        self.preempted.append(after.ru_nivcsw - before.ru_nivcsw)
        self.waited.append(after.ru_nvcsw - before.ru_nvcsw)

    def array(self, name: str) -> NDArray[Any]:
        """Return the figures of that name without those of the warm-up."""
        return np.asarray(getattr(self, name)[WARM_UP:])


class Pauses:
    """When the garbage collector ran, and for how long."""

    def __init__(self) -> None:
        self.spans: list[tuple[float, float]] = []
        self._begun = 0.0

    def __call__(self, phase: str, _info: dict[str, int]) -> None:
        """Be the collector's callback."""
        if phase == "start":
            self._begun = time.perf_counter()
        else:
            self.spans.append((self._begun, time.perf_counter()))

    def within(self, begun: float, milliseconds: float) -> bool:
        """Whether it ran in that time."""
        return any(begin < begun + milliseconds / 1e3 and end > begun for begin, end in self.spans)


class Watched:
    """A segmenter whose steps are measured."""

    def __init__(self, segmenter: Any, stages: dict[str, Calls]) -> None:
        self._segmenter, self._stages = segmenter, stages
        self.backend = segmenter.backend

    def __getattr__(self, name: str) -> Any:
        return getattr(self._segmenter, name)

    def preprocess(self, *arguments: Any) -> Any:
        """Preprocess, measured."""
        with self._stages["preprocess"].one():
            return self._segmenter.preprocess(*arguments)

    def postprocess(self, *arguments: Any) -> Any:
        """Post-process, measured."""
        with self._stages["postprocess"].one():
            return self._segmenter.postprocess(*arguments)


class Drawn(Sink):
    """Wants drawn pictures and keeps nothing."""

    name = "drawn"
    needs_drawing = True

    def write(self, *_: Any) -> None:
        """Let go of the frame."""

    def close(self) -> None:
        """Do nothing."""


def watch(segmenter: Any, pictures: list[Any], frames: int) -> tuple[dict[str, Calls], Pauses, float]:
    """Stream `frames` pictures, drawn; return the stages' calls, the collector's pauses and pages a frame."""
    stages = {name: Calls() for name in ("preprocess", "postprocess", "draw")}
    pauses = Pauses()

    def draw(image: Any, result: Any) -> Any:
        with stages["draw"].one():
            return overlay(image, result)

    pages = _Pages()
    gc.callbacks.append(pauses)
    gc.freeze()  # as `segrt stream` does
    try:
        run_stream(
            Watched(segmenter, stages), MemorySource(pictures, frames + WARM_UP), [Drawn()], policy="all", draw=draw,
            progress=pages.look,
        )  # fmt: skip
    finally:
        gc.unfreeze()
        gc.callbacks.remove(pauses)
    return stages, pauses, pages.each()


@dataclass
class _Pages:
    """Pages that the whole process was given for each frame behind the warm-up."""

    first: tuple[int, int] | None = None
    last: tuple[int, int] = (0, 0)

    def look(self, frames: int) -> None:
        if frames >= WARM_UP:
            self.last = (frames, resource.getrusage(resource.RUSAGE_SELF).ru_minflt)
            self.first = self.first or self.last

    def each(self) -> float:
        if self.first is None or self.last[0] == self.first[0]:
            return float("nan")
        return (self.last[1] - self.first[1]) / (self.last[0] - self.first[0])


def lines(stages: dict[str, Calls], pauses: Pauses, pages: float) -> Iterator[str]:
    """Yield the figures, line by line."""
    head = f"{'stage':12} {'time':5} {'p50':>8} {'p99':>8} {'max':>8}"
    yield f"{head}   p99/p50 (goal {P99_GOAL})   max/p50 (goal {MAX_GOAL:g})"
    for name, calls in stages.items():
        for kind in ("wall", "cpu"):
            p50, p99, most = _quantiles(calls.array(kind))
            yield f"{name:12} {kind:5} {p50:8.3f} {p99:8.3f} {most:8.3f}   {p99 / p50:7.2f} {most / p50:22.2f}"
    for name, calls in stages.items():
        yield f"{name}: {_causes(calls, pauses)}"
    total = sum(end - begin for begin, end in pauses.spans) * 1e3
    longest = max((end - begin for begin, end in pauses.spans), default=0.0) * 1e3
    yield f"garbage collector: {len(pauses.spans)} runs, {total:.1f} ms, the longest {longest:.2f} ms"
    yield f"pages given by the system: {pages:.2f} a frame"


def _quantiles(values: NDArray[Any]) -> tuple[float, float, float]:
    return float(np.median(values)), float(np.percentile(values, 99)), float(values.max())


def _causes(calls: Calls, pauses: Pauses) -> str:
    """Say what happened in calls beyond the goal for p99, and how many there were."""
    wall, begun = calls.array("wall"), calls.array("begun")
    faults, preempted, waited = (calls.array(name) for name in ("faults", "preempted", "waited"))
    slow = wall > P99_GOAL * np.median(wall)
    marks: dict[str, Callable[[int], bool]] = {
        "pages": lambda i: bool(faults[i]),
        "preempted": lambda i: bool(preempted[i]),
        "waited for a lock": lambda i: bool(waited[i]),
        "garbage": lambda i: pauses.within(begun[i], wall[i]),
    }
    where = [int(i) for i in np.flatnonzero(slow)]
    counted = {name: sum(mark(i) for i in where) for name, mark in marks.items()}
    none = sum(not any(mark(i) for mark in marks.values()) for i in where)
    found = ", ".join(f"{name} {count}" for name, count in counted.items())
    return f"{len(where)} of {len(wall)} calls above {P99_GOAL} x p50; in them: {found}; nothing of these {none}"
