"""The precision that layers run in, read from parsed networks and from the engine inspector's JSON."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from segrt.runtime.inference.engine_policy import BuildOptions
from segrt.runtime.inference.tensorrt.building import build
from segrt.runtime.inference.tensorrt.flavor import find_flavor
from segrt.runtime.inference.tensorrt.layer_precisions import engine_precisions, network_precisions
from segrt.runtime.inference.tensorrt.parsing import parse

onnx = pytest.importorskip("onnx")
pytest.importorskip("tensorrt_rtx")
helper, numpy_helper, TensorProto = onnx.helper, onnx.numpy_helper, onnx.TensorProto


def network(path: Path, nodes: list[Any], dtype: int, constants: dict[str, Any]) -> dict[str, str]:
    graph = helper.make_graph(
        nodes,
        "graph",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 8, 8])],
        [helper.make_tensor_value_info("y", dtype, [1, 4, 8, 8])],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8), str(path))
    parsed = parse(path, find_flavor("tensorrt-rtx"))
    assert build(parsed, BuildOptions(detailed=False)).plan.nbytes > 1000
    return {layer.name: layer.precision for layer in network_precisions(parsed)}


def test_fp16_layers_are_told_from_fp32_ones(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Sigmoid", ["x"], ["s"], name="sigmoid"),
        helper.make_node("Cast", ["s"], ["h"], name="cast", to=TensorProto.FLOAT16),
        helper.make_node("Conv", ["h", "w"], ["y"], name="conv", pads=[1, 1, 1, 1]),
    ]
    weights = {"w": np.random.default_rng(0).normal(size=(4, 3, 3, 3)).astype(np.float16)}
    precisions = network(tmp_path / "half.onnx", nodes, TensorProto.FLOAT16, weights)
    assert precisions["sigmoid"] == "float32"
    assert precisions["conv"] == "float16"


def test_a_convolution_between_dequantised_tensors_runs_in_int8(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "sx", "zero"], ["q"], name="quantize"),
        helper.make_node("DequantizeLinear", ["q", "sx", "zero"], ["d"], name="dequantize"),
        helper.make_node("DequantizeLinear", ["wq", "sw", "zero"], ["wd"], name="weights"),
        helper.make_node("Conv", ["d", "wd"], ["c"], name="int8_conv", pads=[1, 1, 1, 1]),
        helper.make_node("Conv", ["c", "v"], ["y"], name="float_conv"),
    ]
    rng = np.random.default_rng(0)
    constants = {
        "sx": np.float32(0.05),
        "sw": np.float32(0.02),
        "zero": np.int8(0),
        "wq": rng.integers(-127, 127, (4, 3, 3, 3), dtype=np.int8),
        "v": rng.normal(size=(4, 4, 1, 1)).astype(np.float32),
    }
    precisions = network(tmp_path / "int8.onnx", nodes, TensorProto.FLOAT, constants)
    assert precisions["int8_conv"] == "int8"
    assert precisions["float_conv"] == "float32"


def test_an_engine_without_details_is_said_to_have_none() -> None:
    with pytest.raises(ValueError, match="without details"):
        engine_precisions('{"Layers": ["conv1", "relu1"], "Bindings": ["x"]}')
    with pytest.raises(ValueError, match="no engine information"):
        engine_precisions("[]")
    tensor = '{"Name": "t", "Format/Datatype": "Thirty-two wide channel vectorized row major Int8 format"}'
    text = f'{{"Layers": [{{"Name": "conv1", "LayerType": "CaskConvolution", "Inputs": [{tensor}]}}]}}'
    assert [(layer.name, layer.precision) for layer in engine_precisions(text)] == [("conv1", "int8")]
