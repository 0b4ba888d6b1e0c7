"""What a run measured: counts, frame age and the time of every stage."""

import threading
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import numpy.typing as npt

from segrt.runtime.files.atomic import make_folder, write_atomic
from segrt.runtime.stream.sources.source import Listener

if TYPE_CHECKING:
    from segrt.runtime.inference.backend import Backend

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


class SinkCounts(msgspec.Struct, frozen=True):
    """What became of the results that a sink was given: `failures` counts its outages, not the results lost in them."""

    written: int
    dropped: int
    failures: int


class StreamMetrics(msgspec.Struct, frozen=True, omit_defaults=True):
    """The metrics of a run, or of one source of it.

    `frames_in` counts the frames that entered the pipeline or were dropped before it, `frames_out` the results,
    `dropped` what `latest` passed over: in = out + dropped, but for what a failure or an interruption cut off. `fps`
    is results by time since the start. `nonfinite_heads` counts heads with NaN or infinity in them. `stages` has
    `decode`, `preprocess`, `inference`, `postprocess`, `draw` (if anything was drawn), each sink's name, and `total`:
    preprocess + inference + postprocess. `sources` holds the same for each source when there are several.

    `skipped` counts frames that `every` and `target_fps` left out, which are in no other count; `frozen` and `black`
    how often a live source's picture became so. `sinks` has a name for each sink.

    `backend`, `device` and `precision` are what executed the network, `backend_reason` is why that backend was taken.
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
    skipped: int = 0
    frozen: int = 0
    black: int = 0
    sinks: dict[str, SinkCounts] = {}
    backend: str = ""
    device: str = ""
    precision: str = ""
    backend_reason: str = ""

    def write(self, path: Path) -> None:
        """Write as JSON, whole or not at all; raise SegrtError when that fails."""
        make_folder(path.parent)
        write_atomic(path, msgspec.json.format(msgspec.json.encode(self)) + b"\n")


class Recorder(Listener):
    """Collects metrics from all stages' threads."""

    def __init__(self, source_ids: Sequence[str]) -> None:
        self._lock = threading.Lock()
        self._tallies = {source_id: _Tally() for source_id in source_ids}
        self._sinks: dict[str, list[int]] = {}
        self._started = time.monotonic()
        self._ended: float | None = None
        self._running = False
        self._execution: dict[str, str] = {}

    def executed_by(self, backend: "Backend", precision: str) -> None:
        """Note what executes the network."""
        self._execution = {
            "backend": backend.name,
            "device": backend.device,
            "precision": precision,
            "backend_reason": backend.reason,
        }

    def start(self) -> None:
        """Begin the time that `fps` counts, and that without signs of life."""
        self._started = time.monotonic()
        for tally in self._tallies.values():
            tally.alive = self._started
        self._running = True

    def captured(self, source_id: str) -> None:
        """Note a source's sign of life."""
        self._tallies[source_id].alive = time.monotonic()

    def entered_state(self, source_id: str, state: str) -> None:
        """Note the state of a live source, a sign of life; count it when its picture is frozen or black."""
        with self._lock:
            tally = self._tallies[source_id]
            tally.alive = time.monotonic()
            tally.state = state
            tally.frozen += state == "frozen"
            tally.black += state == "black"

    def skipped(self, source_id: str) -> None:
        """Count a frame that was not wanted."""
        with self._lock:
            self._tallies[source_id].skipped += 1

    def entered(self, source_id: str) -> None:
        """Count a frame that enters the pipeline."""
        with self._lock:
            tally = self._tallies[source_id]
            tally.frames_in += 1
            if tally.waiting_since is None:
                tally.waiting_since = time.monotonic()

    def dropped(self, source_id: str) -> None:
        """Count a frame that a newer one displaced, or that was too old."""
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
            self._ended = tally.alive = time.monotonic()
            tally.waiting_since = None if tally.frames_out + tally.dropped >= tally.frames_in else self._ended

    def sink(self, name: str, *, written: int = 0, dropped: int = 0, failures: int = 0) -> None:
        """Count what a sink did."""
        with self._lock:
            counts = self._sinks.setdefault(name, [0, 0, 0])
            for position, count in enumerate((written, dropped, failures)):
                counts[position] += count

    def states(self) -> dict[str, str]:
        """Return the state of each source: connecting, live, frozen, black, lost; "live" for files."""
        with self._lock:
            return {source_id: tally.state for source_id, tally in self._tallies.items()}

    def newest(self, source_id: str) -> dict[str, float]:
        """Return the time of each stage for its last frame, in milliseconds."""
        with self._lock:
            stages = self._tallies[source_id].stages
            return {name: round(series.newest, 3) for name, series in stages.items()}

    def seconds_stalled(self) -> float:
        """Return for how long the run has stood still: a source without a sign of life, or frames without results.

        A source that is lost is none: it pauses, for longer and longer, before it tries again. Before `start`, 0.
        """
        now = time.monotonic()
        with self._lock:
            if not self._running:
                return 0.0
            since = [tally.alive for tally in self._tallies.values() if not (tally.ended or tally.state == "lost")]
            since += [tally.waiting_since for tally in self._tallies.values() if tally.waiting_since is not None]
            return now - min(since) if since else 0.0

    def ended(self, source_id: str) -> None:
        """Note that no more frames will come from a source."""
        self._tallies[source_id].ended = True

    def frames_out(self) -> int:
        """Return the number of results so far."""
        with self._lock:
            return sum(tally.frames_out for tally in self._tallies.values())

    def metrics(self) -> StreamMetrics:
        """Return what has been measured so far."""
        with self._lock:
            seconds = (self._ended or self._started) - self._started
            copies = {source_id: tally.copy() for source_id, tally in self._tallies.items()}
            sinks = {name: SinkCounts(*counts) for name, counts in self._sinks.items()}
        # Percentiles take a while, for which no stage shall wait.
        per_source = {}
        if len(copies) > 1:
            per_source = {source_id: _summary([tally], seconds) for source_id, tally in copies.items()}
        whole = _summary(list(copies.values()), seconds, per_source, sinks)
        return msgspec.structs.replace(whole, **self._execution)


class _Series:
    """Milliseconds: all of them counted, the last `WINDOW` kept. Takes its memory at once, so that it never grows."""

    def __init__(self) -> None:
        self.count = 0
        self.sum = 0.0
        self._ring = np.zeros(WINDOW, np.float64)

    def add(self, milliseconds: float) -> None:
        self._ring[self.count % WINDOW] = milliseconds
        self.count += 1
        self.sum += milliseconds

    @property
    def last(self) -> npt.NDArray[np.float64]:
        """The last values, in no order."""
        return self._ring[: min(self.count, WINDOW)]

    @property
    def newest(self) -> float:
        """The last value."""
        return float(self._ring[(self.count - 1) % WINDOW])

    def copy(self) -> "_Series":
        copied = _Series.__new__(_Series)
        copied.count, copied.sum, copied._ring = self.count, self.sum, self._ring.copy()
        return copied


class _Tally:
    """The counts and times of one source."""

    def __init__(self) -> None:
        self.frames_in = self.frames_out = self.dropped = self.reconnects = self.nonfinite_heads = 0
        self.skipped = self.frozen = self.black = 0
        self.state = "live"
        self.alive = time.monotonic()
        self.ended = False
        self.waiting_since: float | None = None
        self.ages = _Series()
        self.stages: dict[str, _Series] = {}

    def copy(self) -> "_Tally":
        copied = _Tally()
        copied.__dict__.update(self.__dict__)
        copied.ages = self.ages.copy()
        copied.stages = {name: series.copy() for name, series in self.stages.items()}
        return copied


def _summary(
    tallies: Sequence[_Tally],
    seconds: float,
    sources: "dict[str, StreamMetrics] | None" = None,
    sinks: dict[str, SinkCounts] | None = None,
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
        skipped=sum(tally.skipped for tally in tallies),
        frozen=sum(tally.frozen for tally in tallies),
        black=sum(tally.black for tally in tallies),
        sinks=sinks or {},
    )


def _stage(series: Sequence[_Series]) -> StageTimes:
    mean = sum(one.sum for one in series) / sum(one.count for one in series)
    return StageTimes(round(mean, 4), *_percentiles(series, (50, 90, 95, 99)))


def _percentiles(series: Iterable[_Series], percents: Sequence[int]) -> list[float]:
    values = np.concatenate([one.last for one in series])
    return [round(float(value), 4) for value in np.percentile(values, percents)] if values.size else []
