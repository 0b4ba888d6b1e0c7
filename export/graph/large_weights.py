"""A network's large weights beside its graph while that is simplified and checked, so that they are not copied with it.

Each tool that rewrites a graph copies it, some several times, with all weights in it. Here a large weight is a *stub*
in the graph, a tensor that says it lies elsewhere, under a key; its values stay where they are, in torch's memory for
most. Only what a tool changes (a convolution with the scale behind it in its weights) is new.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from segrt.export.graph.editing import require_onnx

if TYPE_CHECKING:
    import onnx

Weight = npt.NDArray[np.float32]
LARGE = 1 << 16  # bytes
_FLOAT = 1
# Not the same each time; and those with networks inside.
_NEVER_CONSTANT = frozenset({"RandomNormal", "RandomUniform", "RandomNormalLike", "RandomUniformLike", "Bernoulli"})
_NEVER_CONSTANT |= {"Multinomial", "Dropout", "If", "Loop", "Scan"}


class LargeWeights:
    """The values of stubs, by their keys."""

    def __init__(self) -> None:
        self._values: dict[str, Weight] = {}
        self._count = 0

    def keep(self, values: Weight) -> str:
        """Keep an array; return its key."""
        key = f"weight-{self._count}"
        self._count += 1
        self._values[key] = values
        return key

    def of(self, tensor: "onnx.TensorProto") -> Weight | None:
        """Return the values of a stub, or None for a tensor that holds its own."""
        return self._values.get(_key(tensor))

    def take_out(self, model: "onnx.ModelProto") -> None:
        """Put a stub in place of every large float32 initialiser that holds its values."""
        onnx = require_onnx()
        for tensor in model.graph.initializer:
            if tensor.HasField("raw_data"):  # of a stub that onnxslim has read it keeps the mark
                tensor.ClearField("data_location")
            if tensor.data_type == _FLOAT and len(tensor.raw_data) >= LARGE:
                values = onnx.numpy_helper.to_array(tensor)
                tensor.ClearField("raw_data")
                make_stub(tensor, self.keep(values))

    def forget_others(self, model: "onnx.ModelProto") -> None:
        """Let go the values that no stub of `model` names any more."""
        named = {_key(tensor) for tensor in model.graph.initializer}
        self._values = {key: values for key, values in self._values.items() if key in named}

    def fold(self, model: "onnx.ModelProto") -> None:
        """Compute the nodes that read nothing but constants, at least one of them large; their results are constants.

        One at a time, by ONNX Runtime, as onnxslim does with all at once.
        """
        onnx = require_onnx()
        graph = model.graph
        constants = {tensor.name: tensor for tensor in graph.initializer}
        outputs = {value.name for value in graph.output}
        touched = {name for name, tensor in constants.items() if self.of(tensor) is not None}
        kept, new = [], []
        for node in graph.node:
            names = [name for name in node.input if name]
            if node.op_type == "Constant" and node.attribute and node.attribute[0].HasField("t"):
                constants[node.output[0]] = node.attribute[0].t
            is_constant = bool(names) and all(name in constants for name in names)
            if not is_constant or node.op_type in _NEVER_CONSTANT or touched.isdisjoint(names):
                kept.append(node)
                continue
            if not outputs.isdisjoint(node.output):
                kept.append(node)
                continue
            for name, values in zip(node.output, self._computed(node, constants, model), strict=True):
                tensor = onnx.numpy_helper.from_array(values, name)
                if values.dtype == np.float32 and values.nbytes >= LARGE:
                    tensor.ClearField("raw_data")
                    make_stub(tensor, self.keep(values))
                touched.add(name)
                constants[name] = tensor
                new.append(tensor)
        if len(kept) < len(graph.node):
            nodes = [onnx.NodeProto.FromString(node.SerializeToString()) for node in kept]
            del graph.node[:]
            graph.node.extend(nodes)
            graph.initializer.extend(new)

    def _computed(
        self, node: "onnx.NodeProto", constants: Mapping[str, "onnx.TensorProto"], model: "onnx.ModelProto"
    ) -> list[npt.NDArray[Any]]:
        """Return the outputs of a node whose inputs are all constant."""
        onnx = require_onnx()
        feeds = {name: self._array(constants[name]) for name in dict.fromkeys(node.input) if name}
        inputs = [
            onnx.helper.make_tensor_value_info(name, onnx.helper.np_dtype_to_tensor_dtype(values.dtype), values.shape)
            for name, values in feeds.items()
        ]
        values = [onnx.ValueInfoProto(name=name) for name in node.output]
        graph = onnx.helper.make_graph([node], "folded", inputs, values)
        alone = onnx.helper.make_model(graph, opset_imports=model.opset_import, ir_version=model.ir_version)
        return _executed(alone, feeds)

    def _array(self, tensor: "onnx.TensorProto") -> npt.NDArray[Any]:
        known = self.of(tensor)
        values: npt.NDArray[Any] = require_onnx().numpy_helper.to_array(tensor) if known is None else known
        return values

    @contextmanager
    def readable(self) -> Iterator[None]:
        """Let onnxslim read the values of stubs inside the block: it asks for them where it changes them."""
        from onnxslim.third_party.onnx_graphsurgeon.ir.tensor import LazyValues

        own: Callable[[Any], Any] = LazyValues.load

        def load(lazy: Any) -> Any:
            values = self.of(lazy.tensor) if hasattr(lazy.tensor, "external_data") else None
            return own(lazy) if values is None else values

        LazyValues.load = load
        try:
            yield
        finally:
            LazyValues.load = own


def make_stub(tensor: "onnx.TensorProto", key: str) -> None:
    """Make a tensor without values a stub for those under `key`."""
    tensor.data_location = require_onnx().TensorProto.EXTERNAL
    del tensor.external_data[:]
    tensor.external_data.add(key="location", value=key)


def stubs_as_inputs(model: "onnx.ModelProto") -> "onnx.ModelProto":
    """Return a copy of `model` that takes its stubs as inputs: a valid network for tools that want no other files."""
    onnx = require_onnx()
    copy = _copy(model)
    stubs = [tensor for tensor in model.graph.initializer if _key(tensor)]
    names = {tensor.name for tensor in stubs}
    own = [tensor for tensor in model.graph.initializer if tensor.name not in names]
    del copy.graph.initializer[:]
    copy.graph.initializer.extend(own)
    copy.graph.input.extend(
        onnx.helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims) for tensor in stubs
    )
    return copy


def _copy(model: "onnx.ModelProto") -> "onnx.ModelProto":
    copy: onnx.ModelProto = require_onnx().ModelProto()
    copy.CopyFrom(model)
    return copy


def _key(tensor: "onnx.TensorProto") -> str:
    """Return the key of a stub, "" for a tensor that holds its values."""
    return next((entry.value for entry in tensor.external_data if entry.key == "location"), "")


def _executed(model: "onnx.ModelProto", feeds: Mapping[str, npt.NDArray[Any]]) -> list[npt.NDArray[Any]]:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    results: list[npt.NDArray[Any]] = session.run(None, dict(feeds))
    return results
