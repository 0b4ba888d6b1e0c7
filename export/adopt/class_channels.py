"""Networks with a channel for each class: whether a pixel is of one class alone, as a map of classes has it."""

from collections.abc import Sequence

import numpy as np

from segrt.export.adopt.binary_heads import DECISIONS, REST, maker_of
from segrt.export.adopt.candidates import Candidate, UndecidedError
from segrt.export.adopt.guessing import Output
from segrt.export.adopt.signs import Runs
from segrt.export.graph.editing import Graph
from segrt.runtime.results import Label

_OF_THEIR_OWN = ("Sigmoid", "HardSigmoid", *DECISIONS)


def check_exclusive(
    graph: Graph, output: Output, runs: Runs, labels: Sequence[Label], old_name: str, *, stated: bool
) -> list[str]:
    """Return notes on channels that are scores of their own, each cut by itself, of which a map takes the highest.

    Sigmoids and masks of several classes (multilabel networks) may be of no class, or of several, in a pixel. With a
    background among the classes, or where the user `stated` that the highest is wanted, it is taken; else this raises
    UndecidedError, for a pixel of none would become one of any class. `old_name` is the output as the file has it.
    """
    maker = maker_of(graph, output.spec.name)
    if maker not in _OF_THEIR_OWN or _is_one_hot(output, runs):
        return []
    what = f"output {old_name!r}: each of its {len(labels)} classes has a score of its own ({maker})"
    if stated or any(label.name.lower() in REST for label in labels):
        return [f"{what}: the highest is taken in every pixel"]
    raise UndecidedError(
        f"{what}, so that a pixel may be of none or of several, which no map of classes says; export it with a class "
        "for the background, or take the highest in every pixel",
        [Candidate(f"--head semantic_logits={old_name}", {"heads": {"semantic_logits": old_name}})],
    )


def _is_one_hot(output: Output, runs: Runs) -> bool:
    """Whether each pixel is marked in one channel alone."""
    values = [run[output.spec.name] for run in runs]
    axis = -1 if output.spec.lengths[-1] < output.spec.lengths[-3] else -3
    return all(
        bool(((value == 0) | (value == 1)).all() and (value.sum(axis=axis) == 1).all())
        for value in map(np.asarray, values)
    )
