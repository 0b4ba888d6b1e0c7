"""Matching a model's class list to a data set's."""

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
import numpy.typing as npt

from segrt.runtime.console.suggestions import did_you_mean
from segrt.runtime.errors import SegrtError
from segrt.runtime.results import Label

_SHOWN = 3
_LISTED = 12


class ClassMismatchError(SegrtError):
    """The classes of a model and a data set differ; `rows` compares them: (name, id in the model, id in the data)."""

    def __init__(self, message: str, rows: Sequence[tuple[str, int | None, int | None]] = ()) -> None:
        super().__init__(message)
        self.rows = tuple(rows)

    def __reduce__(self) -> tuple[type["ClassMismatchError"], tuple[object, ...]]:
        """Keep the rows on the way between processes."""
        return ClassMismatchError, (str(self), self.rows)


@dataclass(frozen=True)
class ClassMatch:
    """Which classes are evaluated, and where those of the model and the data set stand among them; -1 = left out."""

    labels: tuple[Label, ...]
    model: npt.NDArray[np.int64]
    data: npt.NDArray[np.int64]
    left_out: str = ""
    """Which classes of either side are not evaluated, in words; "" for none."""

    @property
    def is_partial(self) -> bool:
        """Whether a class of the data set is left out."""
        return bool((self.data < 0).any())


def match(
    model: Sequence[Label],
    data: Sequence[Label],
    *,
    model_name: str,
    data_name: str,
    common: bool = False,
    renamed: Sequence[tuple[str, str]] = (),
) -> ClassMatch:
    """Match the classes of a model to a data set's: all of them, or with `common` those that both have by name.

    `renamed` are pairs (class of the model, class of the data set that it counts as).

    Raises:
        SegrtError: `renamed` names a class that is not there.
        ClassMismatchError: they differ, or have nothing in common.
    """
    own = model
    model = _renamed(model, data, renamed, model_name, data_name)
    if not common:
        positions = match_classes(model, data, model_name=model_name, data_name=data_name)
        return ClassMatch(tuple(data), positions, np.arange(len(data)))
    names = {_plain(label.name) for label in model}
    labels = tuple(label for label in data if _plain(label.name) in names)
    if not labels:
        raise ClassMismatchError(
            f"{model_name} and {data_name} have no class name in common; rename the classes of one",
            compare(model, data),
        )
    place = {_plain(label.name): index for index, label in enumerate(labels)}
    return ClassMatch(
        labels,
        np.array([place.get(_plain(label.name), -1) for label in model], dtype=np.int64),
        np.array([place.get(_plain(label.name), -1) for label in data], dtype=np.int64),
        _left_out(
            {
                model_name: [
                    label.name for label, now in zip(own, model, strict=True) if _plain(now.name) not in place
                ],
                data_name: [label.name for label in data if _plain(label.name) not in place],
            }
        ),
    )


def compare(model: Sequence[Label], data: Sequence[Label]) -> list[tuple[str, int | None, int | None]]:
    """Return (name, id in the model, id in the data set) of every class of either; None where it is missing."""
    ours = {_plain(label.name): label.dataset_id for label in model}
    theirs = {_plain(label.name): label.dataset_id for label in data}
    return [(name, ours.get(name), theirs.get(name)) for name in dict.fromkeys([*theirs, *ours])]


def match_classes(
    model: Sequence[Label], data: Sequence[Label], *, model_name: str, data_name: str
) -> npt.NDArray[np.int64]:
    """Return, for each class of the model, the position of the data set's class that it is.

    A class is the same when name and dataset_id are; both lists must hold the same classes, in any order.

    Raises:
        ClassMismatchError: they do not; the line names classes and both sides.
    """
    by_id = {label.dataset_id: index for index, label in enumerate(data)}
    by_name = {_plain(label.name): index for index, label in enumerate(data)}
    positions = []
    problems = []
    for label in model:
        index = by_id.get(label.dataset_id)
        if index is not None and _plain(data[index].name) == _plain(label.name):
            positions.append(index)
        elif _plain(label.name) in by_name:
            other = data[by_name[_plain(label.name)]]
            problems.append(
                f"{label.name!r} has id {label.dataset_id} in {model_name}, but {other.dataset_id} in the data set"
            )
        elif index is not None:
            problems.append(
                f"id {label.dataset_id} is {label.name!r} in {model_name}, but {data[index].name!r} in the data set"
            )
        else:
            problems.append(f"{label.name!r} (id {label.dataset_id}) is not in the data set")
    if not problems:
        problems = [
            f"{label.name!r} (id {label.dataset_id}) of the data set is not in {model_name}"
            for index, label in enumerate(data)
            if index not in positions
        ]
    if problems:
        more = f" and {len(problems) - _SHOWN} more" if len(problems) > _SHOWN else ""
        raise ClassMismatchError(
            f"the classes of {model_name} and of {data_name} differ: {'; '.join(problems[:_SHOWN])}{more}; "
            "names and dataset_ids must agree: add --map OWN=THEIRS, or evaluate --common-classes",
            compare(model, data),
        )
    return np.array(positions, dtype=np.int64)


def thing_positions(labels: Sequence[Label]) -> list[int]:
    """Return the positions of the things."""
    return [index for index, label in enumerate(labels) if label.isthing]


def _renamed(
    model: Sequence[Label],
    data: Sequence[Label],
    renamed: Sequence[tuple[str, str]],
    model_name: str,
    data_name: str,
) -> list[Label]:
    """Return the model's labels with name and id of the data set's classes that they count as."""
    theirs = {_plain(label.name): label for label in data}
    ours = {_plain(label.name): label.name for label in model}
    targets: dict[str, Label] = {}
    for old, new in renamed:
        for name, known, whose in ((old, ours, model_name), (new, theirs, data_name)):
            if _plain(name) not in known:
                names = [label.name for label in (model if known is ours else data)]
                raise SegrtError(f"--map {old}={new}: {whose} has no class {name!r}{did_you_mean(name, names)}")
        targets[_plain(old)] = theirs[_plain(new)]
    return [
        msgspec.structs.replace(label, name=target.name, dataset_id=target.dataset_id)
        if (target := targets.get(_plain(label.name))) is not None
        else label
        for label in model
    ]


def _left_out(names: dict[str, list[str]]) -> str:
    parts = []
    for whose, left in names.items():
        if left:
            more = f" and {len(left) - _LISTED} more" if len(left) > _LISTED else ""
            parts.append(f"{', '.join(left[:_LISTED])}{more} of {whose}")
    return "; ".join(parts)


def _plain(name: str) -> str:
    return name.strip().lower()
