"""Class lists from files: JSON, COCO's categories, CamVid's class_dict.csv, or a name in each line."""

import codecs
import csv
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import msgspec

from segrt.runtime.errors import SegrtError, one_line
from segrt.runtime.files.json_files import decode_json
from segrt.runtime.files.reading import MOST_DATASET, open_regular, read_bytes
from segrt.runtime.results import Label
from segrt.runtime.results.labels.palette import label_color

_CSV_FIELDS = 4
_MOST_LINES = 16 << 20  # a COCO file, which is a list of classes, too, may be longer
_HEAD = 4096
_MOST_CLASSES = 65_535


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
        with open_regular(path) as file:
            head = file.read(_HEAD).removeprefix(codecs.BOM_UTF8).lstrip()
        data = read_bytes(path, MOST_DATASET if head.startswith((b"{", b"[")) else _MOST_LINES)
        text = data.decode("utf-8-sig").strip()
    except OSError as error:
        raise SegrtError(f"--labels {path}: cannot be read ({error.strerror}); {remedy}") from None
    except UnicodeDecodeError:
        raise SegrtError(f"--labels {path}: is no text; {remedy}") from None
    try:
        if text.startswith("{"):
            entries: list[_Entry] = decode_json(text, _Categories).categories
        elif text.startswith("["):
            entries = decode_json(text, list[_Entry])
        else:
            entries = _lines(text)
        if len(entries) > _MOST_CLASSES:
            raise ValueError(f"holds {len(entries)} classes, at most {_MOST_CLASSES} are read")
        labels = tuple(_to_label(index, entry, things) for index, entry in enumerate(entries))
    except (ValueError, csv.Error) as error:
        raise SegrtError(f"--labels {path}: {one_line(error)}; {remedy}") from None
    if not labels:
        raise SegrtError(f"--labels {path}: holds no classes; {remedy}")
    counts = Counter(label.dataset_id for label in labels)
    twice = next((number for number, count in counts.items() if count > 1), None)
    if twice is not None:
        raise SegrtError(f"--labels {path}: must hold classes with distinct ids, but {twice} is there twice; {remedy}")
    return labels


def _lines(text: str) -> list[_Entry]:
    """Read a name in each line, or `name,r,g,b` where the last line has four fields of which three are numbers."""
    rows = [row for row in csv.reader(text.splitlines(), skipinitialspace=True) if any(row)]
    if rows and len(rows[-1]) == _CSV_FIELDS and all(value.strip().isdigit() for value in rows[-1][1:]):
        if not rows[0][-1].strip().isdigit():
            rows = rows[1:]  # the line of titles
        return [_colored(row) for row in rows]
    return [_Entry(line.strip()) for line in text.splitlines() if line.strip()]


def _colored(row: list[str]) -> _Entry:
    if len(row) != _CSV_FIELDS or not all(re.fullmatch(r"\s*[0-9]{1,9}\s*", value) for value in row[1:]):
        raise ValueError(f"line {','.join(row)[:80]!r} is not name,r,g,b")
    return _Entry(row[0].strip(), color=(int(row[1]), int(row[2]), int(row[3])))


def _to_label(index: int, entry: _Entry, things: bool) -> Label:
    number = next((value for value in (entry.dataset_id, entry.id) if value is not None), index)
    isthing = things if entry.isthing is None else bool(entry.isthing)
    color = entry.color or label_color(entry.name, index)
    return Label(entry.name, number, isthing and entry.name != "background", color)
