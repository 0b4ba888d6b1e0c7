"""`segrt export`: a model of the catalogue becomes a bundle, each step checked against the framework it came from."""

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib import import_module
from pathlib import Path

from segrt.export.bundling import VariantFile, write_bundle
from segrt.export.convert import memory, placement
from segrt.export.convert.card_making import line_of, open_annotations, score_variants, truth_card
from segrt.export.convert.compared import Compared, Say, Show, compare, parity_pictures
from segrt.export.convert.engine_check import check_engines
from segrt.export.convert.export_options import ExportOptions
from segrt.export.convert.memory import is_of_memory
from segrt.export.convert.missing_classes import too_old
from segrt.export.convert.parity import ParityReport
from segrt.export.convert.prompted_export import export_prompted, refuse_options
from segrt.export.convert.torch_threads import torch_threads
from segrt.export.family import Exportable, Model, Request, Size
from segrt.export.graph.own_heap import give_back
from segrt.export.graph.tracing import Traced, trace
from segrt.export.models.catalogue import find_model
from segrt.export.precision.calibration import calibration_files
from segrt.export.quiet import quiet
from segrt.export.weights.licences import forbids_commercial_use
from segrt.export.weights.saved_folder import with_own_weights
from segrt.runtime.bundle.bundle_writer import BundleWriter
from segrt.runtime.bundle.golden import QUERY_ROLES
from segrt.runtime.errors import SegrtError, one_line
from segrt.runtime.evaluate.datasets.dataset import Dataset
from segrt.runtime.files.images import Picture
from segrt.runtime.inference.onnxruntime.network_session import little_memory
from segrt.runtime.results.labels.class_lists import read_labels, uncounted

_SMALLEST_SIDE = 32


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
    show: Show = lambda report: None,  # noqa: ARG005
) -> Exported:
    """Export the model `name` into the bundle `out`, whole or not at all.

    `say` takes a line for each step, `show` the comparison with torch. Raises SegrtError for wrong use, CheckFailed
    when the exported network differs from the framework's by more than the family allows.
    """
    model = find_model(name)
    BundleWriter(out, overwrite=options.overwrite)  # complains now, not after minutes of work
    if model.prompts:
        refuse_options(model.name, options)
    size, shortest = check_size(model, options.size or model.size), None
    if options.both_orientations:
        size, shortest = placement.canvas_for_both(size)
    options.check_precisions()
    pictures = parity_pictures(options)
    calibration = calibration_files(options.calibration) if options.calibration is not None else []
    labels = None
    if options.labels is not None:
        labels = read_labels(options.labels, things=model.technique == "instance")
        if model.technique == "panoptic" and (warning := uncounted(labels, f"--labels {options.labels}")) is not None:
            say(warning)
    memory.check(model, size)
    request = Request(model, size, options.weights, labels, options.top_queries, options.overrides, shortest)
    _say_licence(model, options, say)
    say(f"building {model.name} for {size[0]}x{size[1]}")
    if model.prompts:
        with memory.explained(model.name), little_memory(), torch_threads(options.threads):
            exportable = placement.with_pad_side(build(request), options.pad_side, model.name, size)
            return Exported(*export_prompted(request, exportable, out, options, pictures, say=say, show=show))
    with memory.explained(model.name), little_memory(), tempfile.TemporaryDirectory(prefix="segrt-export-") as folder:
        with torch_threads(options.threads):
            compared, dataset = _compared(request, Path(folder), options, pictures, say, show)
        give_back()
        failed: dict[str, SegrtError] = {}
        variants = _variants(compared, options, calibration, pictures, say, failed)
        give_back()
        if options.check_tensorrt:
            check_engines(model.name, variants, say)
        measured = None
        if dataset is not None and compared.score is not None:
            network = compared.network
            measured = score_variants(network, variants, compared.score, dataset, options, Path(folder) / "measured")
            say(line_of(measured))
        say("writing the bundle, and checking its golden frames")
        network = replace(compared.network, card=truth_card(model, compared.report, options, measured))
        golden = compared.golden
        bundle = write_bundle(out, network, variants, golden, overwrite=options.overwrite, threads=options.threads)
    return Exported(bundle, compared.report, failed)


def _compared(
    request: Request, folder: Path, options: ExportOptions, pictures: list[Picture], say: Say, show: Show
) -> tuple[Compared, Dataset | None]:
    """Build, trace and compare the network; what is returned holds nothing of the framework."""
    model, size = request.model, request.size
    exportable = placement.with_pad_side(build(request), options.pad_side, model.name, size)
    give_back()
    problem = exportable.decode.label_problem(len(exportable.labels))
    if problem is not None:
        raise SegrtError(f"{model.name}: {problem}; give the names of at least 2 classes with --labels FILE")
    if options.both_orientations:
        placement.check_orientations(model.name, exportable)
    elif placement.is_for_one_orientation(exportable, size):
        kind = "that stand upright" if size[0] < size[1] else "on their side"
        say(f"pictures {kind} come in smaller than the framework makes them; --both-orientations holds both")
    given = options.measure_on
    dataset = None if given is None else open_annotations(given, model, exportable.labels)
    say("exporting it to ONNX")
    traced = trace(exportable, size, folder / "model.fp32.onnx", model.name, dynamic_batch=options.dynamic_batch)
    _check_top_queries(request, traced)
    give_back()
    return (
        compare(model, exportable, traced, options, pictures=pictures, dataset=dataset, say=say, show=show),
        dataset,
    )


def _say_licence(model: Model, options: ExportOptions, say: Say) -> None:
    """Tell where the licence of the published weights forbids commercial use."""
    checkpoint = model.checkpoint
    if options.weights.kind == "pretrained" and checkpoint and forbids_commercial_use(checkpoint.licence):
        say(f"note: the licence of these weights, {checkpoint.licence}, forbids commercial use")


def build(request: Request) -> Exportable:
    """Return what the family of the request's model makes of it."""
    request = with_own_weights(request)
    if request.weights.kind == "pretrained" and request.model.checkpoint is None:
        remedy = "give yours with --weights FILE, or --weights random"
        raise SegrtError(f"{request.model.name}: has no published weights; {remedy}")
    try:
        with quiet():
            exportable: Exportable = import_module(request.model.builder).build(request)
    except (ImportError, AttributeError) as error:
        lacking = too_old(error)
        if lacking is not None:
            raise SegrtError(f"{request.model.name} needs {lacking}") from None
        if not isinstance(error, ImportError) or (error.name or "").startswith("segrt"):
            raise
        needs = " ".join(request.model.needs) or "'segrt[export]'"
        what = error.name or one_line(error, 200)
        raise SegrtError(f"{request.model.name} needs {what}; `pip install {needs}`") from None
    except (RuntimeError, ValueError, IndexError, ZeroDivisionError, AssertionError) as error:
        # What networks raise on a picture too small for their pooling, or of a shape that their grid does not fit.
        if request.size == request.model.size or is_of_memory(error):
            raise
        (height, width), (own_height, own_width) = request.size, request.model.size
        raise SegrtError(
            f"--size {height}x{width}: {request.model.name} cannot take it ({one_line(error, 160)}); its own is "
            f"{own_height}x{own_width}, so take one nearer to that or leave --size out"
        ) from error
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


def _check_top_queries(request: Request, traced: Traced) -> None:
    if request.top_queries is None:
        return
    places = {**dict.fromkeys((*QUERY_ROLES, "scores"), 1), "predictions": 2}  # of the axis of queries
    counts = [spec.shape[places[spec.role]] for spec in traced.heads if spec.role in places]
    if not counts or any(count != request.top_queries for count in counts):
        raise SegrtError(f"--top-queries {request.top_queries}: {request.model.name} has no queries to choose from")


def _variants(
    compared: Compared,
    options: ExportOptions,
    calibration: Sequence[Path],
    pictures: Sequence[Picture],
    say: Say,
    failed: dict[str, SegrtError],
) -> list[VariantFile]:
    """Return the variants; those that could not be made are added to `failed`."""
    fp32, path = compared.fp32, compared.fp32.onnx
    others = tuple(name for name in options.precisions if name != "fp32")
    if not others:
        return [fp32]
    from segrt.export.precision.variant_options import VariantOptions
    from segrt.export.precision.variants import make_variants

    chosen = VariantOptions(
        calibration=calibration,
        pictures=pictures if options.parity_images is not None else (),
        golden=[picture.image for picture in compared.golden],
        golden_heads=[picture.heads for picture in compared.golden if picture.heads is not None],
        keep=compared.keep,
        keep_must_fit=False,
        search_steps=options.search_steps,
        trained=options.weights.kind != "random",
        threads=options.threads,
        progress=options.progress,
    )
    converted = make_variants(
        path,
        others,
        compared.network,
        folder=path.parent,
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
