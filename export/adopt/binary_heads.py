"""One-channel networks: which output is the score of the object, and what its numbers mean."""

from collections.abc import Mapping

import numpy as np

from segrt.export.adopt.candidates import Candidate, UndecidedError
from segrt.export.adopt.guessing import Output
from segrt.export.adopt.signs import Runs
from segrt.export.graph.editing import Graph
from segrt.runtime.decode.binary import SCORES, Binary
from segrt.runtime.errors import SegrtError
from segrt.runtime.results import Label
from segrt.runtime.results.labels.class_lists import with_background

_KEEP_VALUES = (
    "Cast",
    "Identity",
    "Squeeze",
    "Unsqueeze",
    "Reshape",
    "Transpose",
    "Resize",
    "Upsample",
    "Slice",
    "Gather",
)
LOGARITHMS = "logarithms"  # of probabilities: none of `SCORES`, but an Exp makes it one
_LOGARITHMS = ("Log", "LogSoftmax")
_BELOW = -1e-3  # from where a value is none of a probability that was rounded
_PROBABILITIES = ("Sigmoid", "HardSigmoid", "Softmax")
DECISIONS = ("Greater", "GreaterOrEqual", "Less", "LessOrEqual", "Not", "And", "Or", "Equal", "ArgMax", "Round")
REST = ("background", "bg", "_background_", "void", "other", "rest", "unlabeled")
# The kinds of dtype that may hold each.
_KINDS = {"logits": "f", "probabilities": "f", "bytes": "uf", "mask": "uf"}


def as_binary(
    rule: str,
    heads: Mapping[str, Output],
    labels: int,
    given: Mapping[str, str],
    graph: Graph,
    runs: Runs,
) -> tuple[str, Mapping[str, Output]]:
    """Return rule and heads, where they are of one channel as the rule `binary`, whose head is `object_scores`.

    Raises SegrtError where one channel is to be told apart by an argmax, or has more than two labels.
    """
    if rule not in ("argmax", "class_map", "binary"):
        return rule, heads
    output = next(iter(heads.values()))
    name = output.spec.name
    if graph.argmax_classes(name) == 1:
        raise SegrtError(
            f"output {output.spec}: is an ArgMax over one channel, which is 0 everywhere; export the network without "
            "it, as logits or probabilities"
        )
    if rule == "class_map" and not _is_score_of_bytes(output, runs, labels):
        return rule, heads
    if rule == "argmax" and not has_one_channel(output, labels):
        return rule, heads
    if rule == "argmax" and "semantic_logits" in given:
        raise SegrtError(
            f"--head semantic_logits={name}: has one channel, and of one class every pixel would be it; name it "
            f"--head object_scores={name}, the score of one object"
        )
    if labels > 2:
        if output.rank == 3 and labels in output.spec.shape:
            raise SegrtError(
                f"output {output.spec}: is no map but has its cells in one row; export it as classes × height × width"
            )
        raise SegrtError(
            f"output {output.spec}: has one channel, the score of one object, but there are {labels} labels; give one "
            "name or two (the rest, then the object) with --labels FILE"
        )
    return "binary", {"object_scores": output}


def has_one_channel(output: Output, labels: int) -> bool:
    """Whether a float output (N, C, h, w), (N, h, w, C) or (N, h, w) has one channel."""
    shape = output.spec.shape
    if output.rank == 3:
        return True
    channels = shape[1 if output.has_batch else 0]
    return channels == 1 or (shape[-1] == 1 and channels != labels)


def _is_score_of_bytes(output: Output, runs: Runs, labels: int) -> bool:
    """Whether a class map is none: bool, or bytes beyond the class ids of one object and the rest."""
    if output.spec.dtype == "bool":
        return True
    return output.spec.dtype == "uint8" and labels <= 2 and _range(output, runs)[1] > 1


def _range(output: Output, runs: Runs) -> tuple[float, float]:
    """Return the lowest and the highest value that the output had on the pictures, or 0."""
    values = [run[output.spec.name] for run in runs]
    return min(float(value.min(initial=0)) for value in values), max(float(value.max(initial=0)) for value in values)


def scores_of(output: Output, runs: Runs, graph: Graph, given: str | None) -> str:
    """Return what a head of `object_scores` holds, one of `SCORES` or `LOGARITHMS`: by its values, and by their maker.

    Raises SegrtError where `given` is not what the type holds, UndecidedError where the signs do not agree.
    """
    dtype = np.dtype(output.spec.dtype)
    kind = "u" if dtype.kind in "bu" else dtype.kind
    if given is not None:
        if kind not in _KINDS[given]:
            fitting = ", ".join(name for name in SCORES if kind in _KINDS[name])
            raise SegrtError(f"--scores {given}: output {output.spec} may hold {fitting}; name one of these")
        return given
    maker = maker_of(graph, output.spec.name)
    if dtype == np.bool_ or maker in DECISIONS:
        return "mask"
    low, high = _range(output, runs)
    if kind == "u":
        return "bytes" if high > 1 else "mask"
    if maker in _LOGARITHMS and high <= 0:
        return LOGARITHMS
    if low < _BELOW:
        return "logits"
    if maker in _PROBABILITIES:
        return "probabilities"
    others = "probabilities" if high <= 1 else "bytes"
    raise UndecidedError(
        f"output {output.spec}: has values of {low:.3g} to {high:.3g} that come from {maker or 'an input'}, which may "
        f"be logits or {others}",
        [Candidate(f"--scores {name}", {"scores": name}) for name in ("logits", others)],
    )


def object_labels(labels: tuple[Label, ...], notes: list[str]) -> tuple[Label, ...]:
    """Return background and object of one or two labels."""
    if len(labels) == 1:
        notes.append(f"one class: what is not {labels[0].name!r} is background")
        return with_background(labels[0])
    first, second = labels
    if second.name.lower() in REST and first.name.lower() not in REST:
        notes.append(f"{first.name!r} is the object, {second.name!r} the rest, though it stands behind")
        return second, first
    return labels


def describe_cut(rule: Binary, labels: tuple[Label, ...]) -> str:
    """Return the note on how the object is told from the rest."""
    of = {"logits": "the sigmoid of its logits", "probabilities": "its probability", "bytes": "its byte / 255"}
    if rule.scores == "mask":
        return f"one channel, a mask: {labels[-1].name!r} where it is not 0; --scores says it is something else"
    return (
        f"one channel: {labels[-1].name!r} where {of[rule.scores]} is above {rule.score_threshold:g}, enlarged before; "
        "change it with --scores, --score-threshold"
    )


def maker_of(graph: Graph, name: str) -> str | None:
    """Return the kind of node that makes the values of output `name`, past nodes that only move or convert them."""
    makers = {out: node for node in graph.model.graph.node for out in node.output}
    node = makers.get(name)
    while node is not None and node.op_type in _KEEP_VALUES:
        node = makers.get(node.input[0])
    return None if node is None else str(node.op_type)
