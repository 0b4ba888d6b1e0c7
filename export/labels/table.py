"""The table of class lists, and class lists from files."""

import colorsys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import cast

import msgspec

from segrt.runtime.errors import SegrtError
from segrt.runtime.results import Label

NAMES = {
    "voc": "segrt.export.labels.voc",
    "coco": "segrt.export.labels.coco",
    "coco-panoptic": "segrt.export.labels.coco_panoptic",
    "cityscapes": "segrt.export.labels.cityscapes",
    "ade20k": "segrt.export.labels.ade20k",
}


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


def read_labels(name_or_file: str, *, things: bool) -> tuple[Label, ...]:
    """Return a built-in class list by name, or the one in a file.

    A file is a JSON list of classes (`name`, optional `dataset_id` or `id`, `isthing`, `color`), a COCO JSON with
    `categories`, or a text file with a name in each line. `things` says whether classes are countable where the file
    doesn't. Raises SegrtError for a file that is missing or none of these.
    """
    if name_or_file in NAMES:
        return cast("tuple[Label, ...]", import_module(NAMES[name_or_file]).LABELS)
    path = Path(name_or_file)
    remedy = f"give one of {', '.join(NAMES)}, a JSON list of classes or a text file with a name in each line"
    try:
        data = path.read_bytes()
        text = data.decode("utf-8-sig").strip()
    except OSError as error:
        raise SegrtError(f"--labels {name_or_file}: cannot be read ({error.strerror}); {remedy}") from None
    except UnicodeDecodeError:
        raise SegrtError(f"--labels {name_or_file}: is no text; {remedy}") from None
    try:
        if text.startswith("{"):
            entries = msgspec.json.decode(text, type=_Categories).categories
        elif text.startswith("["):
            entries = msgspec.json.decode(text, type=list[_Entry])
        else:
            entries = [_Entry(line.strip()) for line in text.splitlines() if line.strip()]
        labels = tuple(_to_label(index, entry, things) for index, entry in enumerate(entries))
    except (msgspec.DecodeError, ValueError) as error:
        raise SegrtError(f"--labels {name_or_file}: {error}; {remedy}") from None
    if not labels:
        raise SegrtError(f"--labels {name_or_file}: holds no classes; {remedy}")
    return labels


def spread(labels: Sequence[Label], count: int) -> tuple[Label, ...]:
    """Return `count` labels of which each lies at the position of its `dataset_id`, "unused N" between them.

    For networks that count classes by the data set's own, gapped ids (DETR and torchvision on COCO).
    """
    by_id = {label.dataset_id: label for label in labels}
    return tuple(by_id.get(index, Label(f"unused {index}", index, False, (0, 0, 0))) for index in range(count))


def make_label(index: int, name: str, *, isthing: bool, dataset_id: int | None = None) -> Label:
    """Return a label with a colour by its position `index`; its number is `index` where no other is given."""
    return _to_label(index, _Entry(name, dataset_id=dataset_id), isthing)


def _to_label(index: int, entry: _Entry, things: bool) -> Label:
    number = next((value for value in (entry.dataset_id, entry.id) if value is not None), index)
    color = entry.color
    if color is None:
        # Neighbours in the list differ most: the hue takes golden-ratio steps, the brightness three levels.
        red, green, blue = colorsys.hsv_to_rgb(index * 0.618034 % 1, 0.75, (1.0, 0.8, 0.6)[index % 3])
        color = (round(red * 255), round(green * 255), round(blue * 255))
        if entry.name in ("background", "void", "unlabeled"):
            color = (0, 0, 0)
    isthing = things if entry.isthing is None else bool(entry.isthing)
    return Label(entry.name, number, isthing and entry.name != "background", color)
