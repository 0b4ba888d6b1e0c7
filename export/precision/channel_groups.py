"""Which channels of a network's tensors can be scaled together without a change of its results.

A layer with weights can give any channel at another scale, and one that reads it can undo that in its weights. What
lies between must let a positive scale pass: ReLU, PReLU, pooling, resizing; additions let it pass where both sides have
the same. Channels that are bound to each other in this way are a group; a group is fixed where something else reads or
makes one of its channels.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from segrt.export.graph.editing import require_onnx
from segrt.export.precision.indexed_graph import IndexedGraph, read_names

if TYPE_CHECKING:
    import onnx

Numbers = npt.NDArray[np.int64]
_WEIGHTED = frozenset({"Conv", "ConvTranspose", "BatchNormalization"})
_HOMOGENEOUS = frozenset(
    {
        "Relu",
        "LeakyRelu",
        "MaxPool",
        "AveragePool",
        "GlobalAveragePool",
        "GlobalMaxPool",
        "Resize",
        "Identity",
        "Dropout",
    }
)
_GATES = frozenset({"Sigmoid", "HardSigmoid", "Softmax"})
_CHANNEL = 1


class ChannelGroups:
    """The group of every channel of the float32 tensors (N, C, ...) of `net`.

    numbers: tensor → the group of each channel, int64 (C,). fixed: bool (groups,).
    """

    def __init__(self, net: IndexedGraph) -> None:
        self._net = net
        self._parents: list[int] = []
        self._fixed: list[bool] = []
        self._elements: dict[str, Numbers | None] = {}
        for value in net.model.graph.input:
            self._elements[value.name] = self._new(value.name, fixed=True)
        for node in net.nodes:
            if not self._passes(node):
                self._fix(read_names(node))
                for name in node.output:
                    self._elements[name] = self._new(name, fixed=True)
        self._fix(net.outputs)
        roots = np.array([self._root(element) for element in range(len(self._parents))], np.int64)
        self.fixed = np.array(self._fixed, np.bool_)
        self.numbers = {name: roots[elements] for name, elements in self._elements.items() if elements is not None}

    def _passes(self, node: "onnx.NodeProto") -> bool:
        """Whether a node lets scales pass, its output's channels being bound to its inputs' or free."""
        if (len(node.output) != 1 and node.op_type != "Split") or not node.input:
            return False
        out = self._channels(node.output[0])
        if out is None:
            return False
        if node.op_type in _WEIGHTED:
            return self._is_free(node, out)
        if node.op_type == "Concat":
            parts = [self._elements.get(name) for name in node.input]
            joined = [part for part in parts if part is not None]
            if attribute(node, "axis") != _CHANNEL or len(joined) < len(parts):
                return False
            self._elements[node.output[0]] = np.concatenate(joined)
            return True
        if node.op_type == "Split":
            return self._splits(node)
        bound = self._bound(node, out)
        if bound is None:
            return False
        self._elements[node.output[0]] = bound
        return True

    def _is_free(self, node: "onnx.NodeProto", out: int) -> bool:
        """Whether a weighted node can take and give any scale; then its output's channels are groups of their own."""
        constant = all(name in self._net.constants for name in list(node.input)[1:] if name)
        if not constant or self._elements.get(node.input[0]) is None:
            return False
        self._elements[node.output[0]] = self._new(node.output[0])
        return out == len(self._elements[node.output[0]])  # type: ignore[arg-type]

    def _bound(self, node: "onnx.NodeProto", out: int) -> Numbers | None:
        """Return the channels of the input that a node's output follows; None where it follows none."""
        inputs = [self._elements.get(name) for name in node.input if name]
        wide = [place for place, part in enumerate(inputs) if part is not None and len(part) == out]
        if not wide:
            return None
        first = inputs[wide[0]]
        assert first is not None
        if node.op_type in ("Add", "Sub", "Sum"):
            if len(wide) < len(inputs):
                return None
            for part in inputs[1:]:
                self._unite(first, part)  # type: ignore[arg-type]
            return first
        if node.op_type in ("Mul", "Div"):
            return self._scaled(node, inputs, wide)
        if wide[0] != 0:
            return None
        if node.op_type in _HOMOGENEOUS or self._is_homogeneous(node):
            return first
        return None

    def _scaled(self, node: "onnx.NodeProto", inputs: Sequence[Numbers | None], wide: Sequence[int]) -> Numbers | None:
        """Return the channels that a product follows: those of the factor that is no constant and no gate."""
        for place in wide:
            other = 1 - place
            if len(inputs) != 2 or (node.op_type == "Div" and place != 0):
                continue
            maker = self._net.producers.get(node.input[other])
            if node.input[other] in self._net.constants or (maker is not None and maker.op_type in _GATES):
                return inputs[place]
        return None

    def _is_homogeneous(self, node: "onnx.NodeProto") -> bool:
        net, name = self._net, node.input[0]
        rank = len(net.shapes[name])
        if node.op_type == "PRelu":
            return node.input[1] in net.constants
        if node.op_type == "Gather":
            same_rank = len(net.shapes.get(node.output[0], ())) == rank
            return same_rank and int(attribute(node, "axis", 0)) % rank > _CHANNEL
        if node.op_type == "ReduceMean":
            axes = net.array(node.input[1]).ravel() if len(node.input) > 1 and node.input[1] in net.constants else ()
            return (
                len(axes) > 0 and attribute(node, "keepdims", 1) == 1 and all(axis % rank > _CHANNEL for axis in axes)
            )
        return False

    def _splits(self, node: "onnx.NodeProto") -> bool:
        elements = self._elements.get(node.input[0])
        widths = [self._channels(name) for name in node.output]
        if attribute(node, "axis", 0) != _CHANNEL or elements is None or None in widths:
            return False
        ends = np.cumsum([width or 0 for width in widths])
        if ends[-1] != len(elements):
            return False
        for name, part in zip(node.output, np.split(elements, ends[:-1]), strict=True):
            self._elements[name] = part
        return True

    def _channels(self, name: str) -> int | None:
        shape = self._net.shapes.get(name, ())
        if len(shape) < 2 or not self._net.is_float(name):
            return None
        return shape[_CHANNEL] or None

    def _new(self, name: str, *, fixed: bool = False) -> Numbers | None:
        count = self._channels(name)
        if count is None:
            return None
        start = len(self._parents)
        self._parents += range(start, start + count)
        self._fixed += [fixed] * count
        return np.arange(start, start + count)

    def _root(self, element: int) -> int:
        while self._parents[element] != element:
            self._parents[element] = self._parents[self._parents[element]]
            element = self._parents[element]
        return element

    def _unite(self, first: Numbers, second: Numbers) -> None:
        for one, other in zip(first.tolist(), second.tolist(), strict=True):
            root, joined = self._root(one), self._root(other)
            if root != joined:
                self._parents[joined] = root
                self._fixed[root] = self._fixed[root] or self._fixed[joined]

    def _fix(self, names: Sequence[str]) -> None:
        for name in names:
            elements = self._elements.get(name)
            for element in () if elements is None else elements.tolist():
                self._fixed[self._root(element)] = True


def attribute(node: "onnx.NodeProto", name: str, default: Any = None) -> Any:
    """Return an attribute of a node, or `default` where it has none of this name."""
    entry = next((entry for entry in node.attribute if entry.name == name), None)
    return default if entry is None else require_onnx().helper.get_attribute_value(entry)
