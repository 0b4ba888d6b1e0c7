"""Finds the scores of attention: products of queries and keys, with what scales and masks them, up to their softmax.

In float16 they may leave its range before they are scaled, and TensorRT's fused attention has no wider place for them:
vision transformers on DINOv3 came out as NaN or as maps of a single class (NVIDIA/TensorRT#4723, #4742), which kept
scores prevent; lightly-train keeps the same ones. The products with the values stay in float16.
"""

from typing import TYPE_CHECKING

from segrt.export.precision.indexed_graph import IndexedGraph

if TYPE_CHECKING:
    import onnx

_BETWEEN = frozenset({"Add", "Cast", "Div", "Mul", "Reshape", "Sub", "Where"})


def score_nodes(net: IndexedGraph) -> set[str]:
    """Return the names of the nodes from each product of two activations to the softmax over it, both included."""
    kept: set[str] = set()
    for node in net.nodes:
        if node.op_type == "Softmax":
            kept |= _up_to_product(net, node)
    return kept


def _up_to_product(net: IndexedGraph, softmax: "onnx.NodeProto") -> set[str]:
    """Return the nodes of the way from a softmax up to the product that it is of; none where there is no product."""
    ways = [(softmax.input[0], [softmax.name])]
    while ways:
        tensor, way = ways.pop()
        node = net.producers.get(tensor)
        if node is None:
            continue
        if node.op_type == "MatMul":
            if not any(name in net.constants for name in node.input):
                return {*way, node.name}
        elif node.op_type in _BETWEEN:
            ways += [(name, [*way, node.name]) for name in node.input if name not in net.constants]
    return set()
