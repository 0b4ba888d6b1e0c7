"""Matching a model's class list to a data set's."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from segrt.runtime.errors import SegrtError
from segrt.runtime.results import Label

_SHOWN = 3


def match_classes(
    model: Sequence[Label], data: Sequence[Label], *, model_name: str, data_name: str
) -> npt.NDArray[np.int64]:
    """Return, for each class of the model, the position of the data set's class that it is.

    A class is the same when name and dataset_id are; both lists must hold the same classes, in any order.

    Raises:
        SegrtError: they do not; the line names classes and both sides.
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
        found = set(positions)
        problems = [
            f"{label.name!r} (id {label.dataset_id}) of the data set is not in {model_name}"
            for index, label in enumerate(data)
            if index not in found
        ]
    if problems:
        more = f" and {len(problems) - _SHOWN} more" if len(problems) > _SHOWN else ""
        raise SegrtError(
            f"the classes of {model_name} and of {data_name} differ: {'; '.join(problems[:_SHOWN])}{more}; "
            "names and dataset_ids must agree"
        )
    return np.array(positions, dtype=np.int64)


def things(labels: Sequence[Label]) -> list[int]:
    """Return the positions of the things."""
    return [index for index, label in enumerate(labels) if label.isthing]


def _plain(name: str) -> str:
    return name.strip().lower()
