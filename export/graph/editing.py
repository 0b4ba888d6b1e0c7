"""Reads and edits ONNX files of any origin: external weights read in, input sizes fixed, nodes appended to outputs."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from segrt.runtime.errors import BundleError, SegrtError, one_line
from segrt.runtime.inference.tensors import TensorSpec

if TYPE_CHECKING:
    import onnx

_QUANTISED = ("QuantizeLinear", "DequantizeLinear", "QLinearConv", "QLinearMatMul", "ConvInteger", "MatMulInteger")


def require_onnx() -> Any:
    """Return the onnx package; raise SegrtError that says how to install it."""
    try:
        import onnx
    except ImportError:
        raise SegrtError("this command needs the onnx package; `pip install 'segrt[adopt]'`") from None
    return onnx


@dataclass
class Graph:
    """An ONNX network; `is_changed` tells whether it still is the file that was read."""

    model: "onnx.ModelProto"
    path: Path
    is_changed: bool

    @property
    def inputs(self) -> tuple[TensorSpec, ...]:
        """The inputs that are fed, not those with a default value."""
        defaults = {tensor.name for tensor in self.model.graph.initializer}
        return tuple(tensor_spec(value) for value in self.model.graph.input if value.name not in defaults)

    @property
    def outputs(self) -> tuple[TensorSpec, ...]:
        """The declared outputs."""
        return tuple(tensor_spec(value) for value in self.model.graph.output)

    @property
    def precision(self) -> str:
        """`int8`, `fp16` or `fp32`, by the operators and the bytes of the weights."""
        onnx = require_onnx()
        if any(node.op_type in _QUANTISED for node in self.model.graph.node):
            return "int8"
        sizes = {onnx.TensorProto.FLOAT: 0, onnx.TensorProto.FLOAT16: 0}
        for tensor in self.model.graph.initializer:
            if tensor.data_type in sizes:
                sizes[tensor.data_type] += len(tensor.raw_data) or 4 * len(tensor.float_data) or len(tensor.int32_data)
        return "fp16" if sizes[onnx.TensorProto.FLOAT16] > sizes[onnx.TensorProto.FLOAT] else "fp32"

    def argmax_classes(self, name: str) -> int | None:
        """Return how many classes the ArgMax behind output `name` chooses from, or None where none is in sight."""
        onnx = require_onnx()
        makers = {out: node for node in self.model.graph.node for out in node.output}
        node = makers.get(name)
        while node is not None and node.op_type in ("Cast", "Identity", "Squeeze", "Unsqueeze", "Reshape", "Transpose"):
            node = makers.get(node.input[0])
        if node is None or node.op_type != "ArgMax":
            return None
        inferred = onnx.shape_inference.infer_shapes(self.model).graph
        values = {value.name: value for value in (*inferred.value_info, *inferred.input)}
        if node.input[0] not in values:
            return None
        shape = tensor_spec(values[node.input[0]]).shape
        axis = next((int(attribute.i) for attribute in node.attribute if attribute.name == "axis"), 0)
        length = shape[axis] if -len(shape) <= axis < len(shape) else None
        return length if isinstance(length, int) else None

    def fix_input(self, name: str, shape: Sequence[int | str]) -> None:
        """Declare the shape of input `name`; a string stays a free length. The outputs' declared shapes are dropped."""
        value = next(value for value in self.model.graph.input if value.name == name)
        if tensor_spec(value).shape == tuple(shape):
            return
        tensor = value.type.tensor_type
        del tensor.shape.dim[:]
        for length in shape:
            dim = tensor.shape.dim.add()
            if isinstance(length, str):
                dim.dim_param = length
            else:
                dim.dim_value = length
        del self.model.graph.value_info[:]
        for output in self.model.graph.output:
            for dim in output.type.tensor_type.shape.dim:
                dim.Clear()
        self.is_changed = True

    def add_input_batch_axis(self, name: str) -> str:
        """Put an input with a batch axis in place of input `name`, which a Squeeze makes of it; return its name."""
        onnx = require_onnx()
        graph, new = self.model.graph, f"{name}_batch"
        value = next(value for value in graph.input if value.name == name)
        value.name = new
        lengths = [onnx.TensorShapeProto.Dimension(dim_value=1), *value.type.tensor_type.shape.dim]
        value.type.tensor_type.shape.CopyFrom(onnx.TensorShapeProto(dim=lengths))
        if self.opset < 13:
            node = onnx.helper.make_node("Squeeze", [new], [name], name=f"segrt_{new}", axes=[0])
        else:
            graph.initializer.append(onnx.helper.make_tensor(f"{new}_axis", onnx.TensorProto.INT64, [1], [0]))
            node = onnx.helper.make_node("Squeeze", [new, f"{new}_axis"], [name], name=f"segrt_{new}")
        graph.node.insert(0, node)
        self.is_changed = True
        return new

    def transpose_output(self, name: str, order: Sequence[int]) -> str:
        """Append a Transpose of output `name`, which is replaced by the new output whose name is returned."""
        return self._append(name, "Transpose", f"{name}_transposed", {"perm": list(order)}, [])

    def cast_output(self, name: str, dtype: str) -> str:
        """Append a Cast of output `name` to `dtype`; return the new output's name."""
        kind = require_onnx().helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
        new = self._append(name, "Cast", f"{name}_{dtype}", {"to": kind}, [])
        next(value for value in self.model.graph.output if value.name == new).type.tensor_type.elem_type = kind
        return new

    def activate_output(self, name: str, kind: str = "Sigmoid") -> str:
        """Append a Sigmoid (or Exp) of output `name`; return the new output's name."""
        return self._append(name, kind, f"{name}_probabilities", {}, [])

    def drop_last_column(self, name: str) -> str:
        """Append a Slice that leaves out the last column of output `name`; return the new output's name."""
        onnx = require_onnx()
        bounds = {"starts": [0], "ends": [-1], "axes": [-1]}
        tensors = [
            onnx.numpy_helper.from_array(np.array(at, np.int64), f"{name}_{part}") for part, at in bounds.items()
        ]
        self.model.graph.initializer.extend(tensors)
        return self._append(name, "Slice", f"{name}_of_classes", {}, [tensor.name for tensor in tensors])

    def declare_output(self, name: str, shape: Sequence[int | str]) -> None:
        """Declare the shape of output `name`, where the file leaves even its number of axes open."""
        value = next(value for value in self.model.graph.output if value.name == name)
        if len(value.type.tensor_type.shape.dim) == len(shape):
            return
        value.type.tensor_type.ClearField("shape")
        for length in shape:
            dim = value.type.tensor_type.shape.dim.add()
            if isinstance(length, str):
                dim.dim_param = length
            else:
                dim.dim_value = length
        self.is_changed = True

    def add_batch_axis(self, name: str) -> str:
        """Append an Unsqueeze of output `name` in front; return the new output's name."""
        onnx = require_onnx()
        if self.opset < 13:
            return self._append(name, "Unsqueeze", f"{name}_batched", {"axes": [0]}, [])
        axes = onnx.helper.make_tensor(f"{name}_batch_axis", onnx.TensorProto.INT64, [1], [0])
        self.model.graph.initializer.append(axes)
        return self._append(name, "Unsqueeze", f"{name}_batched", {}, [axes.name])

    @property
    def opset(self) -> int:
        """The version of ONNX's own operators that the network is written in; 0 where it says none."""
        return max((entry.version for entry in self.model.opset_import if entry.domain in ("", "ai.onnx")), default=0)

    def add_node(self, kind: str, inputs: Sequence["str | npt.NDArray[Any]"], name: str, **attributes: Any) -> str:
        """Append a node whose only output is the tensor `name`, which is returned; arrays become constants."""
        onnx = require_onnx()
        names = []
        for index, value in enumerate(inputs):
            if not isinstance(value, str):
                constant = f"{name}_{index}"
                self.model.graph.initializer.append(onnx.numpy_helper.from_array(value, constant))
                value = constant
            names.append(value)
        self.model.graph.node.append(onnx.helper.make_node(kind, names, [name], name=f"segrt_{name}", **attributes))
        self.is_changed = True
        return name

    def replace_outputs(self, gone: Collection[str], new: Mapping[str, str]) -> None:
        """Declare `new` (tensor → dtype, of any shape) as outputs instead of `gone`."""
        onnx = require_onnx()
        outputs = self.model.graph.output
        kept = [value for value in outputs if value.name not in gone]
        for name, dtype in new.items():
            value = onnx.ValueInfoProto(name=name)
            value.type.tensor_type.elem_type = onnx.helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
            kept.append(value)
        del outputs[:]
        outputs.extend(kept)
        self.is_changed = True

    def bytes(self) -> bytes:
        """Return the ONNX file: the one that was read where nothing was changed, else the new one."""
        return self.model.SerializeToString() if self.is_changed else self.path.read_bytes()

    def _append(self, name: str, kind: str, new: str, attributes: dict[str, Any], extra: list[str]) -> str:
        onnx = require_onnx()
        graph = self.model.graph
        graph.node.append(onnx.helper.make_node(kind, [name, *extra], [new], name=f"segrt_{new}", **attributes))
        output = next(value for value in graph.output if value.name == name)
        output.name = new
        output.type.tensor_type.ClearField("shape")
        self.is_changed = True
        return new


def read_graph(path: Path) -> Graph:
    """Read the ONNX file at `path`, with the weights that it keeps beside it; raise BundleError if it cannot."""
    onnx = require_onnx()
    if path.exists() and not path.is_file():
        raise BundleError(f"{path}: is no file; give the ONNX file of a network")
    try:
        model = onnx.load(str(path), load_external_data=False)
    except FileNotFoundError:
        raise BundleError(f"{path}: there is no such file; give the ONNX file of a network") from None
    except OSError as error:
        raise BundleError(f"{path}: cannot be read ({error.strerror}); give the ONNX file of a network") from None
    except Exception as error:  # protobuf raises an error of its own
        raise BundleError(f"{path}: is no valid ONNX file ({one_line(error, 200)}); export the network again") from None
    external = any(onnx.external_data_helper.uses_external_data(tensor) for tensor in model.graph.initializer)
    if external:
        try:
            onnx.external_data_helper.load_external_data_for_model(model, str(path.parent))
        except Exception as error:  # the checker, which is asked here too, has an error of its own
            raise BundleError(
                f"{path}: its weights beside it cannot be read ({one_line(error, 200)}); copy them too"
            ) from None
        for tensor in model.graph.initializer:
            tensor.ClearField("external_data")
            tensor.data_location = onnx.TensorProto.DEFAULT
    shapeless = [value for value in model.graph.output if not value.type.tensor_type.HasField("shape")]
    shapeless = [value for value in shapeless if value.type.HasField("tensor_type")]
    for value in shapeless:  # which every runtime takes, but not the checker
        value.type.tensor_type.shape.SetInParent()
    try:
        onnx.checker.check_model(model)
    except (onnx.checker.ValidationError, ValueError) as error:  # ValueError: texts that are no UTF-8
        raise BundleError(f"{path}: is no valid ONNX file ({one_line(error, 200)}); export the network again") from None
    for value in shapeless:
        value.type.tensor_type.ClearField("shape")
    return Graph(model, path, is_changed=external)


def tensor_spec(value: "onnx.ValueInfoProto") -> TensorSpec:
    """Return name, dtype and shape of a declared tensor; lengths that are not known are strings."""
    onnx = require_onnx()
    tensor = value.type.tensor_type
    try:
        dtype = str(onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type))
    except KeyError:
        dtype = f"type {tensor.elem_type}"
    shape = tuple(
        int(dim.dim_value) if dim.HasField("dim_value") and dim.dim_value > 0 else dim.dim_param or "?"
        for dim in tensor.shape.dim
    )
    return TensorSpec(value.name, dtype, shape)
