"""Brings layers together with the network's nodes and the modules that those come from."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from segrt.runtime.inference.layers.module_names import Node
from segrt.runtime.inference.layers.raw_layer import RawLayer

_RANGE = re.compile(r"(?:ForeignNode)?\[(\S+?)\.\.\.(\S+?)\]")
_SUFFIX = re.compile(r"(_[0-9]+|_myl[0-9]+|_nchwc|_clone|/\w+Fusion)$")
_WORD = re.compile(r"[\w./:-]+")


@dataclass(frozen=True)
class LayerTime:
    """One row of `segrt profile --layers`.

    name: the layer as the backend calls it; kind: its operator; nodes: the ONNX nodes that it executes; modules: the
    modules of the source framework that they come from, in the order of the network, without repetition; mean_ms: its
    time in a frame; share: its part of the sum over all layers, 0 to 1.
    """

    name: str
    kind: str
    precision: str
    nodes: tuple[str, ...]
    modules: tuple[str, ...]
    mean_ms: float
    share: float


def layer_table(raw: Sequence[RawLayer], nodes: Sequence[Node]) -> list[LayerTime]:
    """Return a row for each layer, in the order of execution."""
    known = {node.name: position for position, node in enumerate(nodes)}
    outputs = {name: node.name for node in nodes for name in node.outputs}
    total = sum(layer.mean_ms for layer in raw) or 1.0
    rows = []
    for layer in raw:
        names = tuple(name for name in layer.nodes if name in known) or nodes_in(layer.name, known, outputs, nodes)
        modules = tuple(dict.fromkeys(nodes[known[name]].module for name in names))
        rows.append(
            LayerTime(layer.name, layer.kind, layer.precision, names, modules, layer.mean_ms, layer.mean_ms / total)
        )
    return rows


def nodes_in(
    layer: str, known: Mapping[str, int], outputs: Mapping[str, str], nodes: Sequence[Node]
) -> tuple[str, ...]:
    """Return the nodes that a layer's name speaks of.

    Backends make names of their own: "conv1 + relu1" and "PWN(sigmoid)" of fused layers, "{ForeignNode[a...b]}" of
    whole parts of the network, "Reformatting CopyNode for Input Tensor 0 to conv1", "conv1_nchwc" and numbered copies.
    """
    span = _RANGE.search(layer)
    if span:
        first, last = _node(span[1], known, outputs), _node(span[2], known, outputs)
        if first is not None and last is not None and known[first] <= known[last]:
            return tuple(node.name for node in nodes[known[first] : known[last] + 1])
    found = (_node(word, known, outputs) for word in _WORD.findall(layer.replace("...", " ")))
    return tuple(dict.fromkeys(name for name in found if name is not None))


def _node(word: str, known: Mapping[str, int], outputs: Mapping[str, str]) -> str | None:
    while True:
        if word in known:
            return word
        if word in outputs:
            return outputs[word]
        shorter = _SUFFIX.sub("", word)
        if shorter == word:
            return None
        word = shorter
