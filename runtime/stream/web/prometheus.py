"""The run's metrics for Prometheus: the numbers of the metrics file, under the source's name."""

from collections.abc import Callable, Iterator
from importlib.metadata import version
from typing import Any

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

from segrt.runtime.stream.recorder import Recorder
from segrt.runtime.stream.stream_metrics import StreamMetrics
from segrt.runtime.stream.web.class_amounts import amounts_of
from segrt.runtime.stream.web.hub import Newest
from segrt.runtime.zones.zone_totals import ZoneTotals

_COUNTERS = {
    "frames_in": "Frames that entered the pipeline or were dropped before it.",
    "frames_out": "Results.",
    "dropped": "Frames that newer ones displaced, or that were too old.",
    "skipped": "Frames that were not wanted (every, target-fps).",
    "reconnects": "Reopenings of a live source.",
    "nonfinite_heads": "Network outputs with NaN or infinity in them.",
    "frozen": "How often the picture froze.",
    "black": "How often the picture went black.",
}


def exposition(recorder: Recorder, latest: Callable[[str], Newest | None]) -> bytes:
    """Return the metrics in Prometheus' text format; `latest` gives the newest result of a source."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Collector(recorder, latest))
    return bytes(generate_latest(registry))


class _Collector:
    def __init__(self, recorder: Recorder, latest: Callable[[str], Newest | None]) -> None:
        self._recorder = recorder
        self._latest = latest

    def collect(self) -> Iterator[Any]:
        metrics = self._recorder.metrics()
        states = self._recorder.states()
        sources = metrics.sources or dict.fromkeys(states, metrics)
        yield _info(metrics)
        for name, text in _COUNTERS.items():
            counter = CounterMetricFamily(f"segrt_{name}", text, labels=["source"])
            for source_id, measured in sources.items():
                counter.add_metric([source_id], getattr(measured, name))
            yield counter
        fps = GaugeMetricFamily("segrt_fps", "Results a second since the start.", labels=["source"])
        live = GaugeMetricFamily("segrt_source_state", "1 for the state a source is in.", labels=["source", "state"])
        for source_id, measured in sources.items():
            fps.add_metric([source_id], measured.fps)
            live.add_metric([source_id, states[source_id]], 1)
        yield fps
        yield live
        yield _ages(sources)
        yield _stages(sources)
        yield from _classes({name: newest for name in sources if (newest := self._latest(name)) is not None})
        for kind in ("written", "dropped", "failures"):
            family = CounterMetricFamily(f"segrt_sink_{kind}", f"Results {kind}, by sink.", labels=["sink"])
            for name, counts in metrics.sinks.items():
                family.add_metric([name], getattr(counts, kind))
            yield family
        if self._recorder.zones is not None:
            yield from _zones(self._recorder.zones)


def _zones(totals: ZoneTotals) -> Iterator[Any]:
    inside = GaugeMetricFamily(
        "segrt_zone_things", "Things that are inside a zone in the newest result.", labels=["source", "zone", "class"]
    )
    for source_id in totals.sources():
        for zone, counts in totals.inside(source_id).items():
            for name, count in counts.items():
                inside.add_metric([source_id, zone, name], count)
    yield inside
    labels = ["source", "zone", "class", "event", "direction", "rule"]
    text = "What has happened at zones and lines: entered, left, crossed, rule."
    happened = CounterMetricFamily("segrt_zone_events", text, labels=labels)
    for one in totals.happened():
        words = [one.source, one.zone, one.class_name, one.what, one.direction, one.rule]
        happened.add_metric(words, one.count)
    yield happened


def _info(metrics: StreamMetrics) -> Any:
    names = ("model", "backend", "device", "precision", "decode_device")
    family = GaugeMetricFamily("segrt_info", "1, with what runs as labels.", labels=[*names, "version"])
    family.add_metric([*(getattr(metrics, name) for name in names), version("segrt")], 1)
    return family


def _classes(newest: dict[str, Newest]) -> Iterator[Any]:
    counts = GaugeMetricFamily(
        "segrt_class_count", "Things of a class in the newest result.", labels=["source", "class"]
    )
    text = "Share of the picture that a class covers in the newest result, 0 to 1."
    shares = GaugeMetricFamily("segrt_class_share", text, labels=["source", "class"])
    for source_id, latest in newest.items():
        for name, amount in amounts_of(latest.result).items():
            shares.add_metric([source_id, name], amount.share)
            if amount.things is not None:
                counts.add_metric([source_id, name], amount.things)
    yield counts
    yield shares


def _ages(sources: dict[str, StreamMetrics]) -> Any:
    text = "From the capture of a frame to its result, of the last 8192 results."
    family = GaugeMetricFamily("segrt_frame_age_ms", text, labels=["source", "quantile"])
    for source_id, measured in sources.items():
        for quantile, value in (
            ("0.5", measured.frame_age_ms.p50),
            ("0.95", measured.frame_age_ms.p95),
            ("0.99", measured.frame_age_ms.p99),
        ):
            if value is not None:
                family.add_metric([source_id, quantile], value)
    return family


def _stages(sources: dict[str, StreamMetrics]) -> Any:
    text = "Time that a stage takes for a frame, of the last 8192 frames."
    family = GaugeMetricFamily("segrt_stage_ms", text, labels=["source", "stage", "quantile"])
    for source_id, measured in sources.items():
        for stage, times in measured.stages.items():
            for quantile, value in (
                ("0.5", times.p50_ms),
                ("0.9", times.p90_ms),
                ("0.95", times.p95_ms),
                ("0.99", times.p99_ms),
            ):
                family.add_metric([source_id, stage, quantile], value)
    return family
