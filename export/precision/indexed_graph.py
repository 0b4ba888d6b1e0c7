"""An ONNX graph prepared for conversion: named nodes, constants as initialisers, indexed types, shapes and readers."""

from collections.abc import Callable, Iterable
from copy import copy
from typing import TYPE_CHECKING, Any

import numpy as np

from segrt.export.graph.editing import require_onnx
from segrt.runtime.errors import SegrtError, one_line
from segrt.runtime.inference.layers.module_names import MODULE_KEY, TORCH_KEY, scopes_to_module, weight_to_module
from segrt.runtime.inference.tensors import Array

if TYPE_CHECKING:
    import onnx

QUANTISED_OPS = frozenset(
    {
        "QuantizeLinear",
        "DequantizeLinear",
        "DynamicQuantizeLinear",
        "QLinearConv",
        "QLinearMatMul",
        "ConvInteger",
        "MatMulInteger",
    }
)
_MODULES: dict[str, Callable[[str], str]] = {
    MODULE_KEY: str,
    TORCH_KEY: scopes_to_module,
    "namespace": lambda text: text.rpartition("/")[0],
}


class IndexedGraph:
    """An ONNX network indexed by tensor name; `changed` must be called after its nodes were replaced.

    producers: tensor → the node that makes it. consumers: tensor → the nodes that read it, subgraphs included.
    constants: initialiser by name. types, shapes: of every tensor whose type is known; a free length is None.
    """

    def __init__(self, model: "onnx.ModelProto") -> None:
        self.model = model
        self.types: dict[str, int] = {}
        self.shapes: dict[str, tuple[int | None, ...]] = {}
        self.changed()
        self._infer()

    @property
    def nodes(self) -> list["onnx.NodeProto"]:
        """The nodes, each after those that it reads from."""
        return list(self.model.graph.node)

    @property
    def opset(self) -> int:
        """The version of the standard operators."""
        return max((entry.version for entry in self.model.opset_import if entry.domain in ("", "ai.onnx")), default=0)

    @property
    def outputs(self) -> list[str]:
        """The names of the outputs."""
        return [value.name for value in self.model.graph.output]

    def changed(self) -> None:
        """Index the nodes and initialisers anew."""
        graph = self.model.graph
        self.constants = {tensor.name: tensor for tensor in graph.initializer}
        self.producers = {name: node for node in graph.node for name in node.output if name}
        self.consumers: dict[str, list[onnx.NodeProto]] = {}
        for node in graph.node:
            for name in dict.fromkeys(read_names(node)):
                self.consumers.setdefault(name, []).append(node)

    def copy(self) -> "onnx.ModelProto":
        """Return a copy of the network to change."""
        model: onnx.ModelProto = require_onnx().ModelProto()
        model.CopyFrom(self.model)
        return model

    def with_model(self, model: "onnx.ModelProto") -> "IndexedGraph":
        """Return an index of `model`, this network with other constants; types and shapes are as they are here."""
        other = copy(self)
        other.model = model
        other.types, other.shapes = dict(self.types), dict(self.shapes)
        for tensor in model.graph.initializer:
            other.types[tensor.name] = tensor.data_type
            other.shapes[tensor.name] = tuple(tensor.dims)
        other.changed()
        return other

    def array(self, name: str) -> Array:
        """Return the values of an initialiser."""
        values: Array = require_onnx().numpy_helper.to_array(self.constants[name])
        return values

    def is_float(self, name: str) -> bool:
        """Whether a tensor is known to be float32."""
        return self.types.get(name) == 1

    def bytes_of(self, name: str) -> int:
        """Return the bytes of a float32 tensor for one picture; free lengths count as 1."""
        return 4 * int(np.prod([length or 1 for length in self.shapes.get(name, ())], dtype=np.int64))

    def _infer(self) -> None:
        """Read types and shapes off the inferred graph; ONNX Runtime knows operators beyond the standard."""
        onnx = require_onnx()
        try:
            graph = onnx.shape_inference.infer_shapes(self.model, data_prop=True).graph
        except Exception as error:  # protobuf and the checker have errors of their own
            raise SegrtError(
                f"the network's shapes cannot be inferred ({one_line(error, 200)}); export it again"
            ) from None
        for tensor in self.model.graph.initializer:
            self.types[tensor.name] = tensor.data_type
            self.shapes[tensor.name] = tuple(tensor.dims)
        for value in (*graph.input, *graph.value_info, *graph.output):
            kind = value.type.tensor_type
            if kind.elem_type:
                self.types[value.name] = kind.elem_type
            if kind.HasField("shape"):
                self.shapes[value.name] = tuple(
                    dim.dim_value if dim.HasField("dim_value") else None for dim in kind.shape.dim
                )
        unknown = [name for node in self.model.graph.node for name in node.output if name and name not in self.types]
        if unknown:
            self._ask_onnxruntime(unknown)

    def _ask_onnxruntime(self, names: Iterable[str]) -> None:
        onnx = require_onnx()
        probe = self.copy()
        probe.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
        session = open_session(probe, optimise=False)
        for value in session.get_outputs():
            kind = value.type.removeprefix("tensor(").removesuffix(")")
            name = {"float": "float32", "double": "float64"}.get(kind, kind)
            try:
                self.types.setdefault(value.name, onnx.helper.np_dtype_to_tensor_dtype(np.dtype(name)))
            except (TypeError, KeyError, ValueError):
                continue
            self.shapes.setdefault(
                value.name, tuple(length if isinstance(length, int) else None for length in value.shape)
            )


def prepare_graph(model: "onnx.ModelProto", where: str) -> IndexedGraph:
    """Return a copy of the float32 network `model` to work on; `where` names it in errors.

    Constant nodes become initialisers, every node gets a name of its own. Raises SegrtError for a network that is
    quantised or half already.
    """
    onnx = require_onnx()
    refuse_unless_float32(model, where)
    prepared = onnx.ModelProto()
    prepared.CopyFrom(model)
    graph = prepared.graph
    nodes = []
    for node in graph.node:
        value = next((entry.t for entry in node.attribute if entry.name == "value" and entry.HasField("t")), None)
        if node.op_type == "Constant" and value is not None:
            value.name = node.output[0]
            graph.initializer.append(value)
        else:
            nodes.append(node)
    taken: set[str] = set()
    for number, node in enumerate(nodes):
        name = node.name or f"{node.op_type}_{number}"
        while name in taken:
            name += f"_{number}"
        node.name = name
        taken.add(name)
    kept = [onnx.NodeProto.FromString(node.SerializeToString()) for node in nodes]
    del graph.node[:]
    graph.node.extend(kept)
    del graph.value_info[:]
    return IndexedGraph(prepared)


def refuse_unless_float32(model: "onnx.ModelProto", where: str) -> None:
    """Raise SegrtError unless `model` is a float32 network."""
    onnx = require_onnx()
    for node in model.graph.node:
        if node.op_type in QUANTISED_OPS:
            raise SegrtError(
                f"{where}: is quantised already ({node.op_type} {node.name!r}); give the float32 network it was made "
                "from, or `segrt adopt --dequantize` it"
            )
    half = [tensor.name for tensor in model.graph.initializer if tensor.data_type == onnx.TensorProto.FLOAT16]
    if half:
        raise SegrtError(
            f"{where}: is a float16 network already (weight {half[0]!r}); give the float32 network it was made from"
        )


def module_of(node: "onnx.NodeProto", net: IndexedGraph) -> str:
    """Return the framework's module that a node comes from, by its metadata or its weights; "" where nothing tells."""
    for entry in node.metadata_props:
        if entry.key in _MODULES and _MODULES[entry.key](entry.value):
            return _MODULES[entry.key](entry.value)
    owners = (weight_to_module(name) for name in node.input if name in net.constants)
    return next(filter(None, owners), "")


def read_names(node: "onnx.NodeProto") -> list[str]:
    """Return the tensors that a node reads, those that its subgraphs take from around them included."""
    names = [name for name in node.input if name]
    for attribute in node.attribute:
        graphs = [attribute.g] if attribute.HasField("g") else list(attribute.graphs)
        for graph in graphs:
            made = {value.name for value in graph.input} | {tensor.name for tensor in graph.initializer}
            made |= {name for inner in graph.node for name in inner.output}
            read = [name for inner in graph.node for name in read_names(inner)]
            names += [name for name in (*read, *(value.name for value in graph.output)) if name not in made]
    return names


def rename_inputs(node: "onnx.NodeProto", names: dict[str, str]) -> None:
    """Let a node, and the subgraphs in it, read other tensors."""
    for place, name in enumerate(node.input):
        node.input[place] = names.get(name, name)
    for attribute in node.attribute:
        for graph in [attribute.g] if attribute.HasField("g") else attribute.graphs:
            for inner in graph.node:
                rename_inputs(inner, names)
            for value in graph.output:
                value.name = names.get(value.name, value.name)


def open_session(
    model: "onnx.ModelProto", *, threads: int = 0, optimise: bool = True, arena: bool = False, layouts: bool = True
) -> Any:
    """Return an ONNX Runtime session of `model` on the CPU; raise SegrtError with its reason when it takes it not.

    With `arena` it keeps its memory between runs, as it does where it is used: faster, and beside others too large.
    Without `layouts` it brings no map to another layout for a convolution, which is a copy for each where another
    operator follows it: less memory, and less time as well.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 4
    # Most run a few times, beside other sessions.
    options.enable_cpu_mem_arena = options.enable_mem_pattern = options.enable_mem_reuse = arena
    if not layouts:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    if not optimise:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    try:
        session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime's errors share no base class of their own
        raise SegrtError(f"ONNX Runtime cannot load the network ({one_line(error, 200)})") from error
    # It keeps the bytes only to open the session once more on other providers, which is not asked of it.
    session._model_bytes = None
    return session
