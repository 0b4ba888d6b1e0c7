"""`segrt eval`: accuracy on a labelled data set, in each technique's own metric."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from segrt.runtime.cli.eval_report import report, show_mismatch, with_drops
from segrt.runtime.cli.options import THREADS, threshold_options
from segrt.runtime.console.progress import Bars

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from segrt.runtime.evaluate.datasets.dataset import Dataset
    from segrt.runtime.evaluate.evaluation import Evaluation
    from segrt.runtime.evaluate.measuring import Options, Outcome, Predictor
    from segrt.runtime.results import Label


@dataclass(frozen=True)
class _Subject:
    """What is evaluated: a bundle at a precision, or a file of predictions."""

    name: str
    opener: "Callable[[], AbstractContextManager[Predictor]]"


@click.command(name="eval")
@click.argument("bundles", nargs=-1, metavar="[BUNDLE]...")
@click.option(
    "--annotations",
    required=True,
    metavar="JSON",
    help="COCO panoptic annotations (for all three techniques), COCO instances, a folder of label pictures "
    "(Cityscapes, VOC, ADE20K, or any), or street://?seed=…&frames=…&size=HxW.",
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
    "--labels",
    metavar="LIST",
    help="The classes of a folder of label pictures: voc, cityscapes, ade20k, coco-panoptic, or a file (JSON, CSV of "
    "name,r,g,b, text); by default the first bundle's.",
)
@click.option("--ignore-label", type=int, multiple=True, metavar="ID", help="Void in label pictures; 255 by default.")
@click.option(
    "--predictions",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Evaluate this file: a COCO panoptic JSON, or COCO results. Beside bundles it is what they are compared with.",
)
@click.option(
    "--predictions-dir",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="The PNG files of --predictions; by default its path without its suffix.",
)
@click.option(
    "--as",
    "judged",
    type=click.Choice(["own", "all", "semantic", "instance", "panoptic"]),
    default="own",
    show_default=True,
    help="Judge results in this technique: a panoptic result can be judged as any; `all` puts everything in one table.",
)
@click.option("--boundary", is_flag=True, help="Measure boundary IoU and boundary AP too.")
@click.option("--common-classes", is_flag=True, help="Evaluate the classes that model and data set share by name.")
@click.option("--skip-bad", is_flag=True, help="Count images whose files cannot be used, and go on.")
@click.option("--workers", type=click.IntRange(1, 256), default=1, show_default=True, help="Processes.")
@click.option(
    "--save",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Save the predictions as COCO files, which --predictions reads.",
)
@click.option(
    "--pictures",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Draw the worst images, the confusion matrix and the classes' figures.",
)
@click.option("--worst", type=click.IntRange(1, 100), default=8, show_default=True, help="How many images to draw.")
@click.option("--json", "json_path", type=click.Path(path_type=Path), metavar="FILE", help="Write all figures as JSON.")
@click.option("--per-class", is_flag=True, help="Print the figures of every class too.")
@threshold_options
@click.option("--backend", metavar="NAME", default="auto", show_default=True, help="auto, onnxruntime, ….")
@click.option("--precision", metavar="NAME,…", help="Variants to use, fp32,fp16 for instance; the first by default.")
@click.option("--threads", type=THREADS, default=0, help="CPU threads; 0 means the default.")
def evaluate(
    bundles: tuple[str, ...],
    annotations: str,
    images: Path | None,
    panoptic_dir: Path | None,
    labels: str | None,
    ignore_label: tuple[int, ...],
    predictions: Path | None,
    predictions_dir: Path | None,
    judged: Any,
    boundary: bool,
    common_classes: bool,
    skip_bad: bool,
    workers: int,
    save: Path | None,
    pictures: Path | None,
    worst: int,
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
    --score-threshold is given. Of several subjects of one technique, the first is what the others are compared with.
    """
    from segrt.runtime.errors import SegrtError
    from segrt.runtime.evaluate.class_matching import ClassMismatchError
    from segrt.runtime.evaluate.datasets.opening import open_dataset
    from segrt.runtime.evaluate.measuring import Options
    from segrt.runtime.evaluate.predictions import PredictionsOpener, open_predictions
    from segrt.runtime.evaluate.segmenting import BundleOpener
    from segrt.runtime.files.atomic import make_folder
    from segrt.runtime.outputs.prediction_files import check_folder

    if not bundles and predictions is None:
        raise SegrtError("give bundles or --predictions FILE to evaluate")
    if predictions_dir is not None and predictions is None:
        raise SegrtError("--predictions-dir needs --predictions FILE, the JSON that describes its PNG files")
    _check_output(json_path)
    if save is not None:
        check_folder(save)
    classes = _classes(labels, bundles)
    dataset = open_dataset(annotations, images, panoptic_dir, labels=classes, ignored=ignore_label)
    subjects: list[_Subject] = []
    if predictions is not None:
        read = open_predictions(predictions, dataset, predictions_dir)
        subjects.append(_Subject(str(predictions), PredictionsOpener(read)))
    precisions = [name.strip() for name in precision.split(",")] if precision else [None]
    for bundle in bundles:
        for name in precisions:
            title = f"{bundle} ({name})" if len(precisions) > 1 else bundle
            opener = BundleOpener(bundle, title, backend, name, threads, score_threshold, overlap_threshold)
            subjects.append(_Subject(title, opener))
    several = len(subjects) > 1
    folders = [
        None if save is None else save / f"{number}-{_plain(subject.name)}" if several else save
        for number, subject in enumerate(subjects)
    ]
    inputs: dict[str, Path | str | None] = {
        "the annotations": annotations,
        "the panoptic PNG files' folder": panoptic_dir or Path(annotations).parent / Path(annotations).stem,
        "the pictures' folder": images,
        "the predictions file": predictions,
        "the predictions' folder": predictions_dir or (predictions and predictions.parent / predictions.stem),
        "the list of labels": labels,
    }
    _refuse_overwriting([folder for folder in folders if folder is not None], json_path, pictures, inputs)
    if pictures is not None:
        make_folder(pictures)
    options = Options(judged, boundary, common_classes, skip_bad, rank=pictures is not None)
    found: list[Evaluation] = []
    for subject, folder in zip(subjects, folders, strict=True):
        drawn = None if pictures is None else (pictures, f"{_plain(subject.name)}-", worst)
        try:
            found += _measure(subject, dataset, options, workers, folder, drawn)
        except ClassMismatchError as error:
            show_mismatch(error.rows, subject.name, dataset)
            raise
    found = with_drops(found)
    report(found, dataset, per_class=per_class, across=judged == "all")
    if json_path is not None:
        _write(json_path, found)


def _classes(labels: str | None, bundles: tuple[str, ...]) -> "tuple[Label, ...] | None":
    from segrt.runtime.bundle.locating import read_bundle
    from segrt.runtime.results.labels.class_lists import read_labels

    if labels is not None:
        return read_labels(labels)
    return read_bundle(bundles[0]).manifest.labels if bundles else None


def _measure(
    subject: _Subject,
    dataset: "Dataset",
    options: "Options",
    workers: int,
    folder: Path | None,
    drawn: tuple[Path, str, int] | None,
) -> "list[Evaluation]":
    import msgspec

    from segrt.runtime.evaluate.measuring import measure, prepare
    from segrt.runtime.evaluate.workers import measure_parallel
    from segrt.runtime.outputs.prediction_files import PredictionSink

    sink = None if folder is None else PredictionSink(folder)
    with Bars("name", "bar", "count", "left") as bars, subject.opener() as predictor:
        bar = f"evaluating {Path(subject.name).name}"
        bars.show(bar, 0, None)

        def progress(done: int, total: int) -> None:
            bars.show(bar, done, total)

        # Classes that differ are told before any process starts.
        technique = predictor.technique
        prepare(predictor, dataset, options)
        outcome: Outcome
        if workers == 1:
            outcome = measure(predictor, dataset, options, progress=progress, sink=sink)
        else:
            outcome = measure_parallel(subject.opener, dataset, options, workers=workers, progress=progress, sink=sink)
        if drawn is not None:
            _draw(outcome, predictor, dataset, *drawn)
    if sink is not None:
        written = sink.write(technique, outcome.entries, dataset, outcome.match.labels)
        click.echo(f"predictions: {written}", err=True)
    for message in outcome.skipped:
        click.echo(f"skipped: {message}", err=True)
    return [msgspec.structs.replace(evaluation, subject=subject.name) for evaluation in outcome.evaluations(technique)]


def _draw(
    outcome: "Outcome", predictor: "Predictor", dataset: "Dataset", folder: Path, prefix: str, count: int
) -> None:
    from segrt.runtime.evaluate.measuring import worst
    from segrt.runtime.evaluate.metrics.class_iou import SemanticMeter
    from segrt.runtime.evaluate.report_pictures import bars_picture, confusion_picture, worst_sheet
    from segrt.runtime.evaluate.techniques import MAIN_METRIC
    from segrt.runtime.files.images import write_image

    labels = outcome.match.labels
    for evaluation in outcome.evaluations(predictor.technique):
        figure = MAIN_METRIC[evaluation.technique].by_class
        bars = bars_picture(f"{figure.upper()} by class", evaluation.per_class, figure, labels)
        write_image(folder / f"{prefix}{evaluation.technique}-classes.png", bars)
    for meter in outcome.meters.get("semantic", ()):
        if isinstance(meter, SemanticMeter):
            write_image(folder / f"{prefix}confusion.png", confusion_picture(meter.evaluator.confusion, labels))
    images = worst(outcome, predictor.technique, count)
    if images:
        title = MAIN_METRIC[predictor.technique].of_image
        sheet = worst_sheet(images, predictor, dataset, outcome.match, title)
        write_image(folder / f"{prefix}worst.png", sheet)


def _plain(name: str) -> str:
    """Return a subject's name as a folder's."""
    return "".join(letter if letter.isalnum() or letter in "-_." else "-" for letter in Path(name).name).strip("-")


def _refuse_overwriting(
    folders: "list[Path]", json_path: Path | None, pictures: Path | None, read: "dict[str, Path | str | None]"
) -> None:
    """Fail before the work when an output would replace an input (what it is → path) or another output."""
    from segrt.runtime.files.collisions import refuse_same
    from segrt.runtime.outputs.prediction_files import NAMES

    refuse_same("--json", json_path, read)
    refuse_same("--pictures", pictures, read)
    for folder in folders:
        for place in (*(folder / name for name in NAMES.values()), folder / "panoptic"):
            refuse_same("--save", place, {**read, "the --json file": json_path})


def _check_output(path: Path | None) -> None:
    """Fail before the work, not after it, when the JSON cannot be written."""
    from segrt.runtime.errors import SegrtError
    from segrt.runtime.files.atomic import make_folder

    if path is None:
        return
    if path.is_dir():
        raise SegrtError(f"{path} is a folder; give --json a file")
    make_folder(path.absolute().parent)


def _write(path: Path, found: "list[Evaluation]") -> None:
    """Write one evaluation as it is, several as {"runs": [...]}."""
    import msgspec

    from segrt.runtime.files.atomic import write_atomic

    content = found[0] if len(found) == 1 else {"runs": found}
    write_atomic(path, msgspec.json.format(msgspec.json.encode(content), indent=2) + b"\n")
