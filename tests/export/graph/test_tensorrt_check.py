"""`check_tensorrt` against NVIDIA's own parser and builder, which need no GPU."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
pytest.importorskip("tensorrt_rtx")

from onnx import TensorProto, helper, numpy_helper  # noqa: E402

from segrt.export.graph.node_scopes import keep_modules  # noqa: E402
from segrt.export.graph.tensorrt_check import check_tensorrt  # noqa: E402
from segrt.runtime.errors import BackendError  # noqa: E402
from segrt.runtime.inference.layers.module_names import read_nodes  # noqa: E402

MODELS = Path(__file__).resolve().parents[3] / "runtime" / "models"


def floats(name: str, shape: list[Any]) -> Any:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)


def save(path: Path, nodes: list[Any], inputs: list[Any], outputs: list[Any], constants: dict[str, Any]) -> Path:
    weights = [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "graph", inputs, outputs, weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    onnx.save(model, str(path))
    return path


@pytest.mark.parametrize("name", ["street-semantic", "street-instance", "street-panoptic"])
def test_the_embedded_networks_become_engines(name: str) -> None:
    check = check_tensorrt(MODELS / name / "model.fp32.onnx")
    assert check.built
    assert check.plan_bytes > 1e6
    assert check.refused == ()
    assert [spec.name for spec in check.inputs] == ["image"]
    assert check.inputs[0].dtype == "uint8"


def test_every_node_that_the_parser_refuses_is_listed_with_its_module(tmp_path: Path) -> None:
    resize = helper.make_node("Resize", ["x", "", "scales"], ["small"], name="node_resize", mode="linear", antialias=1)
    inverse = helper.make_node("Det", ["m"], ["d"], name="node_det")
    for node, scopes in ((resize, "['', 'neck', 'neck.shrink', 'interpolate']"), (inverse, "['', 'head', 'det']")):
        entry = node.metadata_props.add()
        entry.key, entry.value = "pkg.torch.onnx.name_scopes", scopes
    path = save(
        tmp_path / "refused.onnx",
        [resize, inverse],
        [floats("x", [1, 3, 8, 8]), floats("m", [3, 3])],
        [floats("small", [1, 3, 4, 4]), floats("d", [])],
        {"scales": np.float32([1, 1, 0.5, 0.5])},
    )
    check = check_tensorrt(path)
    assert not check
    assert {(node.name, node.operator, node.module) for node in check.refused} == {
        ("node_resize", "Resize", "neck.shrink"),
        ("node_det", "Det", "head"),
    }
    reasons = {node.operator: node.reason for node in check.refused}
    assert reasons["Resize"] == "Antialiasing is not supported currently."
    assert reasons["Det"] == "TensorRT does not support the operator Det"


def test_a_node_without_a_kernel_is_named_though_the_parser_takes_it(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Add", ["boxes", "head.offset.bias"], ["moved"], name="node_add"),
        helper.make_node("NonMaxSuppression", ["moved", "scores", "k"], ["kept"], name="node_nms"),
    ]
    path = save(
        tmp_path / "nms.onnx",
        nodes,
        [floats("boxes", [1, 10, 4]), floats("scores", [1, 2, 10])],
        [helper.make_tensor_value_info("kept", TensorProto.INT64, [None, 3])],
        {"k": np.int64([5]), "head.offset.bias": np.float32([0, 0, 0, 0])},
    )
    check = check_tensorrt(path)
    assert not check.built
    assert [(node.name, node.operator, node.module) for node in check.refused] == [
        ("node_nms", "NonMaxSuppression", "head.offset")
    ]
    assert "/_src/" not in check.reason
    assert len(check.inputs) == 2


def test_an_open_batch_is_built_for_the_batch_that_is_asked_for(tmp_path: Path) -> None:
    path = save(
        tmp_path / "batch.onnx",
        [helper.make_node("Relu", ["x"], ["y"], name="relu")],
        [floats("x", ["N", 3, 8, 8])],
        [floats("y", ["N", 3, 8, 8])],
        {},
    )
    assert check_tensorrt(path, batch=4).built


def test_an_open_picture_size_is_refused_with_the_remedy(tmp_path: Path) -> None:
    path = save(
        tmp_path / "open.onnx",
        [helper.make_node("Relu", ["x"], ["y"], name="relu")],
        [floats("x", [1, 3, "h", "w"])],
        [floats("y", [1, 3, "h", "w"])],
        {},
    )
    check = check_tensorrt(path)
    assert not check
    assert "'x'" in check.reason
    assert "fixed" in check.reason


def test_an_unknown_flavor_is_named(tmp_path: Path) -> None:
    with pytest.raises(BackendError, match="'fast'"):
        check_tensorrt(tmp_path / "none.onnx", flavor="fast")


def test_modules_survive_a_simplifier_that_drops_metadata_and_renames_nodes(tmp_path: Path) -> None:
    def graph(names: tuple[str, str, str], scopes: bool) -> Any:
        nodes = [
            helper.make_node("Relu", ["x"], ["a"], name=names[0]),
            helper.make_node("Sigmoid", ["a"], ["b"], name=names[1]),
            helper.make_node("Neg", ["b"], ["y"], name=names[2]),
        ]
        if scopes:
            for node, scope in zip(
                nodes, ("['', 'stem', 'relu']", "['', 'head', 'head.act', 'sigmoid']"), strict=False
            ):
                entry = node.metadata_props.add()
                entry.key, entry.value = "pkg.torch.onnx.name_scopes", scope
                entry = node.metadata_props.add()
                entry.key, entry.value = "pkg.torch.onnx.stack_trace", "File /home/somebody/model.py"
        made = helper.make_graph(nodes, "g", [floats("x", [4])], [floats("y", [4])])
        return helper.make_model(made, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)

    simplified = graph(("node_relu", "renamed", "made_by_the_simplifier"), scopes=False)
    assert keep_modules(graph(("node_relu", "node_sigmoid", "node_neg"), scopes=True), simplified) == 3
    onnx.save(simplified, str(tmp_path / "simplified.onnx"))
    assert {node.name: node.module for node in read_nodes(tmp_path / "simplified.onnx")} == {
        "node_relu": "stem",
        "renamed": "head.act",
        "made_by_the_simplifier": "head.act",
    }
    own = graph(("a", "b", "c"), scopes=True)
    keep_modules(own, own)
    assert b"somebody" not in own.SerializeToString()
