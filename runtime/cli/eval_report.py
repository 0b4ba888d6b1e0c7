"""What `segrt eval` prints and writes: tables by technique, across techniques, by class; the JSON."""

from pathlib import Path

import msgspec

from segrt.runtime.cli.json_output import write_json_text
from segrt.runtime.console.tables import print_table
from segrt.runtime.evaluate.by_technique import TECHNIQUES
from segrt.runtime.evaluate.datasets.dataset import Dataset, clips_of
from segrt.runtime.evaluate.evaluation import Evaluation
from segrt.runtime.evaluate.metrics.meters import meters_of
from segrt.runtime.files.json_files import encode_json


def with_drops(evaluations: list[Evaluation]) -> list[Evaluation]:
    """Compare each evaluation with the first one that was judged in the same technique."""
    first: dict[str, Evaluation] = {}
    compared = []
    for outcome in evaluations:
        against = first.setdefault(outcome.technique, outcome)
        if against is not outcome:
            drops = {name: _minus(against.metrics.get(name), value) for name, value in outcome.metrics.items()}
            outcome = msgspec.structs.replace(outcome, against=against.subject, drops=drops)
        compared.append(outcome)
    return compared


def report(evaluations: list[Evaluation], dataset: Dataset, *, per_class: bool, across: bool) -> None:
    """Print the tables of all evaluations."""
    of_clips = bool(clips_of(dataset))
    if across:
        _report_across(evaluations, dataset)
    for technique in () if across else TECHNIQUES:
        chosen = [outcome for outcome in evaluations if outcome.technique == technique]
        figures = (name for meter in meters_of(technique, clips=of_clips) for name in meter.shown)
        shown = [name for name in figures if any(name in outcome.metrics for outcome in chosen)]
        rows = [[_title(outcome), _images(outcome), *(_figure(outcome, name) for name in shown)] for outcome in chosen]
        if rows:
            print_table(f"{technique} on {dataset.path}", ["", "frames" if of_clips else "images", *shown], rows)
    for outcome in evaluations if per_class else ():
        names = list(dict.fromkeys(name for figures in outcome.per_class.values() for name in figures))
        rows = [[label, *(_text(figures.get(name)) for name in names)] for label, figures in outcome.per_class.items()]
        title = f"{outcome.subject} as {outcome.technique}" if outcome.converted_from else outcome.subject
        print_table(f"{title}, by class", ["class", *names], rows)


def _report_across(evaluations: list[Evaluation], dataset: Dataset) -> None:
    """Print one row per subject, with the main figures of every technique its results can be judged in."""
    subjects: dict[str, dict[str, Evaluation]] = {}
    for outcome in evaluations:
        subjects.setdefault(outcome.subject or "", {})[outcome.technique] = outcome
    of_clips = bool(clips_of(dataset))
    columns = [
        (name, figure)
        for name in TECHNIQUES
        for meter in meters_of(name, clips=of_clips)
        for figure in meter.shown_across
    ]
    rows = []
    for subject, by_technique in subjects.items():
        any_outcome = next(iter(by_technique.values()))
        technique = next((o.converted_from for o in by_technique.values() if o.converted_from), any_outcome.technique)
        cells = [
            _text(by_technique[judged].metrics.get(name)) if judged in by_technique else "" for judged, name in columns
        ]
        rows.append([Path(subject).name, technique, _images(any_outcome), *cells])
    print_table(f"all techniques on {dataset.path}", ["", "technique", "images", *(name for _, name in columns)], rows)


def show_mismatch(rows: tuple[tuple[str, int | None, int | None], ...], subject: str, dataset: Dataset) -> None:
    """Print the classes of both sides with their ids; rows are (name, id in the model, id in the data set)."""
    cells = [
        [name, *("-" if number is None else str(number) for number in numbers), "" if numbers[0] == numbers[1] else "!"]
        for name, *numbers in rows
    ]
    print_table(f"classes of {subject} and {dataset.path}", ["class", "id in model", "id in data set", ""], cells)


def write_json(path: Path, evaluations: list[Evaluation]) -> None:
    """Write one evaluation as it is, several as {"runs": [...]}."""
    content = evaluations[0] if len(evaluations) == 1 else {"runs": evaluations}
    write_json_text(path, msgspec.json.format(encode_json(content), indent=2).decode())


def _title(outcome: Evaluation) -> str:
    name = Path(outcome.subject or "").name
    return f"{name} (from {outcome.converted_from})" if outcome.converted_from else name


def _images(outcome: Evaluation) -> str:
    return f"{outcome.images}, {outcome.skipped} skipped" if outcome.skipped else str(outcome.images)


def _figure(outcome: Evaluation, name: str) -> str:
    text = _text(outcome.metrics.get(name))
    drop = (outcome.drops or {}).get(name)
    return text if drop is None else f"{text} ({round(-drop, 4) + 0.0:+.4f})"  # + 0.0: no minus before a zero


def _text(figure: float | None) -> str:
    return "-" if figure is None else f"{figure:.4f}"


def _minus(figure: float | None, other: float | None) -> float | None:
    return None if figure is None or other is None else figure - other
