"""Counts a network's weights and multiply-adds by the precision that they really are at, read from tensors' types."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from segrt.export.precision.indexed_graph import IndexedGraph

if TYPE_CHECKING:
    import onnx

_PASSES_ON = frozenset({"Reshape", "Transpose", "Squeeze", "Unsqueeze", "Flatten", "Identity"})
_TYPES = {1: "fp32", 10: "fp16", 11: "fp64", 16: "bf16", 2: "int8", 3: "int8"}
_PARAMETERS = (1, 2, 3, 10, 11, 16)
# Where an operator reads scales, zero points and sizes, which are no weights.
_NO_WEIGHTS = {
    "QuantizeLinear": (1, 2),
    "DequantizeLinear": (1, 2),
    "QLinearConv": (1, 2, 4, 5, 6, 7),
    "QLinearMatMul": (1, 2, 4, 5, 6, 7),
    "Resize": (1, 2, 3),
}


@dataclass(frozen=True)
class PrecisionCounts:
    """Counted by precision ("fp32", "fp16", "int8"): parameters, and multiply-adds for one picture.

    `by_node` holds the multiply-adds of each node that has any, by name.
    """

    parameters: dict[str, int]
    macs: dict[str, int]
    by_node: dict[str, int]

    @property
    def total_macs(self) -> int:
        """All multiply-adds."""
        return sum(self.macs.values())

    def weight_share(self, precision: str) -> float:
        """Return the share of the parameters that is stored at the precision of a variant, 0 to 1."""
        return _share(self.parameters, precision)

    def mac_share(self, precision: str) -> float:
        """Return the share of the multiply-adds that is executed at the precision of a variant, 0 to 1."""
        return _share(self.macs, precision)


def count_model(model: "onnx.ModelProto") -> PrecisionCounts:
    """Count the parameters and multiply-adds of a network, quantised ones included; free lengths count as 1."""
    return count_graph(IndexedGraph(model))


def count_graph(net: IndexedGraph) -> PrecisionCounts:
    """Count as `count_model`, in a network that is indexed already."""
    macs: dict[str, int] = {}
    by_node: dict[str, int] = {}
    for node in net.nodes:
        formula = _MACS.get(node.op_type)
        if formula is None:
            continue
        try:
            amount = formula(node, net)
        except (KeyError, IndexError, TypeError, ValueError):
            continue  # a shape that is not known before the network runs
        precision = _precision(node, net)
        macs[precision] = macs.get(precision, 0) + amount
        by_node[node.name or node.output[0]] = amount
    parameters: dict[str, int] = {}
    for name, tensor in net.constants.items():
        if tensor.data_type in _PARAMETERS and _is_weight(name, net):
            kind = _TYPES[tensor.data_type]
            parameters[kind] = parameters.get(kind, 0) + math.prod(tensor.dims)
    return PrecisionCounts(parameters, macs, by_node)


def _share(counts: dict[str, int], precision: str) -> float:
    total = sum(counts.values())
    return counts.get(precision.split("-")[0], 0) / total if total else 0.0


def _is_weight(name: str, net: IndexedGraph) -> bool:
    return any(
        place not in _NO_WEIGHTS.get(node.op_type, ())
        for node in net.consumers.get(name, [])
        for place, read in enumerate(node.input)
        if read == name
    )


def _precision(node: "onnx.NodeProto", net: IndexedGraph) -> str:
    """Return what a node with multiply-adds computes in: int8 where all of its factors are, else its inputs' type."""
    if node.op_type.startswith("QLinear") or node.op_type.endswith("Integer"):
        return "int8"
    factors = [name for name in node.input if name] if node.op_type == "Einsum" else list(node.input)[:2]
    if all(_is_dequantised(name, net) for name in factors):
        return "int8"
    return _TYPES.get(net.types.get(node.input[0], 1), "fp32")


def _is_dequantised(name: str, net: IndexedGraph) -> bool:
    node = net.producers.get(name)
    while node is not None and node.op_type in _PASSES_ON:
        node = net.producers.get(node.input[0])
    return node is not None and node.op_type == "DequantizeLinear" and net.types.get(node.input[0]) in (2, 3)


def _shape(name: str, net: IndexedGraph) -> list[int]:
    return [length or 1 for length in net.shapes[name]]


def _attribute(node: "onnx.NodeProto", name: str, default: int) -> int:
    return next((int(entry.i) for entry in node.attribute if entry.name == name), default)


def _convolution(node: "onnx.NodeProto", net: IndexedGraph) -> int:
    weight = _shape(node.input[3 if node.op_type == "QLinearConv" else 1], net)  # (out, in / groups, kernel...)
    return math.prod(_shape(node.output[0], net)) * math.prod(weight[1:])


def _transposed_convolution(node: "onnx.NodeProto", net: IndexedGraph) -> int:
    weight = _shape(node.input[1], net)  # (in, out / groups, kernel...)
    return math.prod(_shape(node.input[0], net)) * math.prod(weight[1:])


def _matrix_product(node: "onnx.NodeProto", net: IndexedGraph) -> int:
    return math.prod(_shape(node.output[0], net)) * _shape(node.input[0], net)[-1]


def _gemm(node: "onnx.NodeProto", net: IndexedGraph) -> int:
    rows, columns = _shape(node.input[0], net)
    inner = rows if _attribute(node, "transA", 0) else columns
    return math.prod(_shape(node.output[0], net)) * inner


def _einsum(node: "onnx.NodeProto", net: IndexedGraph) -> int:
    equation = next(entry.s.decode() for entry in node.attribute if entry.name == "equation").replace(" ", "")
    lengths: dict[str, int] = {}
    for letters, name in zip(equation.split("->")[0].split(","), node.input, strict=True):
        shape = _shape(name, net)
        if "..." in letters:
            before, after = letters.split("...")
            free = len(shape) - len(before) - len(after)
            letters = before + "".join(chr(0x100 + index) for index in range(free)) + after
        for letter, length in zip(letters, shape, strict=True):
            lengths[letter] = max(lengths.get(letter, 1), length)
    return math.prod(lengths.values())


def _attention(node: "onnx.NodeProto", net: IndexedGraph) -> int:
    queries, keys = _shape(node.input[0], net), _shape(node.input[1], net)
    return 2 * math.prod(queries) * keys[-2]  # (..., queries, depth) by (..., keys, depth), twice


_MACS: dict[str, Callable[["onnx.NodeProto", IndexedGraph], int]] = {
    "Conv": _convolution,
    "QLinearConv": _convolution,
    "ConvInteger": _convolution,
    "ConvTranspose": _transposed_convolution,
    "MatMul": _matrix_product,
    "FusedMatMul": _matrix_product,
    "QLinearMatMul": _matrix_product,
    "MatMulInteger": _matrix_product,
    "Gemm": _gemm,
    "Einsum": _einsum,
    "Attention": _attention,
}
MAC_OPS = frozenset(_MACS)
