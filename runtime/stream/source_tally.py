"""What is counted for each source while a run lasts, and how that becomes metrics."""

import time
from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from segrt.runtime.stream.stream_metrics import Ages, SinkCounts, StageTimes, StreamMetrics

WINDOW = 8192
"""Percentiles are those of the last so many frames: a run may take months."""


class Series:
    """Milliseconds: all of them counted, the last `WINDOW` kept. Takes its memory at once, so that it never grows."""

    def __init__(self) -> None:
        self.count = 0
        self.sum = 0.0
        self._ring = np.zeros(WINDOW, np.float64)

    def add(self, milliseconds: float) -> None:
        """Count a value."""
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

    def copy(self) -> "Series":
        """Return a copy that grows no more."""
        copied = Series.__new__(Series)
        copied.count, copied.sum, copied._ring = self.count, self.sum, self._ring.copy()
        return copied


class Tally:
    """The counts and times of one source."""

    def __init__(self) -> None:
        self.frames_in = self.frames_out = self.dropped = self.reconnects = self.nonfinite_heads = 0
        self.skipped = self.frozen = self.black = self.gpu_frames = 0
        self.state = "live"
        self.alive = time.monotonic()
        self.ended = False
        self.waiting_since: float | None = None
        self.ages = Series()
        self.stages: dict[str, Series] = {}

    def copy(self) -> "Tally":
        """Return a copy that counts no more."""
        copied = Tally()
        copied.__dict__.update(self.__dict__)
        copied.ages = self.ages.copy()
        copied.stages = {name: series.copy() for name, series in self.stages.items()}
        return copied


def summarize(
    tallies: Sequence[Tally],
    seconds: float,
    sources: "dict[str, StreamMetrics] | None" = None,
    sinks: dict[str, SinkCounts] | None = None,
) -> StreamMetrics:
    """Return the metrics of several sources together, `seconds` after the start."""
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
        stages={name: _stage_times([t.stages[name] for t in tallies if name in t.stages]) for name in names},
        sources=sources or {},
        skipped=sum(tally.skipped for tally in tallies),
        frozen=sum(tally.frozen for tally in tallies),
        black=sum(tally.black for tally in tallies),
        gpu_frames=sum(tally.gpu_frames for tally in tallies),
        sinks=sinks or {},
    )


def _stage_times(series: Sequence[Series]) -> StageTimes:
    mean = sum(times.sum for times in series) / sum(times.count for times in series)
    return StageTimes(round(mean, 4), *_percentiles(series, (50, 90, 95, 99)))


def _percentiles(series: Iterable[Series], percents: Sequence[int]) -> list[float]:
    values = np.concatenate([times.last for times in series])
    return [round(float(value), 4) for value in np.percentile(values, percents)] if values.size else []
