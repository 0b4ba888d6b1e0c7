"""Class lists from files: JSON, COCO's categories, CamVid's class_dict.csv, or a name in each line."""

import csv
from collections.abc import Sequence
from pathlib import Path

import msgspec

from segrt.runtime.errors import SegrtError
from segrt.runtime.results import Label
from segrt.runtime.results.labels.palette import label_color

_CSV_FIELDS = 4


class _Entry(msgspec.Struct):
    """A class in a file: segrt's own fields, or those of COCO's categories."""

    name: str
    id: int | None = None
    dataset_id: int | None = None
    isthing: bool | int | None = None
    color: tuple[int, int, int] | None = None


class _Categories(msgspec.Struct):
    """A COCO file, of which only the categories are read."""

    categories: list[_Entry]


def read_label_file(path: Path, *, things: bool, known: Sequence[str] = ()) -> tuple[Label, ...]:
    """Read a class list.

    JSON: a list of classes (`name`, `dataset_id` or `id`, `isthing`, `color`; a bundle's manifest has `labels`, which
    is one), or an object with `categories` (a COCO file). CSV: `name,r,g,b` in each line. Text: a name in each line.
    Ids count from 0 where the file has none; `things` says whether classes are countable where it doesn't. Raises
    SegrtError for anything else, its remedy naming the `known` built-in lists.
    """
    remedy = "a JSON list of classes, a CSV with name,r,g,b in each line or a text file with a name in each line"
    remedy = f"give one of {', '.join(known)}, {remedy}" if known else f"give {remedy}"
    try:
        text = path.read_bytes().decode("utf-8-sig").strip()
    except OSError as error:
        raise SegrtError(f"--labels {path}: cannot be read ({error.strerror}); {remedy}") from None
    except UnicodeDecodeError:
        raise SegrtError(f"--labels {path}: is no text; {remedy}") from None
    try:
        if text.startswith("{"):
            entries = msgspec.json.decode(text, type=_Categories).categories
        elif text.startswith("["):
            entries = msgspec.json.decode(text, type=list[_Entry])
        else:
            entries = _lines(text)
        labels = tuple(_to_label(index, entry, things) for index, entry in enumerate(entries))
    except (msgspec.DecodeError, ValueError) as error:
        raise SegrtError(f"--labels {path}: {error}; {remedy}") from None
    if not labels:
        raise SegrtError(f"--labels {path}: holds no classes; {remedy}")
    numbers = [label.dataset_id for label in labels]
    twice = next((number for number in numbers if numbers.count(number) > 1), None)
    if twice is not None:
        raise SegrtError(f"--labels {path}: must hold classes with distinct ids, but {twice} is there twice; {remedy}")
    return labels


def _lines(text: str) -> list[_Entry]:
    """Read a name in each line, or `name,r,g,b` where the last line has four fields of which three are numbers."""
    rows = [row for row in csv.reader(text.splitlines(), skipinitialspace=True) if any(row)]
    if rows and len(rows[-1]) == _CSV_FIELDS and all(value.strip().isdigit() for value in rows[-1][1:]):
        if not rows[0][-1].strip().isdigit():
            rows = rows[1:]  # the line of titles
        return [_Entry(name.strip(), color=(int(red), int(green), int(blue))) for name, red, green, blue in rows]
    return [_Entry(line.strip()) for line in text.splitlines() if line.strip()]


def _to_label(index: int, entry: _Entry, things: bool) -> Label:
    number = next((value for value in (entry.dataset_id, entry.id) if value is not None), index)
    isthing = things if entry.isthing is None else bool(entry.isthing)
    color = entry.color or label_color(entry.name, index)
    return Label(entry.name, number, isthing and entry.name != "background", color)
