"""Collects what a run measures, from the threads of all stages."""

import threading
import time
from collections.abc import Sequence

import msgspec

from segrt.runtime.decode.decoding_place import Placement
from segrt.runtime.stream.frame_segmenter import FrameSegmenter
from segrt.runtime.stream.source_tally import Series, Tally, summarize
from segrt.runtime.stream.sources.source import Listener
from segrt.runtime.stream.stream_metrics import SinkCounts, StreamMetrics
from segrt.runtime.stream.zone_saving import ZoneSaving
from segrt.runtime.zones.zone_totals import ZoneTotals


class Recorder(Listener):
    """Collects metrics from all stages' threads."""

    def __init__(self, source_ids: Sequence[str]) -> None:
        self._lock = threading.Lock()
        self._tallies = {source_id: Tally() for source_id in source_ids}
        self._sinks: dict[str, list[int]] = {}
        self._started = time.monotonic()
        self._ended: float | None = None
        self._running = False
        self._execution: dict[str, str] = {}
        self._outages = 0
        self._server_away = False
        self.zones: ZoneTotals | None = None
        """What zones have counted, in a run that has some."""
        self.zone_saving: ZoneSaving | None = None
        """Where zones that are drawn in the live page are saved, in a run that allows it."""

    def executed_by(self, segmenter: FrameSegmenter) -> None:
        """Note what executes the network; its name and what decodes its heads where the segmenter tells of them."""
        self._execution = {
            "backend": segmenter.backend.name,
            "device": segmenter.backend.device,
            "precision": segmenter.variant.precision,
            "backend_reason": segmenter.backend.reason,
            "model": str(getattr(getattr(segmenter, "manifest", None), "name", "")),
        }
        placement: Placement | None = getattr(segmenter, "placement", None)
        if placement is not None:
            self._execution |= {"decode_device": placement.device, "decode_reason": placement.reason}

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

    def entered(self, source_id: str, *, on_gpu: bool = False) -> None:
        """Count a frame that enters the pipeline, and whether its picture lies on the GPU."""
        with self._lock:
            tally = self._tallies[source_id]
            tally.frames_in += 1
            tally.gpu_frames += on_gpu
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
            stages = self._tallies[source_id].stages
            if stage not in stages:  # a series takes all its memory at once: none is made that is not kept
                stages[stage] = Series()
            stages[stage].add(milliseconds)

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

    def server_lost(self) -> None:
        """Count an outage of the server that executes the network."""
        with self._lock:
            self._outages += 1
            self._server_away = True

    def server_back(self) -> None:
        """Note that the server answers again, a sign of life of all sources whose frames waited for it."""
        now = time.monotonic()
        with self._lock:
            self._server_away = False
            for tally in self._tallies.values():
                tally.alive = now
                tally.waiting_since = None if tally.waiting_since is None else now

    def states(self) -> dict[str, str]:
        """Return the state of each source: connecting, live, frozen, black, lost, ended; "live" for files."""
        with self._lock:
            return {name: "ended" if tally.ended else tally.state for name, tally in self._tallies.items()}

    def newest(self, source_id: str) -> dict[str, float]:
        """Return the time of each stage for its last frame, in milliseconds."""
        with self._lock:
            stages = self._tallies[source_id].stages
            return {name: round(series.newest, 3) for name, series in stages.items()}

    def seconds_stalled(self) -> float:
        """Return for how long the run has stood still: a source without a sign of life, or frames without results.

        What is lost, a source or the server of the network, is none: it is tried again after longer and longer pauses.
        Before `start`, 0.
        """
        now = time.monotonic()
        with self._lock:
            if not self._running or self._server_away:
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
            outages = self._outages
        # Percentiles take a while, for which no stage shall wait.
        per_source = {}
        if len(copies) > 1:
            per_source = {source_id: summarize([tally], seconds) for source_id, tally in copies.items()}
        whole = summarize(list(copies.values()), seconds, per_source, sinks)
        return msgspec.structs.replace(whole, **self._execution, server_outages=outages)
