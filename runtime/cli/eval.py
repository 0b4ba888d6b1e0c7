"""`segrt eval`: accuracy on a labelled data set, in each technique's own metric."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from segrt.runtime.cli.options import backend_options, print_table, threshold_options

if TYPE_CHECKING:
    from segrt.runtime.evaluate.coco_dataset import Dataset
    from segrt.runtime.evaluate.evaluation import Evaluation
    from segrt.runtime.evaluate.segmenting import Progress
    from segrt.runtime.segmenter import Segmenter

# What the table on the screen shows; the JSON has every figure.
_SHOWN = {
    "semantic": ("miou", "pixel_accuracy", "mean_accuracy"),
    "instance": ("ap", "ap50", "ap75", "ap_small", "ap_medium", "ap_large"),
    "panoptic": ("pq", "sq", "rq", "pq_things", "pq_stuff"),
}


@click.command(name="eval")
@click.argument("bundles", nargs=-1, metavar="[BUNDLE]...")
@click.option(
    "--annotations",
    required=True,
    type=click.Path(path_type=Path),
    metavar="JSON",
    help="COCO panoptic annotations (for all three techniques) or COCO instances.",
)
@click.option(
    "--images",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="The pictures; by default `images` beside the JSON.",
)
@click.option(
    "--panoptic-dir",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="The panoptic PNG files; by default the JSON's path without its suffix.",
)
@click.option(
    "--predictions",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Evaluate this file instead of a bundle: a COCO panoptic JSON or COCO instance results.",
)
@click.option(
    "--predictions-dir",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="The PNG files of --predictions; by default its path without its suffix.",
)
@click.option("--json", "json_path", type=click.Path(path_type=Path), metavar="FILE", help="Write all figures as JSON.")
@click.option("--per-class", is_flag=True, help="Print the figures of every class too.")
@threshold_options
@backend_options
def evaluate(
    bundles: tuple[str, ...],
    annotations: Path,
    images: Path | None,
    panoptic_dir: Path | None,
    predictions: Path | None,
    predictions_dir: Path | None,
    json_path: Path | None,
    per_class: bool,
    score_threshold: float | None,
    overlap_threshold: float | None,
    backend: str,
    precision: str | None,
    threads: int,
) -> None:
    """Measure mIoU, mask AP or PQ, by technique, of each BUNDLE or of a file of predictions.

    A panoptic data set serves all three techniques: its classes are the semantic truth, its things the instance truth.
    Average precision ranks all detections, so an instance bundle's own score threshold is set to 0 unless
    --score-threshold is given.
    """
    from segrt.runtime.errors import SegrtError
    from segrt.runtime.evaluate.coco_dataset import open_dataset
    from segrt.runtime.evaluate.predictions import evaluate_predictions
    from segrt.runtime.evaluate.segmenting import evaluate as evaluate_segmenter

    if bool(bundles) == bool(predictions):
        raise SegrtError("give either bundles or --predictions FILE to evaluate")
    if predictions_dir is not None and predictions is None:
        raise SegrtError("--predictions-dir needs --predictions FILE, the JSON that describes its PNG files")
    _check_output(json_path)
    dataset = open_dataset(annotations, images, panoptic_dir)
    found: list[Evaluation] = []
    if predictions is not None:
        with _Bar(predictions.name) as progress:
            outcome = evaluate_predictions(predictions, dataset, predictions_dir=predictions_dir, progress=progress)
        found.append(_named(outcome, str(predictions)))
    for bundle in bundles:
        thresholds = (score_threshold, overlap_threshold)
        with _open(bundle, thresholds, backend, precision, threads) as segmenter, _Bar(Path(bundle).name) as progress:
            outcome = evaluate_segmenter(segmenter, dataset, name=bundle, progress=progress)
        found.append(_named(outcome, bundle))
    _report(found, dataset, per_class=per_class)
    if json_path is not None:
        _write(json_path, found)


def _open(
    bundle: str, thresholds: tuple[float | None, float | None], backend: str, precision: str | None, threads: int
) -> "Segmenter":
    from segrt.runtime.bundle.bundle import read_bundle
    from segrt.runtime.segmenter import open_segmenter

    opened = read_bundle(bundle)
    score, overlap = thresholds
    if opened.manifest.technique == "instance" and score is None and hasattr(opened.manifest.decode, "score_threshold"):
        score = 0.0
    given = {"score_threshold": score, "overlap_threshold": overlap}
    return open_segmenter(opened, backend=backend, precision=precision, threads=threads, thresholds=given)


def _named(outcome: "Evaluation", subject: str) -> "Evaluation":
    import msgspec

    return msgspec.structs.replace(outcome, subject=subject)


class _Bar:
    """A progress bar on standard error, gone when the work is done."""

    def __init__(self, title: str) -> None:
        from rich.console import Console
        from rich.markup import escape
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        console = Console(stderr=True)
        self._progress = Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
        self._task = self._progress.add_task(f"evaluating {escape(title)}", total=None)

    def __enter__(self) -> "Progress":
        self._progress.start()

        def show(done: int, total: int) -> None:
            self._progress.update(self._task, completed=done, total=total)

        return show

    def __exit__(self, *_: object) -> None:
        self._progress.stop()


def _report(found: "list[Evaluation]", dataset: "Dataset", *, per_class: bool) -> None:
    for technique, figures in _SHOWN.items():
        rows = [
            [Path(outcome.subject or "").name, str(outcome.images), *(_text(outcome.metrics[name]) for name in figures)]
            for outcome in found
            if outcome.technique == technique
        ]
        if rows:
            print_table(f"{technique} on {dataset.path}", ["", "images", *figures], rows)
    for outcome in found if per_class else ():
        names = list(next(iter(outcome.per_class.values())))
        rows = [[label, *(_text(figures[name]) for name in names)] for label, figures in outcome.per_class.items()]
        print_table(f"{outcome.subject}, by class", ["class", *names], rows)


def _text(figure: float | None) -> str:
    return "-" if figure is None else f"{figure:.4f}"


def _check_output(path: Path | None) -> None:
    """Fail before the work, not after it, when the JSON cannot be written."""
    from segrt.runtime.atomic import make_folder
    from segrt.runtime.errors import SegrtError

    if path is None:
        return
    if path.is_dir():
        raise SegrtError(f"{path} is a folder; give --json a file")
    make_folder(path.absolute().parent)


def _write(path: Path, found: "list[Evaluation]") -> None:
    """Write one evaluation as it is, several as {"runs": [...]}."""
    import msgspec

    from segrt.runtime.atomic import write_atomic

    content = found[0] if len(found) == 1 else {"runs": found}
    write_atomic(path, msgspec.json.format(msgspec.json.encode(content), indent=2) + b"\n")
