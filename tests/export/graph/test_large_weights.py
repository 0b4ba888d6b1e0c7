"""Large weights beside the graph: folded as with them inside, and written as protobuf writes them."""

from pathlib import Path

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxslim")
pytest.importorskip("onnxruntime")
from onnx import TensorProto, helper, numpy_helper  # noqa: E402

from segrt.export.graph.large_weights import LARGE, LargeWeights, stubs_as_inputs  # noqa: E402
from segrt.export.graph.onnx_writing import write_onnx  # noqa: E402
from segrt.export.graph.simplifying import simplified, with_initialisers  # noqa: E402
from segrt.export.precision.indexed_graph import open_session  # noqa: E402
from segrt.runtime.errors import SegrtError  # noqa: E402

RNG = np.random.default_rng(0)


def network() -> "onnx.ModelProto":
    """A convolution, its scale and shift behind it, and a product with weights that are turned first."""
    values = {
        "kernel": RNG.normal(size=(64, 32, 3, 3)).astype(np.float32),
        "scale": RNG.normal(size=(1, 64, 1, 1)).astype(np.float32),
        "shift": RNG.normal(size=(1, 64, 1, 1)).astype(np.float32),
        "turned": RNG.normal(size=(320, 64)).astype(np.float32),
        "shape": np.array([1, 64, 64]),
    }
    nodes = [
        helper.make_node("Conv", ["x", "kernel"], ["y"], name="conv", pads=[1, 1, 1, 1]),
        helper.make_node("Mul", ["y", "scale"], ["scaled"], name="scale"),
        helper.make_node("Add", ["scaled", "shift"], ["shifted"], name="shift"),
        helper.make_node("Reshape", ["shifted", "shape"], ["flat"], name="flatten"),
        helper.make_node("Transpose", ["flat"], ["rows"], name="rows", perm=[0, 2, 1]),
        helper.make_node("Transpose", ["turned"], ["weights"], name="turn", perm=[1, 0]),
        helper.make_node("MatMul", ["rows", "weights"], ["out"], name="product"),
    ]
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 32, 8, 8])],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, [1, 64, 320])],
        [numpy_helper.from_array(value, name) for name, value in values.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8, producer_name="test")


def test_a_simplified_network_computes_the_same_and_its_weights_were_never_in_it(tmp_path: Path) -> None:
    model, large = network(), LargeWeights()
    x = RNG.normal(size=(1, 32, 8, 8)).astype(np.float32)
    wanted = open_session(model, threads=1).run(None, {"x": x})[0]
    large.take_out(model)
    assert model.ByteSize() < LARGE // 8
    slim = simplified(model, large, "net")
    assert [node.op_type for node in slim.graph.node] == ["Conv", "Reshape", "Transpose", "MatMul"], "folded and fused"
    assert slim.ByteSize() < LARGE // 8
    write_onnx(slim, large, tmp_path / "net.onnx", "net")
    onnx.checker.check_model(str(tmp_path / "net.onnx"), full_check=True)
    found = open_session(onnx.load(str(tmp_path / "net.onnx")), threads=1).run(None, {"x": x})[0]
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-4)


def test_what_is_written_is_what_protobuf_writes(tmp_path: Path) -> None:
    model, large = network(), LargeWeights()
    model.metadata_props.add(key="note", value="behind the graph")
    model.graph.value_info.append(helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 64, 8, 8]))
    wanted = model.SerializeToString()
    large.take_out(model)
    write_onnx(model, large, tmp_path / "net.onnx", "net")
    assert (tmp_path / "net.onnx").read_bytes() == wanted


def test_a_network_is_checked_with_its_large_weights_as_inputs_and_gets_them_back() -> None:
    model, large = network(), LargeWeights()
    large.take_out(model)
    stored = list(model.graph.initializer)
    checked = stubs_as_inputs(model)
    onnx.checker.check_model(checked, full_check=True)
    assert {value.name for value in checked.graph.input} == {"x", "kernel", "turned"}
    with_initialisers(checked, stored)
    assert [value.name for value in checked.graph.input] == ["x"]
    assert checked.graph.initializer == model.graph.initializer


def test_more_than_a_file_can_hold_is_refused(tmp_path: Path) -> None:
    model, large = network(), LargeWeights()
    tensor = model.graph.initializer.add(name="huge", data_type=TensorProto.FLOAT, dims=[600_000_000])
    tensor.data_location = TensorProto.EXTERNAL
    huge = np.broadcast_to(np.float32(0), (600_000_000,))  # no memory behind it
    tensor.external_data.add(key="location", value=large.keep(huge))
    with pytest.raises(SegrtError, match=r"net: takes 2\.4 GB, but a bundle's ONNX file"):
        write_onnx(model, large, tmp_path / "net.onnx", "net")
    assert not (tmp_path / "net.onnx").exists()
