"""`segrt tune`: thresholds and precision chosen on a validation set, as a new bundle."""

import tempfile
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from segrt.runtime.cli import load_hook
from segrt.runtime.cli.options import BACKEND, execution_group, grouped
from segrt.runtime.cli.validation_set import ValidationSet, validation_options
from segrt.runtime.console.printable import say
from segrt.runtime.console.progress import Bars
from segrt.runtime.console.tables import print_table
from segrt.runtime.console.words import comma_separated

if TYPE_CHECKING:
    from segrt.runtime.bundle.bundle import Bundle
    from segrt.runtime.evaluate.datasets.dataset import Dataset
    from segrt.runtime.evaluate.measuring import Options
    from segrt.runtime.evaluate.tuning import Tuned
    from segrt.runtime.inference.execution import Execution


@dataclass(frozen=True)
class VariantOptions:
    """Which variants may cost how much, and which are made for it: `precisions` is a list, "fp16,int8"."""

    budget: str | None
    precisions: str | None
    calibration: Path | None
    search_steps: int


variant_options = grouped(
    "variants",
    VariantOptions,
    click.option(
        "--budget", metavar="TEXT", help='"drop<=0.5": make the fastest variant the default that costs no more.'
    ),
    click.option(
        "--precision",
        "precisions",
        metavar="LIST",
        help="With --budget: make these variants too (fp16, int8, int8-cpu), with layers kept in fp32 where the budget "
        "asks for it. Needs segrt[adopt].",
    ),
    click.option("--calibration", type=click.Path(path_type=Path), metavar="DIR", help="Typical pictures, for int8."),
    click.option(
        "--search-steps",
        type=click.IntRange(0),
        default=60,
        show_default=True,
        help="Runs to find the layers that must stay in fp32; each one over all of the images.",
    ),
)


@click.command()
@click.argument("bundle")
@validation_options(required=True)
@click.option("--out", required=True, type=click.Path(path_type=Path), metavar="BUNDLE", help="The new bundle.")
@click.option("--overwrite", is_flag=True, help="Replace a bundle that is there.")
@variant_options
@execution_group(BACKEND)
def tune(
    bundle: str,
    data: ValidationSet,
    out: Path,
    overwrite: bool,
    variants: VariantOptions,
    execution: "Execution",
) -> None:
    """Find the thresholds that score best on a validation set, and write them into a copy of BUNDLE.

    Panoptic: the score and overlap thresholds with the highest PQ. Instance: the score threshold with the highest F1 at
    IoU 0.5. One object (rule binary): the score threshold with the highest mIoU. With --budget the variants are
    measured too, in percentage points of mIoU, AP or PQ below fp32, and the fastest one within the budget on this
    device becomes the first, which is the default.
    """
    from segrt.runtime.authoring.rewriting import rewrite
    from segrt.runtime.bundle.locating import read_bundle
    from segrt.runtime.bundle.prompt_members import refuse_prompts
    from segrt.runtime.errors import SegrtError
    from segrt.runtime.evaluate.measuring import prepare
    from segrt.runtime.evaluate.segmenting import SegmenterPredictor
    from segrt.runtime.evaluate.tuning import parse_budget, tune_thresholds
    from segrt.runtime.segmenter import open_segmenter

    points = None if variants.budget is None else parse_budget(variants.budget)
    precisions = comma_separated(variants.precisions)
    if (precisions or variants.calibration) and points is None:
        raise SegrtError('--precision and --calibration go with a budget; add --budget "drop<=0.5"')
    check_request = load_hook("check-variants", "--precision") if precisions else None
    opened = read_bundle(bundle)
    refuse_prompts(opened.manifest, bundle, "tune")
    _check_out(out, overwrite, opened)
    if check_request is not None:
        check_request(opened, precisions, variants.calibration)
    dataset = data.opened(opened.manifest.labels)
    assert dataset is not None  # click asks for annotations
    with (
        open_segmenter(
            opened,
            backend=execution.backend,
            threads=execution.threads,
            engines=execution.engines,
            decode_on=execution.decode_on,
        ) as segmenter,
        Bars("name", "bar", "count", "left") as bars,
    ):
        predictor = SegmenterPredictor(segmenter, bundle)
        left_out = prepare(predictor, dataset, data.judging).match.left_out
        if left_out:
            say(f"not evaluated: {left_out}", err=True)
        tuned = tune_thresholds(segmenter, dataset, partial(bars.show, "thresholds"), data.judging)
    if tuned is None and points is None:
        raise SegrtError(f"{bundle} has no thresholds to tune; give --budget to choose among its variants")
    thresholds = tuned.thresholds if tuned is not None else {}
    if tuned is not None:
        _show_thresholds(tuned, opened, f"{bundle} on {dataset.path}")
    with tempfile.TemporaryDirectory(prefix="segrt-tune-") as folder:
        first = None
        if points is not None:
            if precisions:
                opened = _with_variants(
                    opened, dataset, points, thresholds, variants, execution, Path(folder), data.judging
                )
            first = _fastest(
                opened, dataset, points, thresholds, execution, data.judging, f"variants, budget {variants.budget}"
            )
        say(str(rewrite(opened, out, thresholds, first=first, overwrite=overwrite, threads=execution.threads)))


def _with_variants(
    bundle: "Bundle",
    dataset: "Dataset",
    points: float,
    thresholds: dict[str, float],
    options: VariantOptions,
    execution: "Execution",
    folder: Path,
    judging: "Options",
) -> "Bundle":
    """Return a copy of `bundle` in `folder` with the variants that are asked for and stay within the budget."""
    widened: Bundle = load_hook("make-variants", "--precision")(
        bundle,
        comma_separated(options.precisions),
        dataset,
        points,
        thresholds,
        calibration=options.calibration,
        folder=folder,
        execution=execution,
        search_steps=options.search_steps,
        say=lambda line: say(line, err=True),
        judging=judging,
    )
    return widened


def _fastest(
    bundle: "Bundle",
    dataset: "Dataset",
    points: float,
    thresholds: dict[str, float],
    execution: "Execution",
    judging: "Options",
    title: str,
) -> str:
    """Measure the variants, print them, and return the fastest that drops by at most `points` percentage points."""
    from segrt.runtime.evaluate.tuning import compare_variants, fastest_within

    with Bars("name", "bar", "count", "left") as bars:
        shown = partial(bars.show, "variants")
        measured = compare_variants(bundle, dataset, thresholds, execution, options=judging, progress=shown)
    chosen = fastest_within(measured, points)
    rows = [
        [entry.precision, f"{entry.figure:.4f}", f"{entry.drop:+.2f}", f"{entry.inference_ms:.2f}",
         "default" if entry is chosen else ""]
        for entry in measured
    ]  # fmt: skip
    print_table(title, ["precision", "figure", "drop in points", "ms", ""], rows)
    return chosen.precision


def _show_thresholds(tuned: "Tuned", bundle: "Bundle", title: str) -> None:
    decode = bundle.manifest.decode
    rows = [[name, f"{getattr(decode, name):g}", f"{value:g}"] for name, value in tuned.thresholds.items()]
    rows.append([tuned.metric, f"{tuned.before:.4f}", f"{tuned.figure:.4f}"])
    print_table(title, ["", "before", "tuned"], rows)


def _check_out(out: Path, overwrite: bool, bundle: "Bundle") -> None:
    """Fail before the work when the bundle cannot be written, or would replace itself."""
    from segrt.runtime.bundle.bundle_writer import BundleWriter
    from segrt.runtime.errors import BundleError

    if out.exists() and out.resolve() == bundle.folder.resolve():
        raise BundleError(f"{out}: is the bundle itself, and bundles are immutable; choose another folder")
    BundleWriter(out, overwrite=overwrite)
