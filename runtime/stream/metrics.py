"""What a run measured: counts, frame age and the time of every stage."""

import threading
import time
from collections import deque
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec
import numpy as np

from segrt.runtime.atomic import make_folder, write_atomic

WINDOW = 8192
"""Percentiles are those of the last so many frames: a run may take months."""


class StageTimes(msgspec.Struct, frozen=True):
    """One stage's time for a frame, in milliseconds."""

    mean_ms: float
    p50_ms: float
    p90_ms: float
    p95_ms: float
    p99_ms: float


class Ages(msgspec.Struct, frozen=True):
    """From the capture of a frame to its result, in milliseconds; None before the first result."""

    p50: float | None
    p95: float | None
    p99: float | None


class StreamMetrics(msgspec.Struct, frozen=True, omit_defaults=True):
    """The metrics of a run, or of one source of it.

    `frames_in` counts the frames that entered the pipeline or were dropped before it, `frames_out` the results,
    `dropped` what `latest` passed over: in = out + dropped, but for what a failure or an interruption cut off. `fps`
    is results by time since the start. `nonfinite_heads` counts heads with NaN or infinity in them. `stages` has
    `decode`, `preprocess`, `inference`, `postprocess`, `draw` (if anything was drawn), each sink's name, and `total`:
    preprocess + inference + postprocess. `sources` holds the same for each source when there are several.
    """

    frames_in: int
    frames_out: int
    dropped: int
    fps: float
    reconnects: int
    nonfinite_heads: int
    frame_age_ms: Ages
    stages: dict[str, StageTimes]
    sources: "dict[str, StreamMetrics]" = {}

    def write(self, path: Path) -> None:
        """Write as JSON, whole or not at all; raise SegrtError when that fails."""
        make_folder(path.parent)
        write_atomic(path, msgspec.json.format(msgspec.json.encode(self)) + b"\n")


class Recorder:
    """Collects metrics from all stages' threads."""

    def __init__(self, source_ids: Sequence[str]) -> None:
        self._lock = threading.Lock()
        self._tallies = {source_id: _Tally() for source_id in source_ids}
        self._started = time.monotonic()
        self._ended: float | None = None

    def start(self) -> None:
        """Begin the time that `fps` counts."""
        self._started = time.monotonic()

    def entered(self, source_id: str) -> None:
        """Count a frame that enters the pipeline."""
        with self._lock:
            self._tallies[source_id].frames_in += 1

    def dropped(self, source_id: str) -> None:
        """Count a frame that a newer one displaced."""
        with self._lock:
            self._tallies[source_id].frames_in += 1
            self._tallies[source_id].dropped += 1

    def reconnected(self, source_id: str) -> None:
        """Count a live source's reopening."""
        with self._lock:
            self._tallies[source_id].reconnects += 1

    def took(self, source_id: str, stage: str, milliseconds: float) -> None:
        """Note how long a stage worked on a frame."""
        with self._lock:
            self._tallies[source_id].stages.setdefault(stage, _Series()).add(milliseconds)

    def finished(self, source_id: str, age_ms: float, nonfinite_heads: int) -> None:
        """Count a result, `age_ms` after its frame was captured."""
        with self._lock:
            tally = self._tallies[source_id]
            tally.frames_out += 1
            tally.nonfinite_heads += nonfinite_heads
            tally.ages.add(age_ms)
            self._ended = time.monotonic()

    def frames_out(self) -> int:
        """Return the number of results so far."""
        with self._lock:
            return sum(tally.frames_out for tally in self._tallies.values())

    def metrics(self) -> StreamMetrics:
        """Return what has been measured so far."""
        with self._lock:
            seconds = (self._ended or self._started) - self._started
            tallies = list(self._tallies.values())
            per_source = {}
            if len(tallies) > 1:
                per_source = {source_id: _summary([tally], seconds) for source_id, tally in self._tallies.items()}
            return _summary(tallies, seconds, per_source)


class _Series:
    """Milliseconds: all of them counted, the last `WINDOW` kept."""

    def __init__(self) -> None:
        self.count = 0
        self.sum = 0.0
        self.last: deque[float] = deque(maxlen=WINDOW)

    def add(self, milliseconds: float) -> None:
        self.count += 1
        self.sum += milliseconds
        self.last.append(milliseconds)


class _Tally:
    """The counts and times of one source."""

    def __init__(self) -> None:
        self.frames_in = self.frames_out = self.dropped = self.reconnects = self.nonfinite_heads = 0
        self.ages = _Series()
        self.stages: dict[str, _Series] = {}


def _summary(
    tallies: Sequence[_Tally], seconds: float, sources: "dict[str, StreamMetrics] | None" = None
) -> StreamMetrics:
    frames_out = sum(tally.frames_out for tally in tallies)
    names = list(dict.fromkeys(name for tally in tallies for name in tally.stages))
    names.sort(key=lambda name: name == "total")
    ages = _percentiles((tally.ages for tally in tallies), (50, 95, 99))
    return StreamMetrics(
        frames_in=sum(tally.frames_in for tally in tallies),
        frames_out=frames_out,
        dropped=sum(tally.dropped for tally in tallies),
        fps=round(frames_out / seconds, 3) if seconds > 0 else 0.0,
        reconnects=sum(tally.reconnects for tally in tallies),
        nonfinite_heads=sum(tally.nonfinite_heads for tally in tallies),
        frame_age_ms=Ages(*ages) if ages else Ages(None, None, None),
        stages={name: _stage([tally.stages[name] for tally in tallies if name in tally.stages]) for name in names},
        sources=sources or {},
    )


def _stage(series: Sequence[_Series]) -> StageTimes:
    mean = sum(one.sum for one in series) / sum(one.count for one in series)
    return StageTimes(round(mean, 4), *_percentiles(series, (50, 90, 95, 99)))


def _percentiles(series: Iterable[_Series], percents: Sequence[int]) -> list[float]:
    values = [value for one in series for value in one.last]
    return [round(float(value), 4) for value in np.percentile(values, percents)] if values else []
