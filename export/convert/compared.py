"""An exported network compared with the framework it came from, and what is kept of it when the framework has gone.

The framework's network, its golden heads and its score on a labelled data set are needed while it is compared, and by
nothing behind that: variants are made of the ONNX file alone. So it is let go first, and there is one copy at a time.
"""

from collections.abc import Callable
from dataclasses import dataclass

from segrt.export.bundling import GoldenPicture, Network, VariantFile, default_tolerance
from segrt.export.convert import parity
from segrt.export.convert.card_making import FrameworkSegmenter, name_of, score
from segrt.export.convert.export_options import ExportOptions
from segrt.export.convert.parity import ParityReport, Reference
from segrt.export.family import Exportable, Model
from segrt.export.graph.tracing import Traced
from segrt.export.quiet import quiet
from segrt.runtime.bundle.golden import QUERY_ROLES
from segrt.runtime.bundle.manifest import HeadTolerance, Tolerance
from segrt.runtime.console.words import counted
from segrt.runtime.errors import CheckFailed, SegrtError
from segrt.runtime.evaluate.datasets.dataset import Dataset
from segrt.runtime.evaluate.evaluation import Evaluation
from segrt.runtime.files.finding import find_pictures
from segrt.runtime.files.images import Picture, read_image

# Another device may round differently: what `segrt verify` allows there is wider than what is asked here.
_WIDER = 2.0
_AGREEMENT_SLACK = 0.005
_AGREEMENT_WITH_ITSELF = 0.99
_GOLDEN = 2

Say = Callable[[str], None]
Show = Callable[[ParityReport], None]


@dataclass(frozen=True)
class Compared:
    """What is kept: the float32 variant, what it is, how it compared, golden frames, and the framework's score.

    keep: nodes or modules that stay in float32 in every variant.
    """

    fp32: VariantFile
    network: Network
    keep: tuple[str, ...]
    report: ParityReport
    golden: tuple[GoldenPicture, ...]
    score: Evaluation | None


def compare(
    model: Model,
    exportable: Exportable,
    traced: Traced,
    options: ExportOptions,
    *,
    pictures: list[Picture],
    dataset: Dataset | None,
    say: Say,
    show: Show,
) -> Compared:
    """Compare an exported network with its framework; raise CheckFailed outside the family's limits.

    `pictures` are those to compare on, `dataset` is what the framework is scored on, if anything.
    """
    say(f"comparing it with torch on {counted(len(pictures), 'picture')}")
    with quiet():
        shown = options.progress(pictures, "comparing with torch")
        # Synthetic pictures are golden frames, too, unless they were brought to a size for the comparison, which may
        # be larger than a golden frame should be; the user's own are nobody else's business.
        reused = _GOLDEN if options.parity_images is None and exportable.limits.at is None else 0
        report, references = parity.compare(traced, exportable, shown, threads=options.threads, keep=reused)
    show(report)
    check_report(model.name, report)
    network = describe(model, exportable, traced)
    fp32 = VariantFile(
        "fp32",
        traced.path,
        tolerance=tolerance(network, exportable),
        parity=report.parity,
        precision_share=1.0,
        weight_share=1.0,
    )
    if not references:
        say("making golden frames with torch")
        with quiet():
            synthetic = parity.synthetic_pictures()[: 1 if options.parity == "quick" else _GOLDEN]
            references = [parity.refer(traced, exportable, picture) for picture in synthetic]
    golden = tuple(_golden(number, reference, exportable) for number, reference in enumerate(references, 1))
    before = None
    if dataset is not None:
        say(f"measuring torch on {name_of(dataset)}")
        framework = FrameworkSegmenter(model.technique, exportable, traced)
        with quiet():
            before = score(framework, dataset, options, name=f"{model.name} in torch")
    return Compared(fp32, network, exportable.keep, report, golden, before)


def parity_pictures(options: ExportOptions) -> list[Picture]:
    """Return the pictures to compare on, uint8 BGR: the user's, or synthetic ones; raise SegrtError for too few."""
    folder, is_quick = options.parity_images, options.parity == "quick"
    if folder is None:
        return parity.synthetic_pictures()[: 1 if is_quick else None]
    paths = find_pictures([str(folder)])
    least = 1 if is_quick else parity.LEAST_PICTURES
    if len(paths) < least:
        raise SegrtError(f"--parity-images {folder}: holds {len(paths)} pictures; give at least {least}")
    return [read_image(path) for path in (paths[:1] if is_quick else paths)]


def check_report(name: str, report: ParityReport) -> None:
    """Raise CheckFailed when a comparison is outside the family's limits."""
    failed = [line for line in report.lines if not line.passed]
    if failed:
        first = failed[0]
        more = f", and {len(failed) - 1} more" if len(failed) > 1 else ""
        raise CheckFailed(
            f"{name}: differs from torch: {first.what} has {first.value}, but may have {first.limit}{more}; "
            "nothing was written"
        )


def describe(model: Model, exportable: Exportable, traced: Traced) -> Network:
    """Return what is the same for all variants of the exported network."""
    return Network(
        name=model.name,
        technique=model.technique,
        family=model.family,
        source=exportable.source,
        inputs=traced.inputs,
        heads=traced.heads,
        labels=exportable.labels,
        decode=exportable.decode,
    )


def tolerance(network: Network, exportable: Exportable) -> Tolerance:
    """Return what `segrt verify` asks of the fp32 variant: the family's own limits, a little wider."""
    limits = exportable.limits
    heads = {}
    for head in network.heads:
        limit = limits.heads.get(head.name, limits.head)
        if limit is None:
            continue
        default = default_tolerance(network, "fp32").heads[head.name]
        heads[head.name] = HeadTolerance(
            max(default.absolute, _WIDER * limit.absolute) if head.dtype.startswith("float") else default.absolute,
            max(default.relative, _WIDER * limit.relative),
            rows="live_queries" if head.role in QUERY_ROLES else "all",
            outliers=default.outliers,
        )
    agreement = limits.agreement if limits.at is None else _AGREEMENT_WITH_ITSELF
    return Tolerance(max(min(0.995, agreement - _AGREEMENT_SLACK), 0.0), heads)


def _golden(number: int, reference: Reference, exportable: Exportable) -> GoldenPicture:
    result = None if exportable.limits.at is not None else reference.result
    return GoldenPicture(f"synthetic-{number}", reference.picture, reference.heads, result)
