"""A float32 network as a float16 one: every tensor is float16 but those of the nodes that are kept.

What is kept in float32 by its nature: operators that ONNX Runtime and TensorRT take in float32 alone, and the
statistics of normalisations that were exported as single operators, whose squares leave float16's range. Heads are
float16 where the node that makes them is.
"""

from collections.abc import Collection
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from segrt.export.graph.editing import require_onnx
from segrt.export.precision.indexed_graph import IndexedGraph, read_names, rename_inputs
from segrt.runtime.inference.tensors import Array

if TYPE_CHECKING:
    import onnx

FLOAT, HALF = 1, 10
LARGEST = 65504.0
_FLOAT_OPS = frozenset({"CumSum", "NonMaxSuppression", "Range", "RoiAlign", "TopK", "Upsample"})
_FLOAT_PLACES = {"Resize": (1, 2)}  # its region and scales are no data
_SQUARES = frozenset({"Pow", "Mul", "ReduceSumSquare", "ReduceL2"})
_REDUCTIONS = frozenset({"ReduceMean", "ReduceSum", "ReduceSumSquare", "ReduceL2"})
_STATISTICS = frozenset({"Add", "Sub", "Sqrt", "Reciprocal", "Pow", "Max", "Clip", "Expand", "Div", "Mul"})


def to_fp16(net: IndexedGraph, keep: Collection[str] = ()) -> "onnx.ModelProto":
    """Return the network of `net` in float16, the nodes named in `keep` in float32.

    Inputs keep their types. A tensor is cast once for all of its readers of the other type.
    """
    halves = half_nodes(net, keep)
    model = net.copy()
    graph = model.graph
    stored = dict.fromkeys((name for name in net.types if net.is_float(name)), FLOAT)
    for node in graph.node:
        if node.name in halves:
            stored.update((name, HALF) for name in node.output if net.is_float(name))
    writer = _Writer(net, stored)
    for node in graph.node:
        writer.add(node, is_half=node.name in halves or _only_reads(node, net, stored))
    del graph.node[:]
    graph.node.extend(writer.nodes)
    graph.initializer.extend(writer.halved)
    drop_unread(model)
    for value in graph.output:
        if value.name in stored:
            value.type.tensor_type.elem_type = stored[value.name]
    return model


def half_nodes(net: IndexedGraph, keep: Collection[str] = ()) -> set[str]:
    """Return the names of the nodes that compute in float16 when those in `keep` do not."""
    kept = set(keep) | statistics_nodes(net)
    return {node.name for node in net.nodes if node.name not in kept and can_be_half(node, net)}


def can_be_half(node: "onnx.NodeProto", net: IndexedGraph) -> bool:
    """Whether a node makes float32 tensors that may be float16."""
    if node.op_type in _FLOAT_OPS or any(entry.HasField("g") or entry.graphs for entry in node.attribute):
        return False
    return any(net.is_float(name) for name in node.output)


def statistics_nodes(net: IndexedGraph) -> set[str]:
    """Return the nodes that compute a normalisation's variance or norm: from the squares to what divides by them."""
    names: set[str] = set()
    for node in net.nodes:
        if node.op_type not in _REDUCTIONS:
            continue
        square = node if node.op_type in _SQUARES else net.producers.get(node.input[0])
        if square is None or square.op_type not in _SQUARES or not _squares(square):
            continue
        names |= {square.name, node.name}
        follow = net.consumers.get(node.output[0], [])
        while len(follow) == 1 and follow[0].op_type in _STATISTICS:
            names.add(follow[0].name)
            if follow[0].op_type in ("Div", "Mul"):
                break
            follow = net.consumers.get(follow[0].output[0], [])
    return names


def round_weights(values: Array) -> npt.NDArray[np.float16]:
    """Return float32 values as float16; what is too large for it becomes its largest value, infinities stay."""
    finite = np.isfinite(values)
    return np.where(finite, np.clip(values, -LARGEST, LARGEST), values).astype(np.float16)


def _squares(node: "onnx.NodeProto") -> bool:
    return node.op_type != "Mul" or node.input[0] == node.input[1]


def _only_reads(node: "onnx.NodeProto", net: IndexedGraph, stored: dict[str, int]) -> bool:
    """Whether a node makes no floats (comparisons, ArgMax, Shape) and can read the float16 tensors as they are."""
    if node.op_type in _FLOAT_OPS or any(entry.HasField("g") or entry.graphs for entry in node.attribute):
        return False
    makes_floats = any(net.is_float(name) for name in node.output)
    return not makes_floats and any(stored.get(name) == HALF for name in node.input)


class _Writer:
    """Copies nodes in their order, with the casts between the two types."""

    def __init__(self, net: IndexedGraph, stored: dict[str, int]) -> None:
        self._net = net
        self._stored = stored
        self._cast: dict[tuple[str, int], str] = {}
        self.nodes: list[onnx.NodeProto] = []
        self.halved: list[onnx.TensorProto] = []

    def add(self, node: "onnx.NodeProto", *, is_half: bool) -> None:
        """Append a node that computes in float16 or float32."""
        onnx = require_onnx()
        copy = onnx.NodeProto()
        copy.CopyFrom(node)
        exempt = _FLOAT_PLACES.get(node.op_type, ())
        names = {}
        for name in read_names(node):
            if name not in self._stored or node.op_type == "Cast":  # a Cast reads any type
                continue
            floats = [place for place, read in enumerate(node.input) if read == name and place in exempt]
            names[name] = self._as(name, HALF if is_half and not floats else FLOAT)
        rename_inputs(copy, names)
        if is_half:
            _make_half(copy)
        self.nodes.append(copy)

    def _as(self, name: str, kind: int) -> str:
        """Return the name of `name` as float16 or float32; make it where it is not there yet."""
        onnx = require_onnx()
        if self._stored[name] == kind:
            return name
        if (name, kind) not in self._cast:
            self._cast[name, kind] = new = f"{name}__{'fp16' if kind == HALF else 'fp32'}"
            if name in self._net.constants:
                values = round_weights(self._net.array(name))
                self.halved.append(onnx.numpy_helper.from_array(values, new))
            else:
                self.nodes.append(onnx.helper.make_node("Cast", [name], [new], name=f"{new}_cast", to=kind))
        return self._cast[name, kind]


def _make_half(node: "onnx.NodeProto") -> None:
    """Let the attributes that name a type or hold values say float16."""
    onnx = require_onnx()
    for entry in node.attribute:
        if entry.name in ("to", "dtype") and entry.i == FLOAT:
            entry.i = HALF
        if entry.HasField("t") and entry.t.data_type == FLOAT:
            values = round_weights(onnx.numpy_helper.to_array(entry.t))
            entry.t.CopyFrom(onnx.numpy_helper.from_array(values, entry.t.name))
    if node.op_type == "ConstantOfShape" and not node.attribute:
        node.attribute.append(onnx.helper.make_attribute("value", onnx.helper.make_tensor("value", HALF, [1], [0.0])))


def drop_unread(model: "onnx.ModelProto") -> None:
    """Remove the initialisers that nothing reads any more."""
    read = {name for node in model.graph.node for name in read_names(node)}
    read |= {value.name for value in model.graph.output}
    kept = [tensor for tensor in model.graph.initializer if tensor.name in read]
    del model.graph.initializer[:]
    model.graph.initializer.extend(kept)
