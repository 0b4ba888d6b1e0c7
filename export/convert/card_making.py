"""The truth card of an export: how it was compared, what its weights are known to score, what it scores here."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from segrt.export.bundling import Network, VariantFile, write_bundle
from segrt.export.convert.export_options import Annotations, ExportOptions
from segrt.export.convert.parity import ParityReport
from segrt.export.family import Exportable, Model
from segrt.export.graph.tracing import IMAGE, VALID_MASK, Traced
from segrt.export.models.published_metrics import published_metric
from segrt.runtime.bundle.locating import read_bundle
from segrt.runtime.bundle.truth_card import MeasuredMetric, ParityCheck, TruthCard
from segrt.runtime.console.progress import Bars
from segrt.runtime.errors import SegrtError
from segrt.runtime.evaluate.by_technique import MAIN_METRIC
from segrt.runtime.evaluate.datasets.dataset import Dataset, clips_of
from segrt.runtime.evaluate.datasets.opening import open_dataset
from segrt.runtime.evaluate.evaluation import Evaluation
from segrt.runtime.evaluate.measuring import Options
from segrt.runtime.evaluate.segmenting import Segments, evaluate
from segrt.runtime.files.images import Picture
from segrt.runtime.preprocess.picture import network_inputs
from segrt.runtime.results import Label, Result
from segrt.runtime.segmenter import open_segmenter


def truth_card(
    model: Model, report: ParityReport, options: ExportOptions, measured: MeasuredMetric | None = None
) -> TruthCard:
    """Return the card of an export that was compared as `report` says."""
    return TruthCard(
        parity=options.parity,
        images=report.parity.images,
        pictures="synthetic" if options.parity_images is None else "own",
        checks=tuple(ParityCheck(line.what, line.value, line.limit) for line in report.lines),
        published=published_metric(model) if options.weights.kind == "pretrained" else None,
        measured=measured,
    )


def open_annotations(given: Annotations, model: Model, labels: Sequence[Label]) -> Dataset:
    """Open the data set to measure on; raise SegrtError for one that is missing, of clips, or of another technique."""
    dataset = open_dataset(given.annotations, given.images, given.panoptic_dir, labels=labels)
    if clips_of(dataset):
        raise SegrtError(
            f"--annotations {given.annotations}: is of clips; give one of pictures, and measure clips with `segrt eval`"
        )
    if model.technique not in dataset.techniques:
        raise SegrtError(
            f"--annotations {given.annotations}: holds {' and '.join(dataset.techniques)} truth, but {model.name} is "
            f"{model.technique}; give a data set for that, or leave it out"
        )
    return dataset


def score(segmenter: Segments, dataset: Dataset, options: ExportOptions, *, name: str) -> Evaluation:
    """Measure a segmenter on `dataset`; raise SegrtError where classes differ or a picture cannot be read."""
    given = options.measure_on
    how = Options(common_classes=given is not None and given.common_classes)
    with Bars("name", "bar", "count", "left") as bars:

        def progress(done: int, total: int) -> None:
            bars.show(f"measuring {name}", done, total)

        return evaluate(segmenter, dataset, name=name, options=how, progress=progress)


def score_variants(
    network: Network,
    variants: Sequence[VariantFile],
    before: Evaluation,
    dataset: Dataset,
    options: ExportOptions,
    folder: Path,
) -> MeasuredMetric:
    """Measure every variant on the data set that gave `before`; `folder` is a new one, for a bundle to open."""
    bundle = read_bundle(write_bundle(folder, network, variants, [], check=False))
    metric = MAIN_METRIC[network.technique]
    after = {}
    for variant in variants:
        with open_segmenter(
            bundle, backend="onnxruntime", precision=variant.precision, threads=options.threads, device="cpu"
        ) as segmenter:
            found = score(segmenter, dataset, options, name=f"{network.name} in {variant.precision}")
            after[variant.precision] = found.metrics.get(metric.name)
    return MeasuredMetric(metric.title, name_of(dataset), before.images, before.metrics.get(metric.name), after)


def name_of(dataset: Dataset) -> str:
    """Return what a card calls a data set: the name of its annotations, without this machine's folders."""
    return dataset.path.resolve().name if isinstance(dataset.path, Path) else str(dataset.path)


def line_of(measured: MeasuredMetric) -> str:
    """Return what was measured, in a line for the user."""
    shares: Mapping[str, float | None] = {"torch": measured.source, **measured.variants}
    figures = ", ".join(f"{name} {'nothing' if share is None else f'{share:.2%}'}" for name, share in shares.items())
    return f"{measured.metric} on {measured.images} pictures of {measured.dataset}: {figures}"


@dataclass(frozen=True)
class FrameworkSegmenter:
    """The source framework's unmodified network and post-processing, as what can be evaluated."""

    technique: str
    exportable: Exportable
    traced: Traced

    @property
    def labels(self) -> Sequence[Label]:
        """The network's classes."""
        return self.exportable.labels

    def __call__(self, image: Picture, /) -> Result:
        """Segment `image`, uint8 BGR (H, W, 3)."""
        inputs, geometry = network_inputs(self.traced.inputs, image)
        mask = torch.from_numpy(inputs[VALID_MASK]) if VALID_MASK in inputs else None
        with torch.inference_mode():
            pixels = self.traced.network.pixels(torch.from_numpy(inputs[IMAGE]))
            return self.exportable.framework_result(pixels, mask, geometry)
