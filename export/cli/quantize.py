"""`segrt quantize`: a bundle with variants at more precisions, made of its fp32 one."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from segrt.export.cli.options import PATH, overwrite_option, search_steps_option, threads_option
from segrt.runtime.cli.validation_set import ValidationSet, validation_options
from segrt.runtime.console.progress import with_progress
from segrt.runtime.console.quantities import SHARE
from segrt.runtime.console.tables import print_table

if TYPE_CHECKING:
    from segrt.export.precision.converted_variant import ConvertedVariant
    from segrt.export.precision.float32_reference import Comparison
    from segrt.export.precision.metric_budget import MetricBudget
    from segrt.runtime.bundle.bundle import Bundle


@click.command()
@click.argument("bundle")
@click.option("--precision", "precisions", required=True, metavar="LIST", help="fp16, int8, int8-cpu; comma-separated.")
@click.option("--out", required=True, type=PATH, metavar="BUNDLE", help="The new bundle.")
@click.option("--calibration", type=PATH, metavar="DIR", help="Typical pictures, for int8: a hundred or so.")
@click.option(
    "--keep",
    multiple=True,
    metavar="PATTERN",
    help="A node or module to keep in fp32, or attention-scores: products of queries and keys; may be repeated.",
)
@click.option(
    "--agreement",
    type=SHARE,
    help="What a variant's results must have in common with fp32's; 0.99 for fp16, 0.95 for int8 by default. Without "
    "--annotations.",
)
@validation_options(required=False)
@click.option(
    "--drop",
    type=click.FloatRange(0, 100),
    default=None,
    metavar="POINTS",
    help="With --annotations: percentage points of mIoU, AP or PQ that a variant may cost; 1 by default.",
)
@search_steps_option
@click.option(
    "--search-seconds",
    type=click.FloatRange(1),
    default=300.0,
    show_default=True,
    help="How long a variant's layers are searched for; with --annotations every run measures the whole data set.",
)
@threads_option
@overwrite_option
def quantize(
    bundle: str,
    precisions: str,
    out: Path,
    calibration: Path | None,
    keep: tuple[str, ...],
    agreement: float | None,
    data: ValidationSet,
    drop: float | None,
    search_steps: int,
    search_seconds: float,
    threads: int,
    overwrite: bool,
) -> None:
    """Write a copy of BUNDLE with variants at more precisions, each compared with fp32 on pictures.

    Without --annotations what a variant's results have in common with fp32's is asked for, on pictures that it was not
    calibrated with: no ground truth is known then. With them its mIoU, AP or PQ is, which may be so many points below
    fp32's and no more.

    A variant that cannot be made is told, and the exit code is 1; the others are written all the same.

    int8 is what TensorRT wants, int8-cpu what ONNX Runtime runs fastest on a CPU. Where results differ too much, the
    layers that must stay in fp32 are searched for; they are listed, and `segrt inspect` shows what share of the
    network is at the precision.
    """
    from segrt.export.graph.editing import require_onnx
    from segrt.export.precision.bundle_variants import add_variants
    from segrt.export.precision.calibration import calibration_files
    from segrt.export.precision.speed import line_of
    from segrt.export.precision.variant_options import VariantOptions
    from segrt.export.precision.variants import check_precisions, without
    from segrt.runtime.bundle.locating import read_bundle
    from segrt.runtime.errors import SegrtError

    require_onnx()
    names = list(dict.fromkeys(name.strip() for name in precisions.split(",") if name.strip()))
    if not names:
        raise SegrtError("--precision is empty; name fp16, int8 or int8-cpu, comma-separated")
    check_precisions(names)
    needs_pictures = any(name.startswith("int8") for name in names)
    pictures = calibration_files(calibration) if needs_pictures or calibration is not None else []
    opened = read_bundle(bundle)
    if opened.manifest.takes_prompts:
        raise SegrtError(f"{bundle}: takes prompts, and such bundles have an fp32 variant alone; TensorRT may use TF32")
    budget = _budget(opened, data, drop, agreement, threads)
    failures: dict[str, SegrtError] = {}
    variants = add_variants(
        opened,
        names,
        out,
        VariantOptions(
            calibration=pictures,
            keep=keep,
            limits={} if agreement is None else dict.fromkeys(names, agreement),
            search_steps=search_steps,
            search_seconds=search_seconds,
            threads=threads,
            progress=with_progress,
            accept=budget,
        ),
        overwrite=overwrite,
        say=lambda line: click.echo(line, err=True),
        failed=failures.__setitem__,
    )
    _print_variants(f"{bundle} against its fp32 variant", variants)
    _print_kept_layers(variants)
    click.echo(_judged(opened, budget, variants))
    for line in (line_of(variant.speed, variant.file.precision) for variant in variants):
        click.echo(line)
    click.echo(f"{out}: written and verified; look at `segrt inspect {out}`")
    if failures:
        raise without(out, failures)


def _budget(
    bundle: "Bundle", data: ValidationSet, drop: float | None, agreement: float | None, threads: int
) -> "MetricBudget | None":
    """Return what judges variants by their metric, None without a validation set; raise SegrtError for wrong use."""
    from segrt.export.precision.metric_budget import MetricBudget
    from segrt.runtime.errors import SegrtError
    from segrt.runtime.inference.execution import Execution

    dataset = data.opened(bundle.manifest.labels)
    if dataset is None:
        if drop is not None:
            raise SegrtError("--drop: is what --annotations DATA measures; give it, too")
        return None
    if agreement is not None:
        raise SegrtError(
            "--agreement: --annotations has variants judged by their metric; say with --drop what it may cost"
        )
    return MetricBudget(
        bundle,
        dataset,
        1.0 if drop is None else drop,
        Execution("onnxruntime", threads=threads),
        lambda line: click.echo(line, err=True),
        allow=lambda cost: f"`segrt quantize --drop {cost}`",
        judging=data.judging,
    )


def _judged(bundle: "Bundle", budget: "MetricBudget | None", variants: "list[ConvertedVariant]") -> str:
    """Return what the variants were judged by."""
    from segrt.runtime.evaluate.by_technique import MAIN_METRIC

    if budget is not None:
        return f"judged by {budget.metric} on {budget.dataset.path}: {budget.points:g} points below fp32 at most"
    images = variants[0].comparison.images
    metric = MAIN_METRIC[bundle.manifest.technique].title
    return (
        f"judged by agreement with fp32 on {images} pictures, which tells no {metric}: --annotations DATA measures "
        "what a variant costs, and --drop says what it may"
    )


def _print_variants(title: str, variants: "list[ConvertedVariant]") -> None:
    """Print how each variant compares with fp32, and how much of it is at its precision."""
    rows = []
    for variant in variants:
        precision, counts, comparison = variant.file.precision, variant.counts, variant.comparison
        rows.append(
            [
                precision,
                f"{counts.mac_share(precision):.1%}",
                f"{counts.weight_share(precision):.1%}",
                f"{comparison.agreement:.2%}",
                f"{comparison.worst:.2%}",
                _by_part(comparison),
                str(len(variant.kept) or ""),
            ]
        )
    columns = ["precision", "multiply-adds", "weights", "agreement", "at worst", "by class or object", "kept in fp32"]
    print_table(title, columns, rows)


def _by_part(comparison: "Comparison") -> str:
    """Return the overlap of the classes of a semantic network, the share of matched objects of any other."""
    part = comparison.classes if comparison.matched is None else comparison.matched
    return "" if part is None else f"{part:.2%}"


def _print_kept_layers(variants: "list[ConvertedVariant]") -> None:
    """Print the layers that stay in fp32 because of the search, if there are any."""
    rows = [
        [
            variant.file.precision,
            kept.layer.module,
            kept.layer.name,
            f"{kept.share:.1%}",
            "overflows" if kept.error == float("inf") else f"{kept.error:.2g}",
        ]
        for variant in variants
        for kept in variant.kept
    ]
    if rows:
        columns = ["precision", "module", "node", "multiply-adds", "error with it alone"]
        print_table("layers that stay in fp32", columns, rows)
