"""Outputs of types that no decode rule takes, brought to one by a Cast in the graph: bool, double, float class maps."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from segrt.export.graph.editing import Graph
from segrt.runtime.inference.tensors import Array
from segrt.runtime.results.technique import Technique

Runs = Sequence[Mapping[str, Array]]
_INTEGERS = {"int16": "int32", "uint16": "int32", "uint32": "int64", "uint64": "int64"}


@dataclass(frozen=True)
class Casts:
    """Outputs by their old names: the new ones; `notes` say what was done."""

    renamed: Mapping[str, str]
    notes: Sequence[str]

    def old(self, name: str) -> str:
        """Return the output's name in the file."""
        return next((old for old, new in self.renamed.items() if new == name), name)


def cast_outputs(graph: Graph, runs: Runs, technique: Technique, labels: int, stated: Mapping[str, str]) -> Casts:
    """Append a Cast to every output of another type; `stated` are the roles that the user named, by output."""
    renamed: dict[str, str] = {}
    notes: list[str] = []
    for spec in graph.outputs:
        if spec.name not in runs[0]:
            continue  # made of others, after the run
        values = [run[spec.name] for run in runs]
        wanted, why = _wanted(graph, spec.name, values, technique, labels, stated)
        if wanted is None:
            continue
        renamed[spec.name] = graph.cast_output(spec.name, wanted)
        notes.append(f"head {spec.name!r} is {why}: a Cast to {wanted} was added")
    return Casts(renamed, notes)


def _wanted(
    graph: Graph, name: str, values: Sequence[Array], technique: Technique, labels: int, stated: Mapping[str, str]
) -> tuple[str | None, str]:
    dtype = str(values[0].dtype)
    if technique == "semantic" and values[0].dtype.kind in "bui" and _has_class_channels(values[0], labels):
        return "float32", f"a channel of {dtype} for each class"
    if dtype in _INTEGERS:
        return _INTEGERS[dtype], dtype
    if dtype == "bool" and technique != "semantic":
        return "float32", "bool"
    if (
        technique == "semantic"
        and dtype in ("float16", "float32", "float64")
        and _is_class_map(graph, name, values, labels, stated)
    ):
        return "int32", f"a class map in {dtype}"
    if dtype == "float64":
        return "float32", "float64"
    return None, ""


def _has_class_channels(value: Array, labels: int) -> bool:
    """Whether there is a channel (N, C, h, w) or (N, h, w, C) for each of several labels: no class map has that."""
    return (
        labels > 1
        and value.ndim == 4
        and 1 not in (value.shape[1], value.shape[3])
        and labels
        in (
            value.shape[1],
            value.shape[3],
        )
    )


def _is_class_map(graph: Graph, name: str, values: Sequence[Array], labels: int, stated: Mapping[str, str]) -> bool:
    """Whether floats are class ids: whole numbers of one channel that come from an ArgMax, or that the user says are.

    Whole numbers of no known origin count where there are more labels than a score of one object has.
    """
    shape = values[0].shape
    one_channel = len(shape) == 3 or (len(shape) == 4 and 1 in (shape[1], shape[3])) or len(shape) == 2
    whole = all(bool((value == np.floor(value)).all()) and value.min(initial=0) >= 0 for value in values)
    if not one_channel or not whole:
        return False
    if stated.get(name) == "class_map" or graph.argmax_classes(name) is not None:
        return True
    distinct = {float(number) for value in values for number in np.unique(value)}
    return labels > 2 and 2 < len(distinct) <= labels + 1
