"""The class list of a data set of label pictures: a JSON list, COCO categories, or CamVid's class_dict.csv."""

import csv
from pathlib import Path

import msgspec

from segrt.runtime.draw.palette import label_colors
from segrt.runtime.errors import SegrtError
from segrt.runtime.results import Label


class _Entry(msgspec.Struct):
    """A class: segrt's own fields, or those of COCO's categories."""

    name: str
    id: int | None = None
    dataset_id: int | None = None
    isthing: bool | int = False
    color: tuple[int, int, int] | None = None


class _Categories(msgspec.Struct):
    categories: list[_Entry]


def read_label_list(path: Path) -> tuple[Label, ...]:
    """Read a class list.

    JSON: a list of classes (`name`, `dataset_id` or `id`, `isthing`, `color`), or an object with `categories` (a COCO
    file, a bundle's manifest has `labels`, which is a list). CSV: `name,r,g,b` in each line, ids counted from 0.
    Raises SegrtError for anything else.
    """
    remedy = "give a JSON list of classes or a CSV with name,r,g,b in each line"
    try:
        text = path.read_text("utf-8-sig").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SegrtError(f"--labels {path}: cannot be read ({getattr(error, 'strerror', error)}); {remedy}") from None
    try:
        if text.startswith("{"):
            entries = msgspec.json.decode(text, type=_Categories).categories
        elif text.startswith("["):
            entries = msgspec.json.decode(text, type=list[_Entry])
        else:
            entries = [
                _Entry(row[0].strip(), color=(int(row[1]), int(row[2]), int(row[3])))
                for row in csv.reader(text.splitlines())
                if row and row[1].strip().isdigit()
            ]
        colors = label_colors([entry.name for entry in entries])
        labels = []
        for index, (entry, color) in enumerate(zip(entries, colors, strict=True)):
            number = next((value for value in (entry.dataset_id, entry.id) if value is not None), index)
            labels.append(Label(entry.name, number, bool(entry.isthing), entry.color or color))
    except (msgspec.DecodeError, ValueError, IndexError) as error:
        raise SegrtError(f"--labels {path}: {error}; {remedy}") from None
    if not labels or len({label.dataset_id for label in labels}) != len(labels):
        raise SegrtError(f"--labels {path}: must hold classes with distinct ids; {remedy}")
    return tuple(labels)
