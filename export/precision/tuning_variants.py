"""For `segrt tune`: variants that cost no more than a budget of mIoU, AP or PQ on a validation set."""

from collections.abc import Sequence
from itertools import islice
from pathlib import Path

from segrt.export.precision.bundle_variants import float32_variant, make_bundle_variants, write_with_variants
from segrt.export.precision.calibration import calibration_files
from segrt.export.precision.converted_variant import ConvertedVariant
from segrt.export.precision.metric_budget import MetricBudget
from segrt.export.precision.variant_options import Say, VariantOptions
from segrt.export.precision.variants import check_precisions
from segrt.runtime.bundle.bundle import Bundle
from segrt.runtime.bundle.locating import read_bundle
from segrt.runtime.errors import CheckFailed
from segrt.runtime.evaluate.datasets.dataset import Dataset
from segrt.runtime.evaluate.measuring import Options
from segrt.runtime.inference.execution import Execution

_COMPARED = 4


def add_variants_within_budget(
    bundle: Bundle,
    precisions: Sequence[str],
    dataset: Dataset,
    points: float,
    thresholds: dict[str, float],
    *,
    calibration: Path | None,
    folder: Path,
    execution: Execution,
    search_steps: int,
    say: Say,
    judging: Options | None = None,
) -> Bundle:
    """Return a copy of `bundle` in `folder` with those of the variants `precisions` that stay within the budget.

    A variant whose figure on `dataset` drops by more than `points` percentage points below fp32's, with `thresholds`
    in force, judged as `judging` says, is mended by the search for layers to keep in float32; one that cannot be is
    left out, and `say` told.
    """
    pictures = check_request(bundle, precisions, calibration)
    budget = MetricBudget(
        bundle,
        dataset,
        points,
        execution,
        say,
        allow=lambda cost: f'--budget "drop<={cost}"',
        thresholds=thresholds,
        judging=judging,
    )
    options = VariantOptions(
        calibration=pictures,
        pictures=[dataset.read_image(sample) for sample in islice(dataset.samples, _COMPARED)],
        search_steps=search_steps,
        accept=budget,
        threads=execution.threads,
    )
    variants: list[ConvertedVariant] = []
    for precision in precisions:
        variants += _within_budget(bundle, precision, folder, options, say)
    files = [variant.file for variant in variants]
    return read_bundle(write_with_variants(bundle, files, folder / "bundle", threads=execution.threads))


def check_request(bundle: Bundle, precisions: Sequence[str], calibration: Path | None) -> list[Path]:
    """Return the calibration pictures; raise SegrtError when the variants cannot be made, before any work is done."""
    check_precisions(precisions)
    float32_variant(bundle)
    return calibration_files(calibration) if any(name.startswith("int8") for name in precisions) else []


def _within_budget(
    bundle: Bundle, precision: str, folder: Path, options: VariantOptions, say: Say
) -> list[ConvertedVariant]:
    try:
        variants = make_bundle_variants(bundle, [precision], folder, options, say=say)
    except CheckFailed as error:
        say(f"left out: {error}")
        return []
    for line in variants[0].lines():
        say(line)
    return variants
