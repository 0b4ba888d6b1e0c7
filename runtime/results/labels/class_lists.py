"""The table of class lists, and what is made of them."""

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import cast

import msgspec

from segrt.runtime.results import Label
from segrt.runtime.results.labels.class_files import read_label_file
from segrt.runtime.results.labels.palette import label_color

NAMES = {
    "voc": "segrt.runtime.results.labels.voc",
    "coco": "segrt.runtime.results.labels.coco",
    "coco-panoptic": "segrt.runtime.results.labels.coco_panoptic",
    "cityscapes": "segrt.runtime.results.labels.cityscapes",
    "ade20k": "segrt.runtime.results.labels.ade20k",
    "object": "segrt.runtime.results.labels.one_object",
}


def read_labels(name_or_file: str, *, things: bool = False) -> tuple[Label, ...]:
    """Return a built-in class list by name, or the one in a file (see `read_label_file`).

    `things` says whether classes are countable where a file doesn't. Raises SegrtError for a file that is missing or
    holds no class list.
    """
    if name_or_file in NAMES:
        return cast("tuple[Label, ...]", import_module(NAMES[name_or_file]).LABELS)
    return read_label_file(Path(name_or_file), things=things, known=tuple(NAMES))


def uncounted(labels: Sequence[Label], where: str) -> str | None:
    """Return the warning that none of a panoptic network's labels from `where` is a thing, or None where one is."""
    if any(label.isthing for label in labels):
        return None
    return (
        f"warning: {where} tells no things from stuff: all classes are stuff, of which no two objects are told apart; "
        'give a JSON list of {"name", "isthing"} for what can be counted'
    )


def spread(labels: Sequence[Label], count: int) -> tuple[Label, ...]:
    """Return `count` labels of which each lies at the position of its `dataset_id`, "unused N" between them.

    For networks that count classes by the data set's own, gapped ids (DETR and torchvision on COCO).
    """
    by_id = {label.dataset_id: label for label in labels}
    return tuple(by_id.get(index, Label(unused_name(index), index, False, (0, 0, 0))) for index in range(count))


def unused_name(index: int) -> str:
    """Return what a number is called that no class has."""
    return f"unused {index}"


def with_background(label: Label) -> tuple[Label, Label]:
    """Return the labels of a network that tells one object from the rest: background, 0, and the object.

    An object numbered 0 becomes 1, as masks have it.
    """
    return make_label(0, "background", isthing=False), msgspec.structs.replace(label, dataset_id=label.dataset_id or 1)


def make_label(index: int, name: str, *, isthing: bool) -> Label:
    """Return the label of class `index`, whose number in the data set is `index` as well."""
    return Label(name, index, isthing and name != "background", label_color(name, index))
