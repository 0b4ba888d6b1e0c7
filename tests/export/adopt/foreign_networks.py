"""Float networks as other exporters write them, and what their bundles see."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from segrt.runtime import open_bundle
from segrt.runtime.authoring.verification import verify
from segrt.runtime.files.images import write_image
from segrt.runtime.results import SemanticResult

Adopt = Callable[..., tuple[Path, list[str]]]
SUMMED = (32, 48)


def float_model(
    tiny: SimpleNamespace,
    *,
    layout: str = "NCHW",
    dims: tuple[Any, ...] = (1, 32, 48),
    heads_last: bool = False,
) -> onnx.ModelProto:
    """A float network: its logits are its input, averaged over 4x4 pixels."""
    shape = [dims[0], 3, *dims[1:]] if layout == "NCHW" else [*dims, 3]
    nodes = [] if layout == "NCHW" else [helper.make_node("Transpose", ["x"], ["planes"], perm=[0, 3, 1, 2])]
    source = "x" if layout == "NCHW" else "planes"
    pooled = "pooled" if heads_last else "out"
    nodes.append(helper.make_node("AveragePool", [source], [pooled], kernel_shape=[4, 4], strides=[4, 4]))
    if heads_last:
        nodes.append(helper.make_node("Transpose", [pooled], ["out"], perm=[0, 2, 3, 1]))
    out_shape = [dims[0], None, None, None]
    model: onnx.ModelProto = tiny.build(
        nodes,
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, out_shape)],
        {},
    )
    return model


def classes(folder: Path, image: np.ndarray) -> np.ndarray:
    with open_bundle(folder, threads=1) as segmenter:
        result = segmenter(image)
        assert all(check.passed for check in verify(segmenter))
    assert isinstance(result, SemanticResult)
    return result.class_map[16, [4, 24, 44]]


def photo(tiny: SimpleNamespace, tmp_path: Path) -> Path:
    write_image(tmp_path / "photo.png", tiny.thirds(640, 960))
    return tmp_path / "photo.png"


def summing(channels: int, *, dims: Any = None, dtype: int = TensorProto.FLOAT) -> Any:
    """Two logits: minus and plus the sum of the input's channels."""
    weight = np.stack([-np.ones(channels), np.ones(channels)]).reshape(2, channels, 1, 1).astype(np.float32)
    dims = dims or (1, channels, *SUMMED)
    nodes = [helper.make_node("Conv", ["f", "w"], ["y"])]
    nodes.insert(0, helper.make_node("Cast", ["t"], ["f"], to=TensorProto.FLOAT))
    perm = [0, 3, 1, 2] if dims[3] == channels else [0, 1, 2, 3]
    nodes.insert(0, helper.make_node("Transpose", ["x"], ["t"], perm=perm))
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", dtype, list(dims))],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 2, *SUMMED])],
        [numpy_helper.from_array(weight, "w")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
