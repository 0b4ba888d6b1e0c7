"""Makes a float network of a quantised one (Q/DQ), for runtimes that cannot take it as it stands.

TensorRT takes symmetric int8 alone: a zero point other than 0, or a quantised tensor straight on a uint8 input, stops
its parser. Here weights are multiplied out, and activations are no longer rounded to 256 steps. What the steps' ends
did stays: where the zero point is the lowest step, values below 0 become 0 (a ReLU that the converter folded away), and
so at the other end.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from segrt.export.graph.editing import Graph, require_onnx
from segrt.runtime.errors import SegrtError
from segrt.runtime.inference.tensors import Array

if TYPE_CHECKING:
    import onnx

_QUANTISE, _DEQUANTISE = "QuantizeLinear", "DequantizeLinear"
# Operators that only move values about: what holds for the codes holds for the values.
_MOVING = {"Reshape", "Transpose", "Concat", "Squeeze", "Unsqueeze", "Slice", "Split", "Flatten", "Identity", "MaxPool",
           "Gather", "Expand", "Tile", "DepthToSpace", "SpaceToDepth"}  # fmt: skip
_BOUNDING = ("Relu", "Clip", "Sigmoid", "HardSigmoid", "Softmax")


def dequantize(graph: Graph) -> Graph:
    """Return a float version of `graph` with the same inputs and outputs; a uint8 input begins with a Cast.

    Raises SegrtError when it is not quantised, or not by QuantizeLinear and DequantizeLinear.
    """
    onnx = require_onnx()
    model = onnx.ModelProto()
    model.CopyFrom(graph.model)
    kinds = {node.op_type for node in model.graph.node}
    others = sorted(kind for kind in kinds if kind.startswith("QLinear") or kind.endswith("Integer"))
    if others:
        raise SegrtError(
            f"--dequantize: {graph.path} computes on integers ({', '.join(others)}); write it with quantise and "
            "dequantise nodes (onnxruntime: QuantFormat.QDQ)"
        )
    if _DEQUANTISE not in kinds:
        raise SegrtError(f"--dequantize: {graph.path} is not quantised; leave the option out")
    _Dequantizer(model, str(graph.path)).run()
    onnx.checker.check_model(model)
    return Graph(model, graph.path, is_changed=True)


def is_asymmetric(graph: Graph) -> bool:
    """Whether the network is quantised otherwise than to int8 around 0, which is all that TensorRT takes."""
    onnx = require_onnx()
    constants = {tensor.name: tensor for tensor in graph.model.graph.initializer}
    zeros = {
        node.input[2]
        for node in graph.model.graph.node
        if node.op_type in (_QUANTISE, _DEQUANTISE) and len(node.input) > 2 and node.input[2] in constants
    }
    arrays = [onnx.numpy_helper.to_array(constants[name]) for name in zeros]
    return any(array.dtype == np.uint8 or (array != 0).any() for array in arrays)


@dataclass
class _Dequantizer:
    """Goes through the nodes in their order and notes of every tensor what it now holds.

    `value`: the real number that its codes stood for; `code`: the codes themselves, as floats (a picture's bytes).
    """

    model: "onnx.ModelProto"
    where: str
    constants: dict[str, Array] = field(default_factory=dict)
    holds: dict[str, Literal["value", "code"]] = field(default_factory=dict)
    makers: dict[str, "onnx.NodeProto"] = field(default_factory=dict)
    renamed: dict[str, str] = field(default_factory=dict)
    nodes: list["onnx.NodeProto"] = field(default_factory=list)
    added: list[Array] = field(default_factory=list)

    def run(self) -> None:
        """Replace the graph's nodes, constants and declared types by those of the float network."""
        onnx = require_onnx()
        graph = self.model.graph
        self.constants = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in graph.initializer}
        outputs = [value.name for value in graph.output]
        self._cast_inputs()
        for node in graph.node:
            node.input[:] = [self.renamed.get(name, name) for name in node.input]
            self._take(node)
        for name in outputs:
            if name in self.renamed:
                self._add("Identity", [self.renamed[name]], name)
        del graph.node[:]
        graph.node.extend(self._live(outputs))
        read = {name for node in graph.node for name in node.input}
        kept = [onnx.numpy_helper.from_array(array, name) for name, array in self.constants.items() if name in read]
        del graph.initializer[:]
        graph.initializer.extend(kept)
        del graph.value_info[:]
        del graph.quantization_annotation[:]
        for value in graph.output:
            if self.holds.get(self.renamed.get(value.name, value.name)) is not None:
                value.type.tensor_type.elem_type = onnx.TensorProto.FLOAT

    def _cast_inputs(self) -> None:
        onnx = require_onnx()
        for value in self.model.graph.input:
            if value.name not in self.constants and value.type.tensor_type.elem_type in (
                onnx.TensorProto.UINT8,
                onnx.TensorProto.INT8,
            ):
                name = f"{value.name}_float"
                self._add("Cast", [value.name], name, to=onnx.TensorProto.FLOAT)
                self.renamed[value.name] = name
                self.holds[name] = "code"

    def _take(self, node: "onnx.NodeProto") -> None:
        source, target = node.input[0] if node.input else "", node.output[0]
        if node.op_type == "Constant" and node.attribute[0].name == "value":
            self.constants[target] = require_onnx().numpy_helper.to_array(node.attribute[0].t)
            return
        if node.op_type == _DEQUANTISE and source in self.constants:
            scale, zero = self._step(node, np.ndim(self.constants[source]))
            self.constants[target] = ((self.constants[source].astype(np.float32) - zero) * scale).astype(np.float32)
        elif node.op_type == _DEQUANTISE and self.holds.get(source) == "code":
            scale, zero = self._step(node, 4)
            centred = self._constant_node("Sub", source, zero.astype(np.float32), f"{target}_centred")
            self._constant_node("Mul", centred, scale, target)
        elif node.op_type == _DEQUANTISE:
            self.renamed[target] = source
        elif node.op_type == _QUANTISE:
            self._quantise(node, source, target)
        else:
            self._other(node)

    def _quantise(self, node: "onnx.NodeProto", source: str, target: str) -> None:
        """Leave the rounding out; keep the end of the range that lies at 0, unless it is kept anyway."""
        _, zero = self._step(node, 4)
        lowest, highest = self._range(node)
        maker = self.makers.get(source)
        bounds: tuple[float | None, float | None] = (None, None)
        if zero.size == 1 and (maker is None or maker.op_type not in _BOUNDING):
            at = float(zero.reshape(-1)[0])
            bounds = (0.0 if at == lowest else None, 0.0 if at == highest else None)
        if bounds == (None, None):
            self.renamed[target] = source
        elif bounds[0] is not None:
            self._add("Relu", [source], target)
        else:
            top = self._constant(np.array(bounds[1], np.float32), f"{target}_top")
            self._add("Clip", [source, "", top], target)
        self.holds[self.renamed.get(target, target)] = "value"

    def _other(self, node: "onnx.NodeProto") -> None:
        held = {self.holds[name] for name in node.input if name in self.holds}
        quantised = [name for name in node.input if self.constants.get(name, np.zeros(0, np.float32)).dtype.kind in "u"]
        if held and node.op_type in _MOVING:
            if "value" in held and node.op_type == "Concat" and quantised:
                raise SegrtError(
                    f"{self.where}: node {node.name!r} joins a quantised constant; it can't be dequantised"
                )
            for name in node.output:
                self.holds[name] = "code" if held == {"code"} else "value"
        elif "code" in held:
            raise SegrtError(
                f"{self.where}: node {node.name or node.output[0]!r} ({node.op_type}) computes on the codes of a "
                "quantised tensor; it can't be dequantised"
            )
        self.nodes.append(node)
        for name in node.output:
            self.makers[name] = node

    def _step(self, node: "onnx.NodeProto", rank: int) -> tuple[Array, Array]:
        """Return scale and zero point of a node, in shapes that broadcast along its axis."""
        scale = self.constants.get(node.input[1])
        zero = self.constants.get(node.input[2], np.zeros(())) if len(node.input) > 2 else np.zeros(())
        if scale is None or (len(node.input) > 2 and node.input[2] and node.input[2] not in self.constants):
            raise SegrtError(f"{self.where}: node {node.name or node.output[0]!r} has a scale that is computed")
        if scale.ndim == 0 or scale.size == 1:
            return scale.reshape(()).astype(np.float32), zero.reshape(()).astype(np.float32)
        axis = next((int(entry.i) for entry in node.attribute if entry.name == "axis"), 1) % max(rank, 1)
        shape = [-1 if index == axis else 1 for index in range(rank)]
        spread = np.broadcast_to(zero.astype(np.float32).reshape(-1), scale.shape)
        return scale.astype(np.float32).reshape(shape), spread.reshape(shape)

    def _range(self, node: "onnx.NodeProto") -> tuple[float, float]:
        zero = self.constants.get(node.input[2]) if len(node.input) > 2 else None
        limits = np.iinfo(np.uint8 if zero is None or zero.dtype.kind not in "iu" else zero.dtype)
        return float(limits.min), float(limits.max)

    def _constant(self, array: Array, name: str) -> str:
        self.constants[name] = array
        return name

    def _constant_node(self, kind: str, source: str, array: Array, target: str) -> str:
        self._add(kind, [source, self._constant(np.asarray(array, np.float32), f"{target}_{kind.lower()}")], target)
        return target

    def _add(self, kind: str, inputs: list[str], target: str, **attributes: Any) -> None:
        node = require_onnx().helper.make_node(kind, inputs, [target], name=f"float_{target}", **attributes)
        self.nodes.append(node)
        self.makers[target] = node

    def _live(self, outputs: list[str]) -> Iterator["onnx.NodeProto"]:
        """Yield, in order, the nodes whose results are still used."""
        wanted = set(outputs)
        kept = []
        for node in reversed(self.nodes):
            if wanted.intersection(node.output):
                wanted.update(node.input)
                kept.append(node)
        yield from reversed(kept)
