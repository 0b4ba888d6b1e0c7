"""Checks an exported graph: valid ONNX, shapes known, no float64, no operator that TensorRT refuses."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from segrt.export.graph.editing import require_onnx
from segrt.runtime.errors import SegrtError, one_line

if TYPE_CHECKING:
    import onnx

TOPK_LIMIT = 3840
# Operators for which TensorRT has no kernel with fixed shapes (NMS parses and then finds none).
REFUSED = frozenset({"NonZero", "NonMaxSuppression", "RoiAlign", "Unique", "Compress", "DeformConv"})
LARGEST_FILE = 2**31 - 1
_SHOWN = 6


def check_graph(model: "onnx.ModelProto", what: str, origins: Mapping[str, str] | None = None) -> "onnx.ModelProto":
    """Return `model` with its tensors' shapes inferred; raise SegrtError when something in it must not be.

    `what` names the network in errors; `origins` maps a node's name to the torch module that it comes from.
    """
    import onnx

    if model.ByteSize() > LARGEST_FILE:
        raise SegrtError(too_large(what, model.ByteSize()))
    try:
        inferred = onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True)
        onnx.checker.check_model(inferred)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise SegrtError(f"{what}: its graph is not valid ONNX ({one_line(error)})") from None
    refused = [_described(node, why, origins or {}) for node, why in refused_nodes(inferred)]
    if refused:
        raise SegrtError(f"{what}: TensorRT has no kernel for {_listed(refused)}; write the network without them")
    doubles = list(double_tensors(inferred))
    if doubles:
        makers = {name: node for node in inferred.graph.node for name in node.output}
        named = [_described(makers[name], "", origins or {}) if name in makers else name for name in doubles]
        raise SegrtError(f"{what}: computes in float64, which TensorRT refuses: {_listed(named)}")
    return inferred


def refused_nodes(model: "onnx.ModelProto") -> Iterator[tuple["onnx.NodeProto", str]]:
    """Yield the nodes that TensorRT refuses, with the reason where it is not the operator itself."""
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    for node in all_nodes(model.graph):
        if node.op_type in REFUSED:
            yield node, ""
        elif node.op_type == "TopK" and _constant(constants, node, 1) > TOPK_LIMIT:
            yield node, f"k above {TOPK_LIMIT}"
        elif node.op_type == "Resize" and _attribute(node, "antialias"):
            yield node, "antialias"
        elif node.op_type in ("ScatterND", "ScatterElements") and _attribute(node, "reduction") not in (None, b"none"):
            yield node, "with reduction"


def double_tensors(model: "onnx.ModelProto") -> Iterator[str]:
    """Yield the names of the tensors in float64."""
    onnx = require_onnx()
    double = onnx.TensorProto.DOUBLE
    yield from (tensor.name for tensor in model.graph.initializer if tensor.data_type == double)
    for value in (*model.graph.value_info, *model.graph.output):
        if value.type.tensor_type.elem_type == double:
            yield value.name


def all_nodes(graph: "onnx.GraphProto") -> Iterator["onnx.NodeProto"]:
    """Yield the nodes of `graph` and of the graphs inside them (If, Loop)."""
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            for inner in (*attribute.graphs, *([attribute.g] if attribute.HasField("g") else ())):
                yield from all_nodes(inner)


def too_large(what: str, size: int) -> str:
    """Return the error for a network that does not fit into one ONNX file."""
    return (
        f"{what}: takes {size / 1e9:.1f} GB, but a bundle's ONNX file holds its weights inside and ends at 2 GB; "
        "choose a smaller network"
    )


def _constant(constants: Mapping[str, Any], node: "onnx.NodeProto", index: int) -> int:
    onnx = require_onnx()
    tensor = constants.get(node.input[index])
    return int(onnx.numpy_helper.to_array(tensor).reshape(-1)[0]) if tensor is not None else 0


def _attribute(node: "onnx.NodeProto", name: str) -> Any:
    onnx = require_onnx()
    return next(
        (onnx.helper.get_attribute_value(attribute) for attribute in node.attribute if attribute.name == name), None
    )


def _described(node: "onnx.NodeProto", why: str, origins: Mapping[str, str]) -> str:
    origin = origins.get(node.name, "")
    return f"{node.op_type}{f' ({why})' if why else ''} {node.name!r}" + (f" of {origin}" if origin else "")


def _listed(items: list[str]) -> str:
    more = f", … {len(items) - _SHOWN} more" if len(items) > _SHOWN else ""
    return ", ".join(items[:_SHOWN]) + more
