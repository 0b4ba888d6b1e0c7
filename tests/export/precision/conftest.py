"""A small network of six convolutions that classifies pixels by colour, with faults to plant in its third one."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from segrt.export.bundling import Network
from segrt.runtime.bundle.manifest import Source
from segrt.runtime.decode.argmax import Argmax
from segrt.runtime.decode.head_spec import HeadSpec
from segrt.runtime.files.images import write_image
from segrt.runtime.preprocess.input_spec import InputSpec
from segrt.runtime.results import Label

SIZE = (32, 48)
CHANNELS = 8
CLASSES = 4


def chain(*, overflow: bool = False, outlier: bool = False, clipped: bool = False) -> onnx.ModelProto:
    """Six convolutions; `overflow` lets the third exceed 65504, `outlier` gives its input one huge, unused channel.

    `clipped` puts an upper bound on that input, behind which no channel can be scaled.
    """
    random = np.random.default_rng(3)
    nodes = [
        helper.make_node("Cast", ["image"], ["float"], name="cast", to=TensorProto.FLOAT),
        helper.make_node("Transpose", ["float"], ["planes"], name="transpose", perm=[0, 3, 1, 2]),
        helper.make_node("Mul", ["planes", "scale"], ["x0"], name="normalise"),
    ]
    constants = {"scale": np.array(1 / 128, np.float32)}
    for index in range(6):
        outputs = CLASSES if index == 5 else CHANNELS
        inputs = 3 if index == 0 else CHANNELS
        kernel = random.normal(0, np.sqrt(2 / (9 * inputs)), (outputs, inputs, 3, 3)).astype(np.float32)
        bias = random.normal(0, 0.1, outputs).astype(np.float32)
        if outlier and index == 1:
            kernel[0], bias[0] = 0.0, 2000.0
        if outlier and index == 2:
            kernel[:, 0] = 0.0
        gain = 1e6 if overflow and index == 2 else 1.0
        name = f"body.{index}"
        constants |= {f"{name}.weight": kernel * np.float32(gain), f"{name}.bias": bias * np.float32(gain)}
        out = f"y{index}" if index < 5 else "logits"
        nodes.append(
            helper.make_node(
                "Conv", [f"x{index}", f"{name}.weight", f"{name}.bias"], [out], name=f"conv{index}", pads=[1, 1, 1, 1]
            )
        )
        if gain != 1.0:
            constants["shrink"] = np.array(1 / gain, np.float32)
            nodes.append(helper.make_node("Mul", [out, "shrink"], [f"{out}s"], name="shrink"))
            out = f"{out}s"
        if clipped and index == 1:
            constants |= {"zero": np.array(0, np.float32), "bound": np.array(1e5, np.float32)}
            nodes.append(helper.make_node("Clip", [out, "zero", "bound"], [f"x{index + 1}"], name=f"relu{index}"))
        elif index < 5:
            nodes.append(helper.make_node("Relu", [out], [f"x{index + 1}"], name=f"relu{index}"))
    graph = helper.make_graph(
        nodes,
        "chain",
        [helper.make_tensor_value_info("image", TensorProto.UINT8, [1, *SIZE, 3])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, [1, CLASSES, *SIZE])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    onnx.checker.check_model(model, full_check=True)
    return model


def picture(seed: int) -> np.ndarray:
    """A smooth, colourful picture, uint8 BGR."""
    random = np.random.default_rng(seed)
    coarse = random.integers(0, 256, (4, 6, 3)).astype(np.uint8)
    return np.repeat(np.repeat(coarse, 8, axis=0), 8, axis=1)


@pytest.fixture(scope="session")
def network() -> Network:
    """The description of the small network."""
    labels = tuple(Label(f"class {index}", index, False, (index, 0, 0)) for index in range(CLASSES))
    image = InputSpec("image", "uint8", (1, *SIZE, 3))
    head = HeadSpec("logits", "semantic_logits", "float32", (1, CLASSES, *SIZE))
    return Network("chain", "semantic", "tiny", Source("none", "Apache-2.0"), (image,), (head,), labels, Argmax())


@pytest.fixture(scope="session")
def pictures() -> list[np.ndarray]:
    """Four pictures to compare on."""
    return [picture(seed) for seed in range(4)]


@pytest.fixture(scope="session")
def calibration(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of six other pictures."""
    folder = tmp_path_factory.mktemp("calibration")
    for seed in range(10, 16):
        write_image(folder / f"{seed}.png", picture(seed))
    return folder


@pytest.fixture
def saved(tmp_path: Path) -> Callable[[Any], Path]:
    """Writes a model to a file."""

    def save(model: onnx.ModelProto) -> Path:
        path = tmp_path / "network.onnx"
        onnx.save(model, str(path))
        return path

    return save


@pytest.fixture(scope="session")
def make_chain() -> Callable[..., onnx.ModelProto]:
    """The small network's builder."""
    return chain
