"""Scores of attention stay in float32 where they are asked to, and are finite where float16's are not."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from segrt.export.family import ATTENTION_SCORES
from segrt.export.precision.attention_scores import score_nodes
from segrt.export.precision.fp16 import to_fp16
from segrt.export.precision.indexed_graph import IndexedGraph, open_session, prepare_graph
from segrt.export.precision.layer_costs import kept_nodes
from segrt.runtime.errors import SegrtError

TOKENS, WIDTH = 6, 64


def attention(gain: float, *, softmax: bool = True) -> onnx.ModelProto:
    """Plain attention over `x` (1, TOKENS, WIDTH), its products scaled and masked behind; `gain` enlarges queries."""
    random = np.random.default_rng(0)
    constants = {
        f"{name}.weight": (random.normal(0, 1, (WIDTH, WIDTH)) * scale).astype(np.float32)
        for name, scale in (("q", gain), ("k", 1.0), ("v", 0.1))
    }
    constants["scale"] = np.array(WIDTH**-0.5 / gain, np.float32)
    nodes = [
        helper.make_node("MatMul", ["x", f"{name}.weight"], [name], name=f"{name}_proj") for name in ("q", "k", "v")
    ]
    nodes += [
        helper.make_node("Transpose", ["k"], ["kt"], name="turn", perm=[0, 2, 1]),
        helper.make_node("MatMul", ["q", "kt"], ["products"], name="products"),
        helper.make_node("Mul", ["products", "scale"], ["scaled"], name="scale"),
        helper.make_node("Add", ["mask", "scaled"], ["masked"], name="mask"),
        helper.make_node("Softmax" if softmax else "Relu", ["masked"], ["shares"], name="softmax"),
        helper.make_node("MatMul", ["shares", "v"], ["y"], name="values"),
    ]
    inputs = [
        helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, TOKENS, WIDTH]),
        helper.make_tensor_value_info("mask", TensorProto.FLOAT, [1, TOKENS, TOKENS]),
    ]
    graph = helper.make_graph(
        nodes,
        "attention",
        inputs,
        [
            helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, TOKENS, WIDTH]),
            helper.make_tensor_value_info("products", TensorProto.FLOAT, [1, TOKENS, TOKENS]),
        ],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)


def test_the_way_from_the_product_to_the_softmax_is_found() -> None:
    net = prepare_graph(attention(1.0), "attention")
    assert score_nodes(net) == {"products", "scale", "mask", "softmax"}
    assert kept_nodes(net, [ATTENTION_SCORES]) == score_nodes(net)


def test_products_that_leave_float16_are_kept() -> None:
    net = prepare_graph(attention(200.0), "attention")
    feeds = {
        "x": np.random.default_rng(1).normal(0, 4, (1, TOKENS, WIDTH)).astype(np.float32),
        "mask": np.zeros((1, TOKENS, TOKENS), np.float32),
    }
    wanted = open_session(net.model, threads=1).run(None, feeds)[0]
    _, products = open_session(to_fp16(net), threads=1).run(None, feeds)
    assert not np.isfinite(products).all(), "the scores were meant to overflow"
    model = to_fp16(net, kept_nodes(net, [ATTENTION_SCORES]))
    kept, products = open_session(model, threads=1).run(None, feeds)
    assert np.isfinite(products).all()
    np.testing.assert_allclose(kept.astype(np.float32), wanted, atol=0.05, rtol=0.02)
    halves = IndexedGraph(model)
    kinds = {node.name: halves.types[node.output[0]] for node in halves.nodes}
    assert kinds["values"] == kinds["q_proj"] == TensorProto.FLOAT16
    assert kinds["products"] == kinds["scale"] == TensorProto.FLOAT


def test_a_network_without_attention_has_no_scores() -> None:
    net = prepare_graph(attention(1.0, softmax=False), "none")
    assert score_nodes(net) == set()
    with pytest.raises(SegrtError, match="called 'attention-scores'"):
        kept_nodes(net, [ATTENTION_SCORES])
