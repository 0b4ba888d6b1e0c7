"""Heads whose values mean something else than their decode rule takes: mended by nodes appended to the graph."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from segrt.export.adopt.binary_heads import LOGARITHMS
from segrt.export.adopt.guessing import Output
from segrt.export.adopt.signs import Runs, are_logits
from segrt.export.graph.editing import Graph
from segrt.runtime.inference.tensors import TensorSpec


def as_probabilities(graph: Graph, heads: Mapping[str, Output], runs: Runs, notes: list[str]) -> Mapping[str, Output]:
    """Return the heads with masks of probabilities: logits get a Sigmoid, for 0 outside a mask is none of theirs."""
    masks = heads["masks"]
    if not are_logits(masks.spec.name, runs):
        return heads
    name = graph.activate_output(masks.spec.name)
    notes.append(f"head {masks.spec.name!r} holds logits: a Sigmoid was added")
    return {**heads, "masks": replace(masks, spec=TensorSpec(name, masks.spec.dtype, masks.spec.shape))}


def without_logarithms(
    graph: Graph, heads: Mapping[str, Output], scores: str, notes: list[str]
) -> tuple[str, Mapping[str, Output]]:
    """Return what the head of one channel holds, and the head: logarithms of probabilities get an Exp."""
    if scores != LOGARITHMS:
        return scores, heads
    output = heads["object_scores"]
    name = graph.activate_output(output.spec.name, "Exp")
    notes.append(f"head {output.spec.name!r} holds logarithms of probabilities: an Exp was added")
    spec = TensorSpec(name, output.spec.dtype, output.spec.shape)
    return "probabilities", {**heads, "object_scores": replace(output, spec=spec)}


def in_columns(
    graph: Graph, heads: Mapping[str, Output], activation: str, labels: int, notes: list[str]
) -> Mapping[str, Output]:
    """Return the heads with a column for each label where scores are sigmoids: a last one more is the background."""
    logits = heads["class_logits"]
    shape = logits.spec.lengths
    if activation != "sigmoid" or shape[-1] != labels + 1:
        return heads
    name = graph.drop_last_column(logits.spec.name)
    notes.append(f"head {logits.spec.name!r} has a last column for the background, which no sigmoid needs: it was cut")
    spec = TensorSpec(name, logits.spec.dtype, (*shape[:-1], labels))
    return {**heads, "class_logits": replace(logits, spec=spec)}


def is_torchvision(heads: Mapping[str, Output]) -> bool:
    """Whether boxes come as from torchvision's detectors: no batch axis, int64 ids, one channel for each mask."""
    return (
        not heads["boxes"].has_batch
        and heads["class_ids"].spec.dtype == "int64"
        and len(heads["masks"].spec.shape) == 4
        and heads["masks"].spec.shape[1] == 1
    )


def other_maps(outputs: Sequence[Output], heads: Mapping[str, Output]) -> list[str]:
    """Return a note on outputs that look like the one that was taken: U2-Net has seven, its own is the first."""
    for role in ("semantic_logits", "class_map", "object_scores"):
        if role in heads:
            chosen = heads[role]
            alike = [other.spec.name for other in outputs if other is not chosen and _looks_like(other, chosen)]
            if alike:
                named = ", ".join(repr(name) for name in alike)
                return [
                    f"outputs {named} look like {chosen.spec.name!r}, which was taken; --head {role}=NAME takes another"
                ]
    return []


def _looks_like(other: Output, chosen: Output) -> bool:
    channels = [output.spec.shape[-3] if output.rank == 4 else None for output in (other, chosen)]
    return other.rank == chosen.rank and channels[0] == channels[1] and other.spec.dtype == chosen.spec.dtype
