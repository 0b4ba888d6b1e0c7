"""Measures candidates in turn, frame by frame (A B C, B C A, …), so that what slows one slows all.

Warming up ends when it has ended, not after a number of frames: when no candidate is still getting faster.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import TYPE_CHECKING

import numpy as np

from segrt.runtime.profiling.records import GPU_STAGES, STAGES, StageFigures
from segrt.runtime.profiling.sample_pictures import Decoded, resized
from segrt.runtime.profiling.sampling import Clock, Draw, sample
from segrt.runtime.profiling.statistics import median_interval, percentile

if TYPE_CHECKING:
    from segrt.runtime.segmenter import Segmenter

WINDOW = 5
STILL_WARMING = 0.05
MOST_WARMUP = 60
MOST_WARMUP_SECONDS = 20.0


@dataclass
class Samples:
    """What was measured of one candidate: stage → milliseconds of each frame, CPU milliseconds of each frame."""

    stages: dict[str, list[float]] = field(default_factory=dict)
    cpu_ms: list[float] = field(default_factory=list)
    warmup_frames: int = 0
    is_stable: bool = True

    def add(self, stages: Mapping[str, float], cpu_ms: float) -> None:
        """Note a frame."""
        for name, value in stages.items():
            self.stages.setdefault(name, []).append(value)
        self.cpu_ms.append(cpu_ms)

    def figures(self) -> dict[str, StageFigures]:
        """Return each stage's figures, in the order of a frame's way."""
        return {name: figures(self.stages[name]) for name in (*STAGES, "total") if name in self.stages}

    def gpu_figures(self) -> dict[str, StageFigures]:
        """Return the figures of the GPU's stages by its own clock, none where there is no GPU."""
        stages = {name: self.stages.get(f"gpu {name}") for name in GPU_STAGES}
        return {name: figures(values) for name, values in stages.items() if values}


def figures(values: Sequence[float]) -> StageFigures:
    """Return the figures of a stage's milliseconds, in the order in which they were measured."""
    interval = median_interval(values)
    return StageFigures(
        mean_ms=float(np.mean(values)),
        p50_ms=percentile(values, 0.5),
        p90_ms=percentile(values, 0.9),
        p95_ms=percentile(values, 0.95),
        p99_ms=percentile(values, 0.99),
        std_ms=float(np.std(values)),
        max_ms=float(max(values)),
        p50_low_ms=interval.low,
        p50_high_ms=interval.high,
    )


def is_warm(totals: Sequence[float]) -> bool:
    """Whether a candidate's last frames were not faster than those before them."""
    if len(totals) < 2 * WINDOW:
        return False
    before, last = median(totals[-2 * WINDOW : -WINDOW]), median(totals[-WINDOW:])
    return last > before * (1 - STILL_WARMING)


def measure(
    segmenters: "Sequence[tuple[Segmenter, tuple[int, int] | None]]",
    pictures: Iterator[Decoded],
    frames: int,
    *,
    warmup: int | None = None,
    draw: Draw | None = None,
    clock: Clock = time.perf_counter,
    progress: Callable[[int, int], None] | None = None,
) -> list[Samples]:
    """Measure each segmenter (with its picture size) on the same `frames` pictures; return their samples.

    `warmup` None warms up until all are stable, at most 60 frames or 20 s; a number means so many frames.
    `progress` is called with the rounds done and their number.
    """
    all_samples = [Samples() for _ in segmenters]
    _warm_up(segmenters, pictures, all_samples, warmup, draw, clock)
    for done in range(frames):
        picture = next(pictures)
        # Each candidate is first, second, … equally often: the first one finds the caches as the decoder left them.
        for step in range(len(segmenters)):
            number = (done + step) % len(segmenters)
            _measure_one(segmenters[number], picture, all_samples[number], draw, clock)
        if progress is not None:
            progress(done + 1, frames)
    return all_samples


def _measure_one(
    candidate: "tuple[Segmenter, tuple[int, int] | None]",
    picture: Decoded,
    samples: Samples,
    draw: Draw | None,
    clock: Clock,
) -> None:
    segmenter, size = candidate
    image = resized(picture.image, size)
    cpu = time.process_time()
    stages = sample(segmenter, image, draw, clock)
    cpu_ms = (time.process_time() - cpu) * 1e3
    if picture.decode_ms is not None:
        stages = {"decode": picture.decode_ms} | stages
        stages["total"] += picture.decode_ms
    samples.add(stages, cpu_ms)


def _warm_up(
    segmenters: "Sequence[tuple[Segmenter, tuple[int, int] | None]]",
    pictures: Iterator[Decoded],
    all_samples: Sequence[Samples],
    warmup: int | None,
    draw: Draw | None,
    clock: Clock,
) -> None:
    totals: list[list[float]] = [[] for _ in segmenters]
    begin = clock()
    most = MOST_WARMUP if warmup is None else warmup
    rounds = 0
    stable = False
    while rounds < most and not stable and (warmup is not None or clock() - begin < MOST_WARMUP_SECONDS):
        picture = next(pictures)
        for past, (segmenter, size) in zip(totals, segmenters, strict=True):
            past.append(sample(segmenter, resized(picture.image, size), draw, clock)["total"])
        rounds += 1
        stable = warmup is None and all(is_warm(past) for past in totals)
    for samples, past in zip(all_samples, totals, strict=True):
        samples.warmup_frames = rounds
        samples.is_stable = stable if warmup is None else is_warm(past)
