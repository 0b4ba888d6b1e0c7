"""`segrt tune`: thresholds and precision chosen on a validation set, as a new bundle."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from segrt.runtime.cli.options import THREADS
from segrt.runtime.console.tables import print_table

if TYPE_CHECKING:
    from segrt.runtime.bundle.bundle import Bundle


@click.command()
@click.argument("bundle")
@click.option("--annotations", required=True, metavar="JSON", help="A validation set, as `segrt eval` takes it.")
@click.option("--images", type=click.Path(path_type=Path), metavar="DIR", help="The pictures.")
@click.option("--panoptic-dir", type=click.Path(path_type=Path), metavar="DIR", help="The panoptic PNG files.")
@click.option("--out", required=True, type=click.Path(path_type=Path), metavar="BUNDLE", help="The new bundle.")
@click.option("--overwrite", is_flag=True, help="Replace a bundle that is there.")
@click.option("--budget", metavar="TEXT", help='"drop<=0.5": make the fastest variant the default that costs no more.')
@click.option(
    "--precision",
    "precisions",
    metavar="LIST",
    help="With --budget: make these variants too (fp16, int8, int8-cpu), with layers kept in fp32 where the budget "
    "asks for it. Needs segrt[export].",
)
@click.option("--calibration", type=click.Path(path_type=Path), metavar="DIR", help="Typical pictures, for int8.")
@click.option(
    "--search-steps",
    type=click.IntRange(0),
    default=60,
    show_default=True,
    help="Runs to find the layers that must stay in fp32; each one over all of the images.",
)
@click.option("--backend", metavar="NAME", default="auto", show_default=True)
@click.option("--threads", type=THREADS, default=0, help="CPU threads; 0 means the default.")
def tune(
    bundle: str,
    annotations: str,
    images: Path | None,
    panoptic_dir: Path | None,
    out: Path,
    overwrite: bool,
    budget: str | None,
    precisions: str | None,
    calibration: Path | None,
    search_steps: int,
    backend: str,
    threads: int,
) -> None:
    """Find the thresholds that score best on a validation set, and write them into a copy of BUNDLE.

    Panoptic: the score and overlap thresholds with the highest PQ. Instance: the score threshold with the highest F1
    at IoU 0.5. With --budget the variants are measured too, in percentage points of mIoU, AP or PQ below fp32, and
    the fastest one within the budget on this device becomes the first, which is the default.
    """
    import tempfile

    from segrt.runtime.authoring.rewriting import rewrite
    from segrt.runtime.bundle.locating import read_bundle
    from segrt.runtime.errors import SegrtError
    from segrt.runtime.evaluate.datasets.opening import open_dataset
    from segrt.runtime.evaluate.tuning import compare_variants, fastest_within, parse_budget, tune_thresholds
    from segrt.runtime.segmenter import open_segmenter

    points = None if budget is None else parse_budget(budget)
    wanted = [name.strip() for name in (precisions or "").split(",") if name.strip()]
    if (wanted or calibration) and points is None:
        raise SegrtError('--precision and --calibration go with a budget; add --budget "drop<=0.5"')
    maker = _maker_of_variants() if wanted else None
    opened = read_bundle(bundle)
    _check_out(out, overwrite, opened)
    if maker is not None:
        maker.check_request(opened, wanted, calibration)
    dataset = open_dataset(annotations, images, panoptic_dir, labels=opened.manifest.labels)
    with open_segmenter(opened, backend=backend, threads=threads) as segmenter:
        tuned = tune_thresholds(segmenter, dataset)
    if tuned is None and points is None:
        raise SegrtError(f"{bundle} has no thresholds to tune; give --budget to choose among its variants")
    thresholds = tuned.thresholds if tuned is not None else {}
    if tuned is not None:
        rows = [
            [name, f"{getattr(opened.manifest.decode, name):g}", f"{value:g}"] for name, value in thresholds.items()
        ]
        rows.append([tuned.metric, f"{tuned.before:.4f}", f"{tuned.figure:.4f}"])
        print_table(f"{bundle} on {dataset.path}", ["", "before", "tuned"], rows)
    with tempfile.TemporaryDirectory(prefix="segrt-tune-") as folder:
        first = None
        if points is not None and maker is not None:
            opened = maker.widened(
                opened,
                wanted,
                dataset,
                points,
                thresholds,
                calibration=calibration,
                folder=Path(folder),
                backend=backend,
                threads=threads,
                search_steps=search_steps,
                say=lambda line: click.echo(line, err=True),
            )
        if points is not None:
            found = compare_variants(opened, dataset, thresholds, backend=backend, threads=threads)
            chosen = fastest_within(found, points)
            first = chosen.precision
            rows = [
                [entry.precision, f"{entry.figure:.4f}", f"{entry.drop:+.2f}", f"{entry.inference_ms:.2f}",
                 "default" if entry is chosen else ""]
                for entry in found
            ]  # fmt: skip
            print_table(f"variants, budget {budget}", ["precision", "figure", "drop in points", "ms", ""], rows)
        click.echo(str(rewrite(opened, out, thresholds, first=first, overwrite=overwrite, threads=threads)))


def _maker_of_variants() -> Any:
    """Return the module that makes variants, which lives where onnx is; raise SegrtError that says what to install."""
    from importlib import import_module

    from segrt.runtime.errors import SegrtError

    try:
        return import_module("segrt.export.precision.tuning_variants")
    except ImportError as error:
        raise SegrtError(f"--precision needs {error.name or 'onnx'}; `pip install 'segrt[export]'`") from None


def _check_out(out: Path, overwrite: bool, bundle: "Bundle") -> None:
    """Fail before the work when the bundle cannot be written, or would replace itself."""
    from segrt.runtime.bundle.bundle_writer import BundleWriter
    from segrt.runtime.errors import BundleError

    if out.exists() and out.resolve() == bundle.folder.resolve():
        raise BundleError(f"{out}: is the bundle itself, and bundles are immutable; choose another folder")
    BundleWriter(out, overwrite=overwrite)
