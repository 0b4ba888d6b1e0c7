"""A quantised network becomes a float one that computes the same but for the rounding, and TensorRT builds it."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from segrt.export.adopt.adopt_options import AdoptOptions
from segrt.export.adopt.adopting import adopt_network
from segrt.export.adopt.dequantize import dequantize
from segrt.export.graph.editing import Graph, read_graph
from segrt.runtime import open_bundle
from segrt.runtime.authoring.verification import verify
from segrt.runtime.bundle.locating import read_bundle
from segrt.runtime.errors import SegrtError
from segrt.runtime.files.images import read_image
from segrt.runtime.inference.onnxruntime import run_file
from segrt.runtime.results import SemanticResult


def quantised_model(change: Callable[[list[Any], dict[str, Any]], None] | None = None) -> onnx.ModelProto:
    """Bytes, scaled, through a convolution with weights by channel and zero points other than 0, as from TFLite.

    The convolution's own output is quantised from 0 up, so that its negative values become 0 without any ReLU.
    """
    rng = np.random.default_rng(0)
    constants: dict[str, Any] = {
        "in_scale": np.float32(1 / 128),
        "in_zero": np.uint8(128),
        "w": rng.integers(0, 255, (4, 3, 3, 3)).astype(np.uint8),
        "w_scale": np.array([0.01, 0.02, 0.015, 0.005], np.float32),
        "w_zero": np.array([120, 130, 140, 128], np.uint8),
        "b": rng.integers(-2000, 2000, 4).astype(np.int32),
        "b_scale": np.array([1e-4, 2e-4, 1.5e-4, 5e-5], np.float32),
        "out_scale": np.float32(0.03),
        "out_zero": np.uint8(0),
        "shape": np.array([1, 4, -1], np.int64),
    }
    nodes = [
        helper.make_node("Transpose", ["image"], ["planes"], perm=[0, 3, 1, 2]),
        helper.make_node("DequantizeLinear", ["planes", "in_scale", "in_zero"], ["x"]),
        helper.make_node("DequantizeLinear", ["w", "w_scale", "w_zero"], ["w_float"], axis=0),
        helper.make_node("DequantizeLinear", ["b", "b_scale"], ["b_float"], axis=0),
        helper.make_node("Conv", ["x", "w_float", "b_float"], ["conv"], pads=[1, 1, 1, 1]),
        helper.make_node("QuantizeLinear", ["conv", "out_scale", "out_zero"], ["codes"]),
        helper.make_node("Reshape", ["codes", "shape"], ["flat"]),
        helper.make_node("DequantizeLinear", ["flat", "out_scale", "out_zero"], ["values"]),
    ]
    if change is not None:
        change(nodes, constants)
    graph = helper.make_graph(
        nodes,
        "quantised",
        [helper.make_tensor_value_info("image", TensorProto.UINT8, [1, 16, 24, 3])],
        [helper.make_tensor_value_info(nodes[-1].output[0], TensorProto.FLOAT, [1, 4, 384])],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)


def both_outputs(tiny: SimpleNamespace, model: onnx.ModelProto) -> tuple[np.ndarray, np.ndarray, Graph]:
    image = np.random.default_rng(1).integers(0, 256, (1, 16, 24, 3)).astype(np.uint8)
    path = tiny.save(model, "quantised.onnx")
    changed = dequantize(read_graph(path))
    plain = tiny.save(changed.model, "float.onnx")
    name = model.graph.output[0].name
    return run_file(path, {"image": image})[name], run_file(plain, {"image": image})[name], changed


def test_only_the_rounding_is_gone(tiny: SimpleNamespace) -> None:
    quantised, plain, changed = both_outputs(tiny, quantised_model())
    assert plain.dtype == np.float32
    kinds = [node.op_type for node in changed.model.graph.node]
    assert kinds[:2] == ["Cast", "Transpose"]
    assert not {"QuantizeLinear", "DequantizeLinear"} & set(kinds)
    assert plain.min() == 0  # the step at 0 was the lowest
    inside = quantised < 254.5 * 0.03
    assert inside.mean() > 0.5
    assert np.abs(quantised - plain)[inside].max() <= 0.03 / 2 + 1e-5
    assert {tensor.data_type for tensor in changed.model.graph.initializer} <= {TensorProto.FLOAT, TensorProto.INT64}


def test_a_quantised_output_becomes_a_float_one(tiny: SimpleNamespace) -> None:
    def change(nodes: list[Any], constants: dict[str, Any]) -> None:  # noqa: ARG001 (the fixture's signature)
        del nodes[-1]

    model = quantised_model(change)
    model.graph.output[0].type.tensor_type.elem_type = TensorProto.UINT8
    quantised, plain, changed = both_outputs(tiny, model)
    assert quantised.dtype == np.uint8
    assert changed.outputs[0].dtype == "float32"
    inside = quantised < 255
    np.testing.assert_allclose(quantised[inside] * np.float32(0.03), plain[inside], atol=0.0151)


def test_what_cannot_be_dequantised_is_named(tiny: SimpleNamespace) -> None:
    def arithmetic(nodes: list[Any], constants: dict[str, Any]) -> None:  # noqa: ARG001
        nodes.insert(1, helper.make_node("BitShift", ["planes", "in_zero"], ["shifted"], direction="RIGHT"))
        nodes[2].input[0] = "shifted"

    def computed(nodes: list[Any], constants: dict[str, Any]) -> None:
        constants["half_scale"] = np.float32(0.5)
        nodes.insert(0, helper.make_node("Mul", ["in_scale", "half_scale"], ["made"]))
        nodes[2].input[1] = "made"

    for change, message in ((arithmetic, "computes on the codes"), (computed, "has a scale that is computed")):
        graph = Graph(quantised_model(change), Path("model.onnx"), is_changed=True)
        with pytest.raises(SegrtError, match=message):
            dequantize(graph)
    with pytest.raises(SegrtError, match="is not quantised; leave the option out"):
        dequantize(Graph(tiny.semantic_model(), Path("model.onnx"), is_changed=True))
    integer = tiny.semantic_model()
    integer.graph.node.append(helper.make_node("MatMulInteger", ["a", "b"], ["c"]))
    with pytest.raises(SegrtError, match=r"computes on integers \(MatMulInteger\); write it with quantise and"):
        dequantize(Graph(integer, Path("model.onnx"), is_changed=True))


def test_the_network_from_tflite_gets_a_float_variant_that_tensorrt_builds(fixtures: Path, tmp_path: Path) -> None:
    photos = sorted((fixtures / "coco_panoptic" / "images").glob("*.jpg"))[:3]
    said = adopt_network(
        fixtures / "onnx/deeplabv3_mnv2_pascal_quant_from_tflite.onnx",
        tmp_path / "deeplab",
        AdoptOptions("semantic", "voc", dequantize=True, golden=photos),
    )
    assert any(line.startswith("dequantised: 9") for line in said)
    bundle = read_bundle(tmp_path / "deeplab")
    assert [variant.precision for variant in bundle.manifest.variants] == ["fp32", "int8"]
    parity = bundle.manifest.variants[0].parity
    assert parity is not None
    assert parity.images == 3
    assert parity.agreement > 0.97
    results = []
    for precision in ("fp32", "int8"):
        with open_bundle(tmp_path / "deeplab", precision=precision, backend="onnxruntime", threads=1) as segmenter:
            assert all(check.passed for check in verify(segmenter))
            results.append(segmenter(read_image(photos[1])))
    first, second = results
    assert isinstance(first, SemanticResult)
    assert isinstance(second, SemanticResult)
    assert 0.97 < np.mean(first.class_map == second.class_map) < 1
    pytest.importorskip("tensorrt_rtx")
    from segrt.export.graph.tensorrt_check import check_tensorrt

    built = check_tensorrt(tmp_path / "deeplab" / "model.fp32.onnx", flavor="tensorrt-rtx")
    assert built.built, built.reason
    assert not check_tensorrt(tmp_path / "deeplab" / "model.int8.onnx", flavor="tensorrt-rtx").built
