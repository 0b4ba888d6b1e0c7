"""Measuring the subjects of `segrt eval`: figures, saved predictions, pictures."""

from pathlib import Path

import msgspec

from segrt.runtime.cli.eval_plan import Plan, Subject
from segrt.runtime.cli.eval_report import show_mismatch
from segrt.runtime.console.printable import say
from segrt.runtime.console.progress import Bars
from segrt.runtime.evaluate.by_technique import MAIN_METRIC
from segrt.runtime.evaluate.class_matching import ClassMismatchError
from segrt.runtime.evaluate.clips.clip_pictures import BY_CLASS, clip_sheet
from segrt.runtime.evaluate.clips.clip_writer import ClipPredictionSink
from segrt.runtime.evaluate.datasets.dataset import Dataset, clips_of
from segrt.runtime.evaluate.evaluation import Evaluation
from segrt.runtime.evaluate.measuring import Outcome, Predictor, measure, prepare, worst
from segrt.runtime.evaluate.metrics.class_iou import SemanticMeter
from segrt.runtime.evaluate.prediction_writer import PredictionSink
from segrt.runtime.evaluate.report_pictures import bars_picture, confusion_picture, worst_sheet
from segrt.runtime.evaluate.workers import measure_parallel
from segrt.runtime.files.collisions import tell_apart
from segrt.runtime.files.images import write_image
from segrt.runtime.outputs.output_files import safe_name


def measure_all(plan: Plan) -> list[Evaluation]:
    """Measure every subject in turn; classes that do not match are shown before the error ends it."""
    return [evaluation for subject in plan.subjects for evaluation in measure_subject(subject, plan)]


def measure_subject(subject: Subject, plan: Plan) -> list[Evaluation]:
    """Measure one subject, save its predictions and draw its pictures where that is planned."""
    make_sink = ClipPredictionSink if plan.options.clips else PredictionSink
    sink = None if subject.folder is None else make_sink(subject.folder)
    try:
        technique, outcome = _measured(subject, plan, sink)
    except ClassMismatchError as error:
        show_mismatch(error.rows, subject.name, plan.dataset)
        raise
    if sink is not None:
        written = sink.write(technique, outcome.entries, plan.dataset, outcome.match.labels)
        say(f"predictions: {written}", err=True)
    if outcome.match.left_out:
        say(f"not evaluated: {outcome.match.left_out}", err=True)
    for message in outcome.skipped:
        say(f"skipped: {message}", err=True)
    for message in outcome.doubts:
        say(f"warning: {message}", err=True)
    return [msgspec.structs.replace(evaluation, subject=subject.name) for evaluation in outcome.evaluations(technique)]


def _measured(subject: Subject, plan: Plan, sink: PredictionSink | None) -> tuple[str, Outcome]:
    """Return the subject's technique and what was measured of it."""
    with Bars("name", "bar", "count", "left") as bars, subject.opener() as predictor:
        title = f"evaluating {Path(subject.name).name}"
        bars.show(title, 0, None)

        def progress(done: int, total: int) -> None:
            bars.show(title, done, total)

        prepare(predictor, plan.dataset, plan.options)  # classes that differ are told before any process starts
        if sink is not None:
            sink.check(predictor.technique, plan.dataset)
        if plan.workers == 1:
            outcome = measure(predictor, plan.dataset, plan.options, progress=progress, sink=sink)
        else:
            outcome = measure_parallel(
                subject.opener, plan.dataset, plan.options, workers=plan.workers, progress=progress, sink=sink
            )
        if plan.outputs.pictures is not None:
            prefix = str(plan.outputs.pictures / f"{subject.file_name}-")
            draw = _draw_clips if plan.options.clips else _draw
            draw(outcome, predictor, plan.dataset, prefix, plan.outputs.worst)
        return predictor.technique, outcome


def _draw_clips(outcome: Outcome, predictor: Predictor, dataset: Dataset, prefix: str, count: int) -> None:
    """Write bars by class and a page of each of the first `count` clips as `prefix`….png."""
    for evaluation in outcome.evaluations(predictor.technique):
        figure = BY_CLASS[evaluation.technique]
        bars = bars_picture(f"{figure.upper()} by class", evaluation.per_class, figure, outcome.match.labels)
        write_image(Path(f"{prefix}{evaluation.technique}-classes.png"), bars)
    clips = clips_of(dataset)[:count]
    for clip, name in zip(clips, tell_apart(safe_name(clip.name) for clip in clips), strict=True):
        write_image(Path(f"{prefix}clip-{name}.png"), clip_sheet(clip, predictor, dataset, outcome.match))


def _draw(outcome: Outcome, predictor: Predictor, dataset: Dataset, prefix: str, count: int) -> None:
    """Write bars by class, the confusion matrix and the `count` worst images as `prefix`….png."""
    labels = outcome.match.labels
    for evaluation in outcome.evaluations(predictor.technique):
        figure = MAIN_METRIC[evaluation.technique].by_class
        bars = bars_picture(f"{figure.upper()} by class", evaluation.per_class, figure, labels)
        write_image(Path(f"{prefix}{evaluation.technique}-classes.png"), bars)
    for meter in outcome.meters.get("semantic", ()):
        if isinstance(meter, SemanticMeter):
            write_image(Path(f"{prefix}confusion.png"), confusion_picture(meter.evaluator.confusion, labels))
    images = worst(outcome, predictor.technique, count)
    if images:
        title = MAIN_METRIC[predictor.technique].of_image
        sheet = worst_sheet(images, predictor, dataset, outcome.match, title)
        write_image(Path(f"{prefix}worst.png"), sheet)
