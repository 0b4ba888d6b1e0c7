"""The classes of a network: the user's, those of the checkpoint's configuration, or the model's built-in list."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from segrt.export.family import Request
from segrt.export.weights import checkpoints
from segrt.export.weights.config_file import class_names, read_config
from segrt.runtime.errors import SegrtError
from segrt.runtime.results import Label
from segrt.runtime.results.labels.class_lists import make_label, read_labels

_SHOWN = 4


def labels(request: Request) -> tuple[Label, ...]:
    """Return the classes of the network that `request` asks for, in the order of its outputs.

    They are `request.labels` where given, else those that the checkpoint's config.json names (`id2label`), else the
    model's built-in list. Colours, thing or stuff and the data set's numbers come from the built-in list of the model.
    """
    if request.labels is not None:
        return request.labels
    known = built_in(request)
    config = checkpoint_config(request)
    names = class_names(config or {})
    if not known and request.model.technique == "panoptic":
        some = ", ".join(list(names.values())[:_SHOWN]) or "none"
        raise SegrtError(
            f"{request.model.name}: its classes ({some}) are those of no list that segrt knows, so that things and "
            'stuff cannot be told apart; give them with --labels FILE.json, {"name": …, "isthing": …} for each'
        )
    return from_names(names, known, things=request.model.technique == "instance") if names else known


def built_in(request: Request) -> tuple[Label, ...]:
    """Return the built-in class list of the request's model, () if it has none."""
    if not request.model.labels:
        return ()
    return read_labels(request.model.labels, things=request.model.technique == "instance")


def checkpoint_config(request: Request) -> dict[str, Any] | None:
    """Return the config.json of the checkpoint: the hub's, its folder's or that beside --weights FILE; else None."""
    path: Path | None = None
    if request.model.folder is not None:
        path = request.model.folder / checkpoints.CONFIG
    elif request.weights.kind == "pretrained" and request.model.checkpoint is not None:
        path = checkpoints.fetch_config(request.model.checkpoint.address)
    elif request.weights.kind == "file" and request.weights.path is not None:
        beside = request.weights.path.with_name(checkpoints.CONFIG)
        path = beside if beside.is_file() else None
    if path is None:
        return None
    return read_config(path, "remove it or fetch it again")


def from_names(names: Mapping[int, str], known: tuple[Label, ...], *, things: bool) -> tuple[Label, ...]:
    """Return a label for each number from 0 to the largest of `names`, gaps as "unused N".

    A name that is in `known` takes its colour, kind and number from there; the others number themselves, and are
    countable where `things` says so. Names like "LABEL_3" and "N/A" tell nothing: where there are no others, `known` is
    used if its length fits.
    """
    telling = {index: name for index, name in names.items() if not _is_empty(name, index)}
    if not telling and len(known) == len(names):
        return known
    by_name = {folded(label.name): label for label in known}
    labels = []
    for index in range(max(names) + 1):
        name = telling.get(index)
        if name is None:
            empty = folded(names.get(index, "")) in ("", "n/a")
            label = Label(f"unused {index}" if empty else names[index], index, False, (0, 0, 0))
        elif folded(name) in by_name:
            label = msgspec.structs.replace(by_name[folded(name)], name=name)
        else:
            label = make_label(index, name, isthing=things)
        labels.append(label)
    return tuple(labels)


def _is_empty(name: str, index: int) -> bool:
    return folded(name) in ("", "n/a", f"label_{index}", f"label{index}")


def folded(name: str) -> str:
    """Return `name` as class names are compared: "door-stuff", "Door stuff" and "door_stuff" are one."""
    return " ".join(name.lower().replace("-", " ").replace("_", " ").split()).replace("label ", "label_")
