"""From a torch network to an ONNX file: bytes in, normalisation folded in, raw heads out.

The graph takes uint8 pictures (N, h, w, 3), RGB, and begins with Cast, Transpose, normalise, in this order: TensorRT
refuses a Transpose on uint8. Its nodes are named after the torch modules that they come from.
"""

import ast
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import onnx_ir
import torch
from torch import nn

from segrt.export.family import Exportable, Size
from segrt.export.graph.checks import LARGEST_FILE, all_nodes, check_graph, too_large
from segrt.export.graph.editing import tensor_spec
from segrt.export.graph.group_norm import group_norm
from segrt.export.graph.large_weights import LARGE, LargeWeights, stubs_as_inputs
from segrt.export.graph.node_scopes import keep_modules
from segrt.export.graph.onnx_writing import write_onnx
from segrt.export.graph.simplifying import root_reason, simplified, with_initialisers
from segrt.export.quiet import quiet
from segrt.runtime.decode.head_spec import HeadSpec
from segrt.runtime.errors import SegrtError
from segrt.runtime.inference.layers.module_names import MODULE_KEY, TORCH_KEY, scopes_to_module
from segrt.runtime.preprocess.input_spec import InputSpec

if TYPE_CHECKING:
    import onnx

IMAGE, VALID_MASK = "image", "valid_mask"
_CLASSES = "pkg.torch.onnx.class_hierarchy"


class ByteInput(nn.Module):
    """A family's core behind the input of every exported graph: uint8 (N, h, w, 3) RGB, and the valid mask if any."""

    gain: torch.Tensor
    shift: torch.Tensor

    def __init__(self, exportable: Exportable) -> None:
        super().__init__()
        self.core = exportable.core
        self.swap = exportable.color == "bgr"
        mean = torch.tensor(exportable.mean, dtype=torch.float64)
        std = torch.tensor(exportable.std, dtype=torch.float64)
        self.register_buffer("gain", (1 / (255 * std)).float().view(1, 3, 1, 1))
        self.register_buffer("shift", (-mean / std).float().view(1, 3, 1, 1))
        self.eval()

    def pixels(self, image: torch.Tensor) -> torch.Tensor:
        """Return the normalised pixels (N, 3, h, w) of `image`, uint8 (N, h, w, 3)."""
        planes = image.to(torch.float32).permute(0, 3, 1, 2)
        if self.swap:
            planes = planes.flip(1)
        pixels: torch.Tensor = planes * self.gain + self.shift
        return pixels

    def forward(self, image: torch.Tensor, other: torch.Tensor | None = None) -> tuple[torch.Tensor, ...]:
        """Return the heads."""
        pixels = self.pixels(image)
        heads = self.core(pixels) if other is None else self.core(pixels, other)
        return tuple(heads) if isinstance(heads, tuple | list) else (heads,)


@dataclass(frozen=True)
class Traced:
    """The ONNX file and what it takes and gives; `network` is the torch side of the very same."""

    path: Path
    network: ByteInput
    inputs: tuple[InputSpec, ...]
    heads: tuple[HeadSpec, ...]


def trace(exportable: Exportable, size: Size, path: Path, name: str, *, dynamic_batch: bool = False) -> Traced:
    """Write the ONNX file of `exportable` for pictures of `size` (h, w) to `path`, simplified and checked.

    `name` names the network in errors. Raises SegrtError when it cannot be exported or its graph is not fit.
    """
    network = ByteInput(exportable)
    weights = sum(tensor.numel() * tensor.element_size() for tensor in network.state_dict().values())
    if weights > LARGEST_FILE:
        raise SegrtError(too_large(name, weights))
    if dynamic_batch and not exportable.dynamic_batch:
        raise SegrtError(f"{name}: cannot be exported for any number of pictures; leave --dynamic-batch out")
    inputs = input_specs(exportable, size, dynamic_batch=dynamic_batch)
    heads = write_graph(
        network, inputs, exportable.heads, path, name, opset=exportable.opset, dynamic_batch=dynamic_batch
    )
    return Traced(path, network, inputs, heads)


def write_graph(
    network: nn.Module,
    inputs: Sequence[InputSpec],
    heads: Sequence[tuple[str, str]],
    path: Path,
    name: str,
    *,
    opset: int,
    dynamic_batch: bool = False,
) -> tuple[HeadSpec, ...]:
    """Write the ONNX file of `network`, which takes `inputs` in their order; return what it gives.

    `heads` are the names and roles of its outputs; `name` names it in errors, which are SegrtErrors.
    """
    large = LargeWeights()
    with quiet():
        model = _export(network, inputs, [head for head, _ in heads], opset, name, dynamic_batch, large)
        origins, named = _name_nodes(model)
        model = simplified(model, large, name)
        keep_modules(named, model)
    _declare(model, name, dynamic_batch)
    stored = list(model.graph.initializer)
    model = check_graph(stubs_as_inputs(model), name, origins)
    with_initialisers(model, stored)
    write_onnx(model, large, path, name)
    return _heads(model, heads, name)


def input_specs(exportable: Exportable, size: Size, *, dynamic_batch: bool = False) -> tuple[InputSpec, ...]:
    """Return the manifest's inputs of an exported graph."""
    batch: Any = "N" if dynamic_batch else 1
    image = InputSpec(IMAGE, "uint8", (batch, *size, 3), resize=exportable.resize)
    if exportable.state is not None:
        state = exportable.state
        return image, InputSpec(state.input, "float32", state.shape, role="state", carries=state.head)
    mask = InputSpec(VALID_MASK, "bool", (batch, *size), role="valid_mask")
    return (image, mask) if exportable.valid_mask else (image,)


def _export(
    network: nn.Module,
    inputs: Sequence[InputSpec],
    heads: list[str],
    opset: int,
    name: str,
    dynamic_batch: bool,
    large: LargeWeights,
) -> "onnx.ModelProto":
    """Return the network as torch exports it, its large weights as stubs for those of `network` itself."""
    batch = 2 if dynamic_batch else 1  # a batch of 1 would be taken for a constant
    example = [_example(spec, batch) for spec in inputs]
    shapes = tuple({0: torch.export.Dim("N", min=1, max=1024)} for _ in inputs) if dynamic_batch else None
    try:
        with _plain_pooling() if dynamic_batch else nullcontext():
            program = torch.onnx.export(
                network,
                tuple(example),
                dynamo=True,
                opset_version=opset,
                input_names=[spec.name for spec in inputs],
                output_names=heads,
                dynamic_shapes=shapes,
                custom_translation_table=_translations(),
                verbose=False,
            )
    except Exception as error:  # torch's exporter has a dozen errors of its own
        raise SegrtError(f"{name}: torch cannot export it ({root_reason(error)})") from error
    assert program is not None
    for label, value in program.model.graph.initializers.items():
        weight = value.const_value
        if weight is not None and weight.nbytes >= LARGE and weight.dtype.name == "FLOAT":
            values = weight.numpy()
            key = large.keep(values)
            value.const_value = onnx_ir.ExternalTensor(
                key, 0, weight.nbytes, weight.dtype, shape=onnx_ir.Shape(values.shape), name=label
            )
    proto: onnx.ModelProto = program.model_proto
    return proto


def _example(spec: InputSpec, batch: int) -> torch.Tensor:
    if spec.role == "valid_mask":
        return torch.ones((batch, *spec.size), dtype=torch.bool)
    if spec.role != "image":
        return torch.zeros([int(dim) for dim in spec.shape], dtype=getattr(torch, spec.dtype))
    return torch.randint(0, 256, (batch, *spec.size, 3), dtype=torch.uint8, generator=torch.Generator())


@contextmanager
def _plain_pooling() -> Iterator[None]:
    """Let pooling to one pixel be a mean inside the block: with an open batch torch writes it out in twenty nodes."""
    functional: Any = nn.functional
    pool = functional.adaptive_avg_pool2d

    def pool_or_mean(planes: torch.Tensor, output_size: Any) -> torch.Tensor:
        if output_size in (1, (1, 1), [1, 1]):
            return planes.mean((-2, -1), keepdim=True)
        pooled: torch.Tensor = pool(planes, output_size)
        return pooled

    functional.adaptive_avg_pool2d = pool_or_mean
    try:
        yield
    finally:
        functional.adaptive_avg_pool2d = pool


def _translations() -> dict[Callable[..., Any], Callable[..., Any]]:
    """Return ONNX for the operators that torch's exporter does not know, or writes too coarsely."""
    from onnx import TensorProto
    from onnxscript import opset18

    op: Any = opset18  # its methods' type variables are closed to what a traced value is

    def is_all_true(condition: Any) -> Any:
        smallest = op.ReduceMin(op.Cast(condition, to=TensorProto.INT32), keepdims=0)
        return op.Cast(smallest, to=TensorProto.BOOL)

    def precise_group_norm(maps: Any, groups: int, *rest: Any, **options: Any) -> Any:
        return group_norm(op, maps, groups, *rest, **options)

    return {
        torch.ops.aten._is_all_true.default: is_all_true,
        torch.ops.aten.group_norm.default: precise_group_norm,
    }


def _name_nodes(model: "onnx.ModelProto") -> tuple[dict[str, str], "onnx.ModelProto"]:
    """Name every node MODULE/OPERATOR; drop notes, which hold paths of this machine.

    Returns node name → "module (class)", and the nodes alone, each with its module noted: simplifying drops the notes.
    """
    import onnx

    origins: dict[str, str] = {}
    taken: dict[str, int] = {}
    named = onnx.ModelProto()
    for node in model.graph.node:
        notes = {entry.key: entry.value for entry in node.metadata_props}
        module = scopes_to_module(notes.get(TORCH_KEY, "")).removeprefix("core").removeprefix(".")
        module = "" if module.startswith("_empty_nn_module") else module
        name = f"{module}/{node.op_type}" if module else node.op_type
        taken[name] = taken.get(name, 0) + 1
        node.name = name if taken[name] == 1 else f"{name}_{taken[name]}"
        origins[node.name] = f"{module} ({_class_name(notes)})" if module else ""
        del node.metadata_props[:]
        node.doc_string = ""
        noted = named.graph.node.add(name=node.name, output=list(node.output), op_type=node.op_type)
        noted.metadata_props.add(key=MODULE_KEY, value=module)
    for tensor in model.graph.initializer:
        tensor.doc_string = ""
    for entries in (model.graph.value_info, model.graph.input, model.graph.output, model.graph.initializer):
        for entry in entries:
            del entry.metadata_props[:]
    del model.metadata_props[:]
    del model.graph.metadata_props[:]
    _shorten_weights(model)
    return origins, named


def _class_name(notes: Mapping[str, str]) -> str:
    """Return the class of the module that a node comes from."""
    try:
        classes = ast.literal_eval(notes.get(_CLASSES, "[]"))
    except (SyntaxError, ValueError):
        return ""
    return str(classes[-2]).rpartition(".")[2] if len(classes) > 1 else ""


def _shorten_weights(model: "onnx.ModelProto") -> None:
    """Name weights as the family's core does, without the wrapper's "core."."""
    short = {tensor.name: tensor.name.removeprefix("core.") for tensor in model.graph.initializer}
    for tensor in model.graph.initializer:
        tensor.name = short[tensor.name]
    for node in all_nodes(model.graph):
        for place, name in enumerate(node.input):
            if name in short:
                node.input[place] = short[name]
    del model.graph.value_info[:]


def _declare(model: "onnx.ModelProto", name: str, dynamic_batch: bool) -> None:
    model.graph.name = name
    if dynamic_batch:
        for value in (*model.graph.input, *model.graph.output):
            value.type.tensor_type.shape.dim[0].dim_param = "N"


def _heads(model: "onnx.ModelProto", heads: Sequence[tuple[str, str]], name: str) -> tuple[HeadSpec, ...]:
    roles = dict(heads)
    specs = [tensor_spec(value) for value in model.graph.output]
    if [spec.name for spec in specs] != list(roles):
        raise SegrtError(f"{name}: must give heads {list(roles)}, but gives {[spec.name for spec in specs]}")
    for spec in specs:
        if not all(isinstance(dim, int) for dim in spec.shape[1:]):
            raise SegrtError(f"{name}: the shape of head {spec} is not fixed; write the network without such lengths")
    return tuple(HeadSpec(spec.name, roles[spec.name], spec.dtype, spec.shape) for spec in specs)  # type: ignore[arg-type]
