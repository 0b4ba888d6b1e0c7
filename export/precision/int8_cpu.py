"""A float32 network with int8 Q/DQ nodes as ONNX Runtime's integer kernels for CPUs want them.

Activations are uint8 with a zero point of their own, for signed ones are far slower on x86; layers have int32 biases
and quantised outputs; ReLU and its like are the lower end of the code; and what lies between two layers (additions,
concatenations, pooling, resizing) stays in bytes. Weights take 7 of 8 bits: without VNNI, x86 adds two products in 16
bits, which 8-bit weights would overflow. TensorRT refuses such networks.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from segrt.export.graph.editing import require_onnx
from segrt.export.precision.indexed_graph import IndexedGraph, read_names
from segrt.export.precision.int8 import channel_axis, quantisable
from segrt.runtime.inference.tensors import Array

if TYPE_CHECKING:
    import onnx

Range = tuple[float, float]
WEIGHT_LEVELS = 63
_LAYERS = frozenset({"Conv", "Gemm", "MatMul"})
_SAME_CODE = frozenset({"MaxPool", "Resize", "Reshape", "Transpose", "Flatten", "Squeeze", "Unsqueeze"})
_BETWEEN = _SAME_CODE | {"Add", "Mul", "Concat", "AveragePool", "GlobalAveragePool", "Sigmoid", "LeakyRelu"}
_ABSORBED = frozenset({"Relu", "Clip"})


@dataclass(frozen=True)
class Plan:
    """What becomes int8: the layers, what lies between them, the activations that they absorb, the coded tensors.

    outputs: the tensor that each of those nodes makes in the end, behind what it absorbed.
    """

    layers: frozenset[str]
    between: frozenset[str]
    absorbed: frozenset[str]
    outputs: Mapping[str, str]
    coded: tuple[str, ...]


def plan(net: IndexedGraph, keep: Collection[str] = ()) -> Plan:
    """Decide what becomes int8 when the nodes named in `keep` do not."""
    layers = {node.name for node in quantisable(net) if node.op_type in _LAYERS} - set(keep)
    between = _between(net, layers, set(keep))
    absorbed: set[str] = set()
    outputs: dict[str, str] = {}
    for node in net.nodes:
        if node.name not in layers | between:
            continue
        outputs[node.name] = node.output[0]
        followers = net.consumers.get(node.output[0], [])
        if (
            len(followers) == 1
            and followers[0].op_type in _ABSORBED
            and node.op_type not in _SAME_CODE
            and node.output[0] not in net.outputs
            and followers[0].name not in keep
            and _starts_at_zero(followers[0], net)
        ):
            absorbed.add(followers[0].name)
            outputs[node.name] = followers[0].output[0]
    coded: dict[str, None] = {}
    for node in net.nodes:
        if node.name in layers:
            coded[node.input[0]] = None
        elif node.name in between:
            coded.update(dict.fromkeys(name for name in _data(node) if net.is_float(name)))
        # A matrix product gives floats as readily, a convolution alone must give bytes.
        readers = net.consumers.get(outputs.get(node.name, ""), [])
        if node.name in outputs and (
            node.op_type == "Conv" or node.name in between or any(reader.name in layers | between for reader in readers)
        ):
            coded[outputs[node.name]] = None
    return Plan(frozenset(layers), frozenset(between), frozenset(absorbed), outputs, tuple(coded))


def to_int8_cpu(net: IndexedGraph, ranges: Mapping[str, Range], keep: Collection[str] = ()) -> "onnx.ModelProto":
    """Return the network of `net` in int8 for CPUs, but for the nodes named in `keep`.

    `ranges` has the lowest and highest value of every tensor that `plan` codes.
    """
    model = net.copy()
    graph = model.graph
    planned = plan(net, keep)
    writer = _Writer(net, planned, _codes(net, planned, ranges), net.outputs)
    for value in graph.input:
        writer.code(value.name)
    for name in net.constants:
        writer.code(name)
    for node in net.nodes:
        writer.add(node)
    del graph.node[:]
    graph.node.extend(writer.nodes)
    graph.initializer.extend(writer.constants)
    read = {name for node in graph.node for name in read_names(node)} | set(net.outputs)
    kept = [tensor for tensor in graph.initializer if tensor.name in read]
    del graph.initializer[:]
    graph.initializer.extend(kept)
    return model


class Int8CpuCoder:
    """Quantises single layers by `ranges`, as `to_int8_cpu` does."""

    def __init__(self, net: IndexedGraph, ranges: Mapping[str, Range]) -> None:
        coded = tuple(dict.fromkeys(node.input[0] for node in quantisable(net)))
        planned = Plan(frozenset(), frozenset(), frozenset(), {}, coded)
        self._net = net
        self._writer = _Writer(net, planned, _codes(net, planned, ranges), heads=())

    @property
    def constants(self) -> list["onnx.TensorProto"]:
        """The new initialisers."""
        return self._writer.constants

    def pair(self, node: "onnx.NodeProto") -> tuple[list["onnx.NodeProto"], str, str]:
        """Return new nodes and the names of the input and weights that they make for the quantised `node`."""
        before = len(self._writer.nodes)
        data = self._writer.code(node.input[0])
        weights = self._writer.weights(node)[0]
        return self._writer.nodes[before:], data, weights


def _between(net: IndexedGraph, layers: set[str], keep: set[str]) -> set[str]:
    """Return the nodes that take bytes from layers and give them to layers, directly or through others of them."""
    feeding: set[str] = set()
    for node in reversed(net.nodes):
        if node.op_type in _BETWEEN | _ABSORBED and node.name not in keep:
            readers = [reader for name in node.output for reader in net.consumers.get(name, [])]
            if any(reader.name in layers | feeding for reader in readers):
                feeding.add(node.name)
    fed: set[str] = set()
    made: set[str] = set()
    for node in net.nodes:
        if node.name in layers:
            made.update(node.output)
        elif node.name in feeding and any(name in made for name in node.input):
            made.update(node.output)
            fed.add(node.name)
    return {node.name for node in net.nodes if node.name in fed and node.op_type in _BETWEEN}


def _starts_at_zero(node: "onnx.NodeProto", net: IndexedGraph) -> bool:
    if node.op_type == "Relu":
        return True
    return len(node.input) > 1 and node.input[1] in net.constants and float(net.array(node.input[1])) == 0.0


def _data(node: "onnx.NodeProto") -> list[str]:
    """Return the inputs of a node that are data, not sizes."""
    return list(node.input)[:1] if node.op_type in _SAME_CODE else [name for name in node.input if name]


def _codes(net: IndexedGraph, planned: Plan, ranges: Mapping[str, Range]) -> dict[str, tuple[float, int]]:
    """Return the step and zero point of every coded tensor; what only moves values keeps the code of its input."""
    codes = {}
    for name in planned.coded:
        if name in ranges:
            lowest, highest = ranges[name]
        else:
            values = net.array(name)
            lowest, highest = float(values.min()), float(values.max())
        lowest, highest = min(lowest, 0.0), max(highest, 0.0)
        step = (highest - lowest) / 255 or 1.0
        codes[name] = (step, round(-lowest / step))
    for node in net.nodes:
        if node.name in planned.between and node.op_type in _SAME_CODE:
            codes[node.output[0]] = codes[node.input[0]]
    return codes


class _Writer:
    """Copies nodes in their order, with Q/DQ pairs behind the coded tensors."""

    def __init__(
        self, net: IndexedGraph, planned: Plan, codes: Mapping[str, tuple[float, int]], heads: Collection[str]
    ) -> None:
        self._net, self._heads = net, heads
        self._plan = planned
        self._codes = codes
        self._coded: dict[str, str] = {}
        self._constants: dict[str, onnx.TensorProto] = {}
        self.nodes: list[onnx.NodeProto] = []

    @property
    def constants(self) -> list["onnx.TensorProto"]:
        """The new initialisers."""
        return list(self._constants.values())

    def add(self, node: "onnx.NodeProto") -> None:
        """Append a node, and the pair behind what it makes."""
        if node.name in self._plan.absorbed:
            return
        onnx = require_onnx()
        copy = onnx.NodeProto.FromString(node.SerializeToString())
        planned = self._plan.layers | self._plan.between
        for place, name in enumerate(node.input):
            if name in self._coded and (node.name in planned or name not in self._net.constants):
                copy.input[place] = self._coded[name]
        self._into_subgraphs(copy)
        if node.name in self._plan.layers:
            self._weights(node, copy)
        if node.name in self._plan.outputs:
            out = self._plan.outputs[node.name]
            copy.output[0] = out
            if out in self._codes and out in self._heads:
                copy.output[0] = f"{out}__raw"
        self.nodes.append(copy)
        for name in [self._plan.outputs[node.name]] if node.name in self._plan.outputs else node.output:
            self.code(name)

    def code(self, name: str) -> str:
        """Append the Q/DQ pair of a tensor that is coded, and return its name behind the pair; a head keeps its own."""
        if name not in self._codes or name in self._coded:
            return self._coded.get(name, name)
        helper = require_onnx().helper
        step, zero = self._codes[name]
        is_head = name in self._heads and name not in self._net.constants
        raw, out = (f"{name}__raw", name) if is_head else (name, f"{name}__dequantised")
        names = [
            self._constant(f"{name}__scale", np.float32(step)),
            self._constant(f"{name}__zero", np.uint8(zero)),
        ]
        if name in self._net.constants:
            values = np.clip(np.rint(self._net.array(name) / step) + zero, 0, 255).astype(np.uint8)
            self._constant(f"{name}__uint8", values)
        else:
            self.nodes.append(
                helper.make_node("QuantizeLinear", [raw, *names], [f"{name}__uint8"], name=f"{name}__quantise")
            )
        self.nodes.append(
            helper.make_node("DequantizeLinear", [f"{name}__uint8", *names], [out], name=f"{name}__dequantise")
        )
        self._coded[name] = out
        return out

    def weights(self, node: "onnx.NodeProto") -> tuple[str, Array]:
        """Return the name of a layer's int8 weights behind their dequantisation, and their steps."""
        name, axis = node.input[1], channel_axis(node)
        values = self._net.array(name)
        place = None if axis is None else axis % values.ndim
        codes, scales = quantise_weight_7bit(values, place)
        return self._dequantised(f"{name}__{place}", codes, scales, place), scales

    def _weights(self, node: "onnx.NodeProto", copy: "onnx.NodeProto") -> None:
        """Let a layer read int8 weights and an int32 bias."""
        copy.input[1], scales = self.weights(node)
        if len(node.input) > 2 and node.input[2] in self._net.constants and node.input[0] in self._codes:
            bias = self._net.array(node.input[2])
            steps = scales * np.float32(self._codes[node.input[0]][0])
            whole = np.clip(np.rint(bias.astype(np.float64) / steps), -(2**31), 2**31 - 1).astype(np.int32)
            copy.input[2] = self._dequantised(
                f"{node.input[2]}__of_{node.name}", whole, steps, 0 if steps.ndim else None
            )

    def _dequantised(self, name: str, codes: Array, scales: Array, axis: int | None) -> str:
        out = f"{name}__dequantised"
        if f"{name}__codes" not in self._constants:
            names = [
                self._constant(f"{name}__codes", codes),
                self._constant(f"{name}__scale", scales),
                self._constant(f"{name}__zero", np.zeros(scales.shape, codes.dtype)),
            ]
            options = {} if axis is None else {"axis": axis}
            self.nodes.append(
                require_onnx().helper.make_node("DequantizeLinear", names, [out], name=f"{name}__dequantise", **options)
            )
        return out

    def _into_subgraphs(self, copy: "onnx.NodeProto") -> None:
        from segrt.export.precision.indexed_graph import rename_inputs

        if any(entry.HasField("g") for entry in copy.attribute):
            rename_inputs(copy, self._coded)

    def _constant(self, name: str, values: Array) -> str:
        self._constants[name] = require_onnx().numpy_helper.from_array(np.asarray(values), name)
        return name


def quantise_weight_7bit(values: Array, axis: int | None) -> tuple[Array, Array]:
    """Return int8 weights from -63 to 63 and their float32 scales, one or one for each channel of `axis`."""
    others = None if axis is None else tuple(index for index in range(values.ndim) if index != axis)
    largest = np.abs(values).max(axis=others)
    scale = np.where(largest > 0, largest / WEIGHT_LEVELS, 1.0).astype(np.float32)
    shaped = scale if others is None else np.expand_dims(scale, others)
    return np.clip(np.rint(values / shaped), -WEIGHT_LEVELS, WEIGHT_LEVELS).astype(np.int8), scale
