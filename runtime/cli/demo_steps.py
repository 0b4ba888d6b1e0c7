"""The demo's work: three techniques on one street, as a picture, a video and figures."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from segrt.runtime.cli.latencies import LATENCIES
from segrt.runtime.draw import overlay, side_by_side
from segrt.runtime.evaluate import conversion
from segrt.runtime.evaluate.by_technique import MAIN_METRIC
from segrt.runtime.evaluate.datasets.street_dataset import StreetDataset, street_truth
from segrt.runtime.evaluate.measuring import Options, prepare
from segrt.runtime.evaluate.segmenting import SegmenterPredictor
from segrt.runtime.files.atomic import make_folder
from segrt.runtime.files.images import write_image
from segrt.runtime.inference.execution import Execution
from segrt.runtime.results import Result
from segrt.runtime.segmenter import Segmenter, open_bundle
from segrt.runtime.stream.loop import run_stream
from segrt.runtime.streetworld import StreetView
from segrt.runtime.streetworld.moments import Clip
from segrt.runtime.streetworld.writing import write_video

MODELS = {"semantic": "street-semantic", "instance": "street-instance", "panoptic": "street-panoptic"}
MEASURED_VIEWS = 20
REPEATS = 3

Track = Callable[[Iterable[StreetView], int, str], Iterable[StreetView]]
Count = Callable[[int], None]


@dataclass(frozen=True)
class TechniqueReport:
    """One technique's figures: stage → (p50, p95) in ms, and its own metric over the measured views, 0 to 1."""

    technique: str
    latency: Mapping[str, tuple[float, float]]
    metric: str
    value: float


@dataclass(frozen=True)
class DemoReport:
    """What the demo made: the files, and the figures of each technique."""

    comparison: Path
    clip: Path
    stream: Path
    techniques: tuple[TechniqueReport, ...]
    fps: float


def run_demo(folder: Path, clip: Clip, execution: Execution, *, track: Track, count: Count) -> DemoReport:
    """Render `clip`, run the embedded models on it and write the demo's files into `folder`.

    `track` wraps an iterable with progress (items, how many, what is done); `count` is told how many frames of the
    stream are done.
    """
    make_folder(folder)
    paths = {name: folder / name for name in ("street.mp4", "comparison.png", "stream.mp4")}
    views = _render(clip, paths["street.mp4"], track)
    segmenters = {technique: _opened(name, execution) for technique, name in MODELS.items()}
    try:
        reports, results = _measure(segmenters, views, track)
        common = views[len(views) // 2]
        panels = [("input", common.image, [f"{clip.size[1]} × {clip.size[0]} pixels", "the street world"])]
        for report, result in zip(reports, results, strict=True):
            captions = [f"{report.latency['total'][0]:.1f} ms", f"{report.metric} {report.value:.2f}"]
            panels.append((report.technique, overlay(common.image, result, text_scale=1.5), captions))
        write_image(paths["comparison.png"], side_by_side(panels))
        metrics = run_stream(segmenters["panoptic"], paths["street.mp4"], [paths["stream.mp4"]], progress=count)
    finally:
        for segmenter in segmenters.values():
            segmenter.close()
    return DemoReport(paths["comparison.png"], paths["street.mp4"], paths["stream.mp4"], reports, metrics.fps)


def _opened(name: str, execution: Execution) -> Segmenter:
    return open_bundle(
        name,
        backend=execution.backend,
        threads=execution.threads,
        engines=execution.engines,
        decode_on=execution.decode_on,
    )


def _render(clip: Clip, path: Path, track: Track) -> list[StreetView]:
    """Write the clip as an mp4; return the views, evenly spread, that are measured."""
    step = max(clip.frames // MEASURED_VIEWS, 1)
    kept = []

    def keeping(views: Iterable[StreetView]) -> Iterator[StreetView]:
        for index, view in enumerate(views):
            if index % step == 0:
                kept.append(view)
            yield view

    write_video(path, keeping(track(clip, clip.frames, "Rendering a street")), clip.fps)
    return kept


def _measure(
    segmenters: Mapping[str, Segmenter], views: Sequence[StreetView], track: Track
) -> tuple[tuple[TechniqueReport, ...], list[Result]]:
    """Run every technique on every view, in turn, so that a change of the machine's speed meets them all alike.

    Returns the reports, and each technique's result for the middle view.
    """
    times: dict[str, dict[str, list[float]]] = {name: {stage: [] for stage in LATENCIES} for name in segmenters}
    # The views are no data set, but have the classes of one.
    dataset = StreetDataset(seed=0, frames=len(views), size=views[0].image.shape[:2])
    outcomes = {
        name: prepare(SegmenterPredictor(segmenter), dataset, Options()) for name, segmenter in segmenters.items()
    }
    last: dict[str, Result] = {}
    middle: dict[str, Result] = {}
    for segmenter in segmenters.values():
        segmenter(views[0].image)  # the first run allocates
    for index, view in enumerate(track(views, len(views), "Measuring three techniques")):
        for _ in range(REPEATS):
            for name, segmenter in segmenters.items():
                result = segmenter(view.image)
                timings = result.timings
                assert timings is not None
                for stage in LATENCIES:
                    times[name][stage].append(getattr(timings, f"{stage}_ms"))
                last[name] = result
        if index == len(views) // 2:
            middle = dict(last)
        for name, segmenter in segmenters.items():
            # AP is taken over all scores: a threshold would cut off the curve that it is the area of.
            result = _unfiltered(segmenter, view) if name == "instance" else last[name]
            truth = conversion.truth(street_truth(view), outcomes[name].match)
            for meter in outcomes[name].meters[name]:
                meter.update(result, truth)
    reports = tuple(
        TechniqueReport(
            technique=name,
            latency={stage: _p50_p95(samples) for stage, samples in times[name].items()},
            metric=MAIN_METRIC[name].title,
            value=outcomes[name].evaluations(name)[0].metrics[MAIN_METRIC[name].name] or 0.0,
        )
        for name in segmenters
    )
    return reports, [middle[name] for name in segmenters]


def _unfiltered(segmenter: Segmenter, view: StreetView) -> Result:
    """Return the result with every object, however unlikely."""
    heads, geometry = segmenter.heads(view.image)
    return segmenter.decoded(heads, geometry, score_threshold=0.0)


def _p50_p95(samples: Sequence[float]) -> tuple[float, float]:
    p50, p95 = np.percentile(samples, [50, 95])
    return float(p50), float(p95)
