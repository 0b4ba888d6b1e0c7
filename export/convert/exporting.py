"""`segrt export`: a model of the catalogue becomes a bundle, each step checked against the framework it came from."""

import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

from segrt.export.bundling import GoldenPicture, Network, VariantFile, default_tolerance, write_bundle
from segrt.export.convert import memory, parity, placement
from segrt.export.convert.engine_check import check_engines
from segrt.export.convert.parity import ParityReport
from segrt.export.family import Exportable, Model, PadSide, Request, Size, Weights
from segrt.export.golden_pictures import golden_pictures
from segrt.export.graph.tracing import Traced, trace
from segrt.export.models.catalogue import find_model
from segrt.export.precision import converters
from segrt.export.precision.calibration import calibration_files
from segrt.export.quiet import quiet
from segrt.export.weights.saved_folder import with_own_weights
from segrt.runtime.bundle.bundle_writer import BundleWriter
from segrt.runtime.bundle.golden import QUERY_ROLES
from segrt.runtime.bundle.manifest import HeadTolerance, Tolerance
from segrt.runtime.errors import CheckFailed, SegrtError, one_line
from segrt.runtime.files.finding import find_pictures
from segrt.runtime.files.images import Picture, read_image
from segrt.runtime.results.labels.class_lists import read_labels

PRECISIONS = ("fp32", *converters.PRECISIONS)
# Another device may round differently: what `segrt verify` allows there is wider than what is asked here.
_WIDER = 2.0
_AGREEMENT_SLACK = 0.005
_AGREEMENT_WITH_ITSELF = 0.99
_SMALLEST_SIDE = 32

Say = Callable[[str], None]


@dataclass(frozen=True)
class ExportOptions:
    """What the user asks for; the fields are the options of `segrt export`.

    `size` None means the model's default; `both_orientations` makes it a square that holds pictures on their side and
    upright, each at the framework's scale; `pad_side` None means the framework's; `overrides` changes fields of the
    network's configuration; `progress` wraps the pictures that are calibrated with, to show how far it is.
    """

    weights: Weights
    size: Size | None = None
    labels: str | None = None
    precisions: tuple[str, ...] = ("fp32",)
    calibration: Path | None = None
    search_steps: int = 200
    top_queries: int | None = None
    dynamic_batch: bool = False
    both_orientations: bool = False
    pad_side: PadSide | None = None
    parity_images: Path | None = None
    check_tensorrt: bool = False
    overwrite: bool = False
    threads: int = 0
    overrides: Mapping[str, Any] = field(default_factory=dict)
    progress: Callable[[list[Picture], str], Iterable[Picture]] = lambda pictures, text: pictures  # noqa: ARG005


@dataclass(frozen=True)
class Exported:
    """The bundle that was written, what the comparison with the framework gave, which variants could not be made."""

    bundle: Path
    report: ParityReport
    failed: Mapping[str, SegrtError] = field(default_factory=dict)


def export_model(
    name: str,
    out: Path,
    options: ExportOptions,
    *,
    say: Say = lambda line: None,  # noqa: ARG005
    show: Callable[[ParityReport], None] = lambda report: None,  # noqa: ARG005
) -> Exported:
    """Export the model `name` into the bundle `out`, whole or not at all.

    `say` takes a line for each step, `show` the comparison with torch. Raises SegrtError for wrong use, CheckFailed
    when the exported network differs from the framework's by more than the family allows.
    """
    model = find_model(name)
    BundleWriter(out, overwrite=options.overwrite)  # complains now, not after minutes of work
    size, shortest = check_size(model, options.size or model.size), None
    if options.both_orientations:
        size, shortest = placement.canvas_for_both(size)
    _check_precisions(options)
    pictures = parity_pictures(options.parity_images)
    calibration = calibration_files(options.calibration) if options.calibration is not None else []
    labels = None
    if options.labels is not None:
        labels = read_labels(options.labels, things=model.technique == "instance")
    memory.check(model, size)
    request = Request(model, size, options.weights, labels, options.top_queries, options.overrides, shortest)
    say(f"building {model.name} for {size[0]}x{size[1]}")
    with memory.explained(model.name), tempfile.TemporaryDirectory(prefix="segrt-export-") as folder:
        exportable = placement.with_pad_side(build(request), options.pad_side, model.name, size)
        problem = exportable.decode.label_problem(len(exportable.labels))
        if problem is not None:
            raise SegrtError(f"{model.name}: {problem}; give the names of at least 2 classes with --labels FILE")
        if options.both_orientations:
            placement.check_orientations(model.name, exportable)
        elif placement.is_for_one_orientation(exportable, size):
            kind = "that stand upright" if size[0] < size[1] else "on their side"
            say(f"pictures {kind} come in smaller than the framework makes them; --both-orientations holds both")
        say("exporting it to ONNX")
        traced = trace(
            exportable, size, Path(folder) / "model.fp32.onnx", model.name, dynamic_batch=options.dynamic_batch
        )
        _check_top_queries(request, traced)
        say(f"comparing it with torch on {len(pictures)} pictures")
        with quiet():
            report = parity.compare(traced, exportable, pictures, threads=options.threads)
        show(report)
        check_report(model.name, report)
        network = describe(model, exportable, traced)
        failed: dict[str, SegrtError] = {}
        variants = _variants(network, exportable, traced, report, options, calibration, pictures, say, failed)
        if options.check_tensorrt:
            check_engines(model.name, variants, say)
        say("writing the bundle")
        with quiet():
            golden = [_golden(traced, exportable, name, picture) for name, picture in golden_pictures([])]
        bundle = write_bundle(out, network, variants, golden, overwrite=options.overwrite, threads=options.threads)
    return Exported(bundle, report, failed)


def build(request: Request) -> Exportable:
    """Return what the family of the request's model makes of it."""
    request = with_own_weights(request)
    if request.weights.kind == "pretrained" and request.model.checkpoint is None:
        remedy = "give yours with --weights FILE, or --weights random"
        raise SegrtError(f"{request.model.name}: has no published weights; {remedy}")
    try:
        with quiet():
            exportable: Exportable = import_module(request.model.builder).build(request)
    except ImportError as error:
        if (error.name or "").startswith("segrt"):
            raise
        needs = " ".join(request.model.needs) or "'segrt[export]'"
        what = error.name or one_line(error, 200)
        raise SegrtError(f"{request.model.name} needs {what}; `pip install {needs}`") from None
    return exportable


def check_size(model: Model, size: Size) -> Size:
    """Return `size` (h, w) when the model takes it; raise SegrtError with the next sizes that it takes."""
    step = model.multiple
    if min(size) < _SMALLEST_SIDE:
        raise SegrtError(f"--size {size[0]}x{size[1]}: both sides must be at least {_SMALLEST_SIDE} pixels")
    if all(side % step == 0 for side in size):
        return size
    smaller, larger = (
        tuple(max(side // step + extra * (side % step > 0), 1) * step for side in size) for extra in (0, 1)
    )
    near = " or ".join(f"{height}x{width}" for height, width in dict.fromkeys((smaller, larger)))
    raise SegrtError(f"--size {size[0]}x{size[1]}: {model.name} takes multiples of {step}; the next are {near}")


def parity_pictures(folder: Path | None) -> list[Picture]:
    """Return the pictures to compare on, uint8 BGR: those in `folder`, or synthetic ones; SegrtError for too few."""
    if folder is None:
        return parity.synthetic_pictures()
    paths = find_pictures([str(folder)])
    if len(paths) < parity.LEAST_PICTURES:
        raise SegrtError(
            f"--parity-images {folder}: holds {len(paths)} pictures; give at least {parity.LEAST_PICTURES}"
        )
    return [read_image(path) for path in paths]


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


def _check_precisions(options: ExportOptions) -> None:
    for precision in options.precisions:
        if precision not in PRECISIONS:
            raise SegrtError(f"--precision {precision}: must be {', '.join(PRECISIONS)}, comma-separated")
    if len(set(options.precisions)) != len(options.precisions) or not options.precisions:
        raise SegrtError(f"--precision {','.join(options.precisions)}: name each precision once")
    needs_pictures = [name for name in options.precisions if name.startswith("int8")]
    if needs_pictures and options.calibration is None:
        raise SegrtError(f"--precision {needs_pictures[0]}: needs --calibration DIR, a folder of typical pictures")


def _check_top_queries(request: Request, traced: Traced) -> None:
    if request.top_queries is None:
        return
    heads = [spec for spec in traced.heads if spec.role in (*QUERY_ROLES, "scores")]
    if not heads or any(spec.shape[1] != request.top_queries for spec in heads):
        raise SegrtError(f"--top-queries {request.top_queries}: {request.model.name} has no queries to choose from")


def _variants(
    network: Network,
    exportable: Exportable,
    traced: Traced,
    report: ParityReport,
    options: ExportOptions,
    calibration: Sequence[Path],
    pictures: Sequence[Picture],
    say: Say,
    failed: dict[str, SegrtError],
) -> list[VariantFile]:
    """Return the variants; those that could not be made are added to `failed`."""
    fp32 = VariantFile(
        "fp32",
        traced.path,
        tolerance=tolerance(network, exportable),
        parity=report.parity,
        precision_share=1.0,
        weight_share=1.0,
    )
    others = tuple(name for name in options.precisions if name != "fp32")
    if not others:
        return [fp32]
    from segrt.export.precision.variant_options import VariantOptions
    from segrt.export.precision.variants import make_variants

    chosen = VariantOptions(
        calibration=calibration,
        pictures=pictures if options.parity_images is not None else (),
        golden=[picture for _, picture in golden_pictures([])],
        keep=exportable.keep,
        keep_must_fit=False,
        search_steps=options.search_steps,
        trained=options.weights.kind != "random",
        threads=options.threads,
        progress=options.progress,
    )
    converted = make_variants(
        traced.path,
        others,
        network,
        folder=traced.path.parent,
        say=say,
        options=chosen,
        failed=failed.__setitem__,
    )
    if failed and not converted and "fp32" not in options.precisions:
        raise next(iter(failed.values()))
    for line in (line for variant in converted for line in variant.lines()):
        say(line)
    by_name = {variant.precision: variant for variant in (fp32, *(variant.file for variant in converted))}
    return [by_name[name] for name in options.precisions if name in by_name]


def _golden(traced: Traced, exportable: Exportable, name: str, picture: Picture) -> GoldenPicture:
    reference = parity.refer(traced, exportable, picture)
    result = None if exportable.limits.at is not None else reference.result
    return GoldenPicture(name, picture, reference.heads, result)
