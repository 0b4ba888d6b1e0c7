"""What `segrt eval` is going to measure, worked out and checked before anything is."""

from dataclasses import dataclass, replace
from pathlib import Path

from segrt.runtime.bundle.prompt_members import refuse_prompts
from segrt.runtime.cli.eval_options import DataOptions, JudgingOptions, OutputOptions, PredictionOptions
from segrt.runtime.cli.json_output import check_json
from segrt.runtime.console.words import comma_separated
from segrt.runtime.decode.rule_changes import RuleChanges
from segrt.runtime.errors import SegrtError
from segrt.runtime.evaluate.datasets.dataset import Dataset, clips_of
from segrt.runtime.evaluate.datasets.opening import open_dataset
from segrt.runtime.evaluate.measuring import Opener, Options
from segrt.runtime.evaluate.prediction_writer import NAMES
from segrt.runtime.evaluate.predictions import PredictionsOpener, open_predictions
from segrt.runtime.evaluate.segmenting import BundleOpener
from segrt.runtime.files.atomic import make_folder, prepare_folder
from segrt.runtime.files.collisions import Place, refuse_same, tell_apart
from segrt.runtime.inference.execution import Execution
from segrt.runtime.preprocess.tiling import Tiling
from segrt.runtime.results import Label
from segrt.runtime.results.labels.class_lists import read_labels
from segrt.runtime.segmenter import find_bundle


@dataclass(frozen=True)
class Subject:
    """What is evaluated: a bundle at a precision, or a file of predictions; `folder` is where its results are saved."""

    name: str
    opener: Opener
    folder: Path | None = None
    file_name: str = ""
    """What its pictures are named after; no two subjects have the same."""

    @property
    def plain_name(self) -> str:
        """The name as a part of file names."""
        kept = (letter if letter.isalnum() or letter in "-_." else "-" for letter in Path(self.name).name)
        return "".join(kept).strip("-")


@dataclass(frozen=True)
class Plan:
    """The subjects in turn, each on the whole data set."""

    dataset: Dataset
    subjects: tuple[Subject, ...]
    options: Options
    workers: int
    outputs: OutputOptions


def make_plan(
    bundles: tuple[str, ...],
    data: DataOptions,
    predicted: PredictionOptions,
    judging: JudgingOptions,
    outputs: OutputOptions,
    changes: RuleChanges,
    execution: Execution,
    tile: Tiling | None = None,
) -> Plan:
    """Open the data set and list the subjects; raise SegrtError for what cannot be measured or written.

    The execution's precision is a list, "fp32,fp16".
    """
    if not bundles and predicted.predictions is None:
        raise SegrtError("give bundles or --predictions FILE to evaluate")
    if tile is not None and not bundles:
        raise SegrtError(f"--tile {tile}: is for bundles, what is in --predictions has been segmented; leave it out")
    if predicted.predictions_dir is not None and predicted.predictions is None:
        raise SegrtError("--predictions-dir needs --predictions FILE, the JSON that describes its PNG files")
    for bundle in bundles:
        refuse_prompts(find_bundle(bundle).manifest, bundle, "eval")
    check_json(outputs.json_path)
    if outputs.save is not None:
        prepare_folder(outputs.save, "--save")
    dataset = open_dataset(
        data.annotations,
        data.images,
        data.panoptic_dir,
        labels=_classes(data, bundles),
        ignored=data.ignore_label,
        mapped=data.map_values,
    )
    of_clips = bool(clips_of(dataset))
    subjects = _with_folders(
        [*_predictions(predicted, dataset), *_bundles(bundles, changes, execution, tile, tracked=of_clips)],
        outputs.save,
    )
    _refuse_overwriting(subjects, outputs, _inputs(data, predicted))
    if outputs.pictures is not None:
        make_folder(outputs.pictures)
    options = Options(
        judging.judged,
        judging.boundary,
        judging.common_classes,
        judging.skip_bad,
        rank=outputs.pictures is not None,
        renamed=judging.renamed,
        clips=of_clips,
    )
    return Plan(dataset, subjects, options, judging.workers, outputs)


def _classes(data: DataOptions, bundles: tuple[str, ...]) -> tuple[Label, ...] | None:
    if data.labels is not None:
        return read_labels(data.labels)
    return find_bundle(bundles[0]).manifest.labels if bundles else None


def _predictions(predicted: PredictionOptions, dataset: Dataset) -> list[Subject]:
    if predicted.predictions is None:
        return []
    predictor = open_predictions(predicted.predictions, dataset, predicted.predictions_dir)
    return [Subject(str(predicted.predictions), PredictionsOpener(predictor))]


def _bundles(
    bundles: tuple[str, ...], changes: RuleChanges, execution: Execution, tile: Tiling | None, *, tracked: bool
) -> list[Subject]:
    """Return every bundle at every precision; with `tracked` their results are tracked."""
    precisions: list[str | None] = [*comma_separated(execution.precision)] or [None]
    subjects = []
    for bundle in bundles:
        for precision in precisions:
            title = f"{bundle} ({precision})" if len(precisions) > 1 else bundle
            how = replace(execution, precision=precision)
            opener = BundleOpener(bundle, title, how, changes, tracked, tile)
            subjects.append(Subject(title, opener))
    return subjects


def _with_folders(subjects: list[Subject], save: Path | None) -> tuple[Subject, ...]:
    """Give each subject a name for its files, and its folder of results: the one named, or one each in it."""
    names = tell_apart(subject.plain_name for subject in subjects)
    subjects = [replace(subject, file_name=name) for subject, name in zip(subjects, names, strict=True)]
    if save is None or len(subjects) == 1:
        return tuple(replace(subject, folder=save) for subject in subjects)
    return tuple(
        replace(subject, folder=save / f"{number}-{subject.plain_name}") for number, subject in enumerate(subjects)
    )


def _inputs(data: DataOptions, predicted: PredictionOptions) -> dict[str, Place]:
    """Return what is read: what it is → path."""
    annotations, predictions = Path(data.annotations), predicted.predictions
    return {
        "the annotations": data.annotations,
        "the panoptic PNG files' folder": data.panoptic_dir or annotations.parent / annotations.stem,
        "the pictures' folder": data.images,
        "the predictions file": predictions,
        "the predictions' folder": predicted.predictions_dir or (predictions and predictions.parent / predictions.stem),
        "the list of labels": data.labels,
    }


def _refuse_overwriting(subjects: tuple[Subject, ...], outputs: OutputOptions, inputs: dict[str, Place]) -> None:
    """Fail before the work when an output would replace an input or another output."""
    refuse_same("--json", outputs.json_path, inputs)
    refuse_same("--pictures", outputs.pictures, inputs)
    for folder in (subject.folder for subject in subjects if subject.folder is not None):
        for place in (*(folder / name for name in NAMES.values()), folder / "panoptic"):
            refuse_same("--save", place, {**inputs, "the --json file": outputs.json_path})
