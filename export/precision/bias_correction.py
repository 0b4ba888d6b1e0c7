"""Takes the mean error of quantisation out of a layer's bias.

Rounding moves the mean of an output channel: a channel that is nearly constant is rounded the same way everywhere, and
large weights multiply that. The mean difference between a layer and its quantised self, both reading what float32
gives, is added to its bias ("Data-Free Quantization Through Weight Equalization and Bias Correction", Nagel et al.,
ICCV 2019).
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

import numpy as np

from segrt.export.graph.editing import require_onnx
from segrt.export.precision.indexed_graph import IndexedGraph, open_session
from segrt.export.precision.int8 import quantisable
from segrt.runtime.inference.tensors import Array

if TYPE_CHECKING:
    import onnx

_BIASED = frozenset({"Conv", "ConvTranspose"})
_AXES_ARE_INPUTS = 18  # the opset from which ReduceMean takes its axes as a tensor


class Coder(Protocol):
    """Appends what a quantised layer reads."""

    @property
    def constants(self) -> "Iterable[onnx.TensorProto]":
        """The new initialisers."""

    def pair(self, node: "onnx.NodeProto") -> "tuple[list[onnx.NodeProto], str, str]":
        """Return new nodes and the names of the input and weights that they make for the quantised `node`."""


def mean_errors(
    net: IndexedGraph,
    coder: Coder,
    feeds: Iterable[Mapping[str, Array]],
    *,
    keep: frozenset[str] = frozenset(),
    threads: int = 0,
) -> dict[str, Array]:
    """Return by convolution how much less each output channel is on average when it alone is quantised by `coder`."""
    layers = [node for node in quantisable(net) if _is_biased(node, net) and node.name not in keep]
    found = _mean_errors(net, layers, coder, feeds, threads) if layers else {}
    return {name: error for name, error in found.items() if np.isfinite(error).all()}


def corrected_bias(node: "onnx.NodeProto", net: IndexedGraph, error: Array) -> Array:
    """Return the bias (C,) of a convolution that is quantised, its mean error being `error`."""
    bias = net.array(node.input[2]) if len(node.input) > 2 and node.input[2] else np.zeros(1, np.float32)
    return np.asarray((bias + error).astype(np.float32))


def with_corrected_biases(net: IndexedGraph, errors: Mapping[str, Array], keep: Collection[str]) -> IndexedGraph:
    """Return `net` with the biases of the nodes of `errors` corrected, but for those named in `keep`."""
    onnx = require_onnx()
    model = net.copy()
    added = []
    for node in model.graph.node:
        if node.name in errors and node.name not in keep:
            name = f"{node.name}__corrected_bias"
            added.append(onnx.numpy_helper.from_array(corrected_bias(node, net, errors[node.name]), name))
            del node.input[2:]
            node.input.append(name)
    model.graph.initializer.extend(added)
    return net.with_model(model)


def _is_biased(node: "onnx.NodeProto", net: IndexedGraph) -> bool:
    return node.op_type in _BIASED and all(name in net.constants for name in list(node.input)[2:] if name)


def _mean_errors(
    net: IndexedGraph,
    layers: "Sequence[onnx.NodeProto]",
    coder: Coder,
    feeds: Iterable[Mapping[str, Array]],
    threads: int,
) -> dict[str, Array]:
    onnx = require_onnx()
    model = net.copy()
    graph = model.graph
    for node in layers:
        nodes, data, weights = coder.pair(node)
        quantised = onnx.NodeProto.FromString(node.SerializeToString())
        quantised.name += "__quantised"
        quantised.input[0], quantised.input[1] = data, weights
        quantised.output[0] += "__quantised"
        rank = len(net.array(node.input[1]).shape)
        axes = f"segrt_all_but_channels_{rank}"
        difference, mean = f"{node.output[0]}__difference", f"{node.output[0]}__mean_error"
        graph.node.extend(nodes)
        graph.node.extend(
            (
                quantised,
                onnx.helper.make_node("Sub", [node.output[0], quantised.output[0]], [difference]),
                onnx.helper.make_node("ReduceMean", [difference, axes], [mean], keepdims=0)
                if net.opset >= _AXES_ARE_INPUTS
                else onnx.helper.make_node("ReduceMean", [difference], [mean], keepdims=0, axes=_others(rank)),
            )
        )
        if not any(tensor.name == axes for tensor in graph.initializer):
            graph.initializer.append(onnx.numpy_helper.from_array(np.array(_others(rank), np.int64), axes))
    graph.initializer.extend(coder.constants)
    names = [f"{node.output[0]}__mean_error" for node in layers]
    del graph.output[:]
    graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
    session = open_session(model, threads=threads)
    totals: list[Array] = []
    count = 0
    for feed in feeds:
        values = session.run(names, dict(feed))
        totals = [total + value for total, value in zip(totals, values, strict=True)] if totals else values
        count += 1
    return {node.name: total / count for node, total in zip(layers, totals, strict=True)} if count else {}


def _others(rank: int) -> list[int]:
    """Return the axes of a layer's output (N, C, ...) but for its channels; weights have as many."""
    return [axis for axis in range(rank) if axis != 1]
