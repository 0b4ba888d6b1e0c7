"""A float32 network with int8 Q/DQ nodes as TensorRT wants them: symmetric, on the inputs of layers with weights.

Weights are int8 by output channel, activations int8 by tensor, biases stay float32, nothing is quantised behind a
layer: TensorRT moves the next layer's Quantize up to where it fuses best. Zero points are 0, else it refuses them.
"""

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

import numpy as np

from segrt.export.graph.editing import require_onnx
from segrt.export.precision.calibration import LEVELS
from segrt.export.precision.indexed_graph import IndexedGraph
from segrt.runtime.errors import SegrtError
from segrt.runtime.inference.tensors import Array

if TYPE_CHECKING:
    import onnx

_LEAST_OPSET = 13
_OPS = frozenset({"Conv", "ConvTranspose", "Gemm", "MatMul"})


def quantisable(net: IndexedGraph) -> list["onnx.NodeProto"]:
    """Return the nodes that can be int8: weighted layers with constant weights and a computed input."""
    return [
        node
        for node in net.nodes
        if node.op_type in _OPS
        and node.input[1] in net.constants
        and net.is_float(node.input[1])
        and len(net.constants[node.input[1]].dims) > 1
        and node.input[0] not in net.constants
        and net.is_float(node.input[0])
    ]


def check_opset(net: IndexedGraph, where: str) -> None:
    """Raise SegrtError when the network's operators are too old for scales by channel."""
    if net.opset < _LEAST_OPSET:
        raise SegrtError(
            f"{where}: has opset {net.opset}, but int8 needs {_LEAST_OPSET} or newer; export the network again"
        )


def to_int8(net: IndexedGraph, thresholds: Mapping[str, float], keep: Collection[str] = ()) -> "onnx.ModelProto":
    """Return the network of `net` with int8 layers, but for the nodes named in `keep`.

    `thresholds` has, for the input of each layer, the absolute value that 127 stands for.
    """
    onnx = require_onnx()
    model = net.copy()
    graph = model.graph
    chosen = {node.name for node in quantisable(net)} - set(keep)
    added = _Added()
    nodes = []
    for node in graph.node:
        copy = onnx.NodeProto.FromString(node.SerializeToString())
        if node.name in chosen:
            pair, name = added.activation(node.input[0], thresholds[node.input[0]])
            nodes += pair
            copy.input[0] = name
            pair, copy.input[1] = added.weight(node.input[1], net.array(node.input[1]), channel_axis(node))
            nodes += pair
        nodes.append(copy)
    del graph.node[:]
    graph.node.extend(nodes)
    read = {name for node in nodes for name in node.input} | set(net.outputs)
    inner = {name for name, readers in net.consumers.items() if any(name not in node.input for node in readers)}
    kept = [tensor for tensor in graph.initializer if tensor.name in read | inner]
    del graph.initializer[:]
    graph.initializer.extend([*kept, *added.constants])
    return model


def channel_axis(node: "onnx.NodeProto") -> int | None:
    """Return the axis of the output channels in a layer's weights; None where one scale must serve them all."""
    attributes = {entry.name: int(entry.i) for entry in node.attribute if entry.name in ("group", "transB")}
    if node.op_type == "Conv":
        return 0
    if node.op_type == "ConvTranspose":
        return 1 if attributes.get("group", 1) == 1 else None
    if node.op_type == "Gemm":
        return 0 if attributes.get("transB", 0) else 1
    return -1


def quantise_weight(values: Array, axis: int | None) -> tuple[Array, Array]:
    """Return int8 weights and their float32 scales, one or one for each channel of `axis`."""
    others = None if axis is None else tuple(i for i in range(values.ndim) if i != axis % values.ndim)
    largest = np.abs(values).max(axis=others)
    scale = np.where(largest > 0, largest / LEVELS, 1.0).astype(np.float32)
    shaped = scale if axis is None else np.expand_dims(scale, others)  # type: ignore[arg-type]
    return np.clip(np.rint(values / shaped), -LEVELS, LEVELS).astype(np.int8), scale


def scale_of(threshold: float) -> float:
    """Return the step of an activation whose largest value is `threshold`."""
    return threshold / LEVELS if np.isfinite(threshold) and threshold > 0 else 1.0


class Int8Coder:
    """Quantises single layers by `thresholds`, as `to_int8` does."""

    def __init__(self, net: IndexedGraph, thresholds: Mapping[str, float]) -> None:
        self._net, self._thresholds = net, thresholds
        self._added = _Added()

    @property
    def constants(self) -> list["onnx.TensorProto"]:
        """The new initialisers."""
        return self._added.constants

    def pair(self, node: "onnx.NodeProto") -> tuple[list["onnx.NodeProto"], str, str]:
        """Return new nodes and the names of the input and weights that they make for the quantised `node`."""
        first, data = self._added.activation(node.input[0], self._thresholds[node.input[0]])
        second, weights = self._added.weight(node.input[1], self._net.array(node.input[1]), channel_axis(node))
        return [*first, *second], data, weights


class _Added:
    """The new constants, and the Q/DQ pairs that are there already."""

    def __init__(self) -> None:
        self.constants: list[onnx.TensorProto] = []
        self._done: dict[tuple[str, int | None], str] = {}

    def activation(self, name: str, threshold: float) -> tuple[list["onnx.NodeProto"], str]:
        """Return new nodes and the name of the tensor after quantising and dequantising."""
        helper = require_onnx().helper
        new = f"{name}__dequantised"
        if (name, None) in self._done:
            return [], new
        self._done[name, None] = new
        scale = self._constant(f"{name}__scale", np.float32(scale_of(threshold)))
        zero = self._constant(f"{name}__zero", np.int8(0))
        middle = f"{name}__int8"
        return [
            helper.make_node("QuantizeLinear", [name, scale, zero], [middle], name=f"{name}__quantise"),
            helper.make_node("DequantizeLinear", [middle, scale, zero], [new], name=f"{name}__dequantise"),
        ], new

    def weight(self, name: str, values: Array, axis: int | None) -> tuple[list["onnx.NodeProto"], str]:
        """Return new nodes and the name of the weights that they make of int8 ones."""
        helper = require_onnx().helper
        place = None if axis is None else axis % values.ndim
        new = f"{name}__dequantised_{'all' if place is None else place}"
        if (new, None) in self._done:
            return [], new
        self._done[new, None] = new
        quantised, scales = quantise_weight(values, place)
        names = [
            self._constant(f"{new}__int8", quantised),
            self._constant(f"{new}__scale", scales),
            self._constant(f"{new}__zero", np.zeros(scales.shape, np.int8)),
        ]
        options = {} if place is None else {"axis": place}
        return [helper.make_node("DequantizeLinear", names, [new], name=f"{new}__dequantise", **options)], new

    def _constant(self, name: str, values: Array) -> str:
        self.constants.append(require_onnx().numpy_helper.from_array(np.asarray(values), name))
        return name
