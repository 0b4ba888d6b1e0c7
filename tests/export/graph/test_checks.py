"""What an exported graph must not hold."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
torch = pytest.importorskip("torch")
pytest.importorskip("onnxslim")

from onnx import TensorProto, helper, numpy_helper  # noqa: E402

from segrt.export.family import Exportable  # noqa: E402
from segrt.export.graph import tracing  # noqa: E402
from segrt.export.graph.checks import check_graph, too_large  # noqa: E402
from segrt.export.graph.tracing import trace  # noqa: E402
from segrt.runtime.bundle.manifest import Source  # noqa: E402
from segrt.runtime.decode.argmax import Argmax  # noqa: E402
from segrt.runtime.errors import SegrtError  # noqa: E402
from segrt.runtime.preprocess.input_spec import Resize  # noqa: E402
from segrt.runtime.results import Label  # noqa: E402


def model(nodes: list[Any], outputs: list[Any], constants: dict[str, Any]) -> Any:
    weights = [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()]
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 1, 64, 64])]
    graph = helper.make_graph(nodes, "graph", inputs, outputs, weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)


def floats(name: str, shape: list[Any], kind: int = TensorProto.FLOAT) -> Any:
    return helper.make_tensor_value_info(name, kind, shape)


def top_k(k: int) -> Any:
    nodes = [
        helper.make_node("Reshape", ["x", "flat"], ["row"]),
        helper.make_node("TopK", ["row", "k"], ["y", "i"], name="choose/TopK"),
    ]
    return model(nodes, [floats("y", [k])], {"flat": np.array([-1]), "k": np.array([k])})


def resize(antialias: int) -> Any:
    node = helper.make_node("Resize", ["x", "", "s"], ["y"], name="up/Resize", mode="linear", antialias=antialias)
    return model([node], [floats("y", [1, 1, 32, 32])], {"s": np.array([1, 1, 0.5, 0.5], np.float32)})


def scatter(reduction: str) -> Any:
    node = helper.make_node("ScatterND", ["x", "i", "u"], ["y"], name="put/ScatterND", reduction=reduction)
    constants = {"i": np.zeros((1, 4), np.int64), "u": np.ones(1, np.float32)}
    return model([node], [floats("y", [1, 1, 64, 64])], constants)


def double() -> Any:
    nodes = [
        helper.make_node("Cast", ["x"], ["d"], name="wide/Cast", to=TensorProto.DOUBLE),
        helper.make_node("Cast", ["d"], ["y"], to=TensorProto.FLOAT),
    ]
    return model(nodes, [floats("y", [1, 1, 64, 64])], {})


@pytest.mark.parametrize(
    ("graph", "said"),
    [
        (top_k(3841), "TensorRT has no kernel for TopK (k above 3840) 'choose/TopK' of choose (Choice)"),
        (resize(1), "TensorRT has no kernel for Resize (antialias) 'up/Resize'"),
        (scatter("add"), "TensorRT has no kernel for ScatterND (with reduction) 'put/ScatterND'"),
        (double(), "computes in float64, which TensorRT refuses: Cast 'wide/Cast'"),
        (
            model(
                [helper.make_node("NonZero", ["x"], ["y"], name="find/NonZero")],
                [floats("y", [4, "n"], TensorProto.INT64)],
                {},
            ),
            "TensorRT has no kernel for NonZero 'find/NonZero'",
        ),
    ],
    ids=["TopK", "antialias", "scatter", "float64", "NonZero"],
)
def test_what_tensorrt_refuses_is_named_with_its_module(graph: Any, said: str) -> None:
    with pytest.raises(SegrtError) as refused:
        check_graph(graph, "net", {"choose/TopK": "choose (Choice)"})
    assert said in str(refused.value)


@pytest.mark.parametrize("graph", [top_k(3840), resize(0), scatter("none")], ids=["TopK", "Resize", "ScatterND"])
def test_what_tensorrt_takes_passes(graph: Any) -> None:
    assert check_graph(graph, "net").graph.node


def test_a_graph_that_is_not_valid_is_refused() -> None:
    graph = model([helper.make_node("Conv", ["x"], ["y"])], [floats("y", [1])], {})
    with pytest.raises(SegrtError, match="net: its graph is not valid ONNX"):
        check_graph(graph, "net")


class Finder(torch.nn.Module):
    """Counts pixels by looking them up, as TensorRT cannot."""

    def forward(self, pixels: Any) -> Any:
        """Return the positions of bright pixels, summed."""
        return torch.nonzero(pixels[0, 0] > 0).sum(0).float().view(1, 1, 1, 2)


class Core(torch.nn.Module):
    """Has the finder as a part."""

    def __init__(self) -> None:
        super().__init__()
        self.finder = Finder()

    def forward(self, pixels: Any) -> Any:
        """Return the finder's answer."""
        return self.finder(pixels)


def exportable(core: Any) -> Exportable:
    return Exportable(
        core=core.eval(),
        heads=(("logits", "semantic_logits"),),
        labels=(Label("thing", 0, True, (0, 0, 0)),),
        decode=Argmax(),
        source=Source("random", "none"),
        resize=Resize(),
        framework_result=lambda pixels, mask, geometry: None,  # type: ignore[arg-type,return-value]  # noqa: ARG005
    )


def test_a_refused_operator_is_traced_back_to_the_torch_module(tmp_path: Path) -> None:
    with pytest.raises(SegrtError, match=r"NonZero 'finder/NonZero' of finder \(Finder\)"):
        trace(exportable(Core()), (32, 32), tmp_path / "x.onnx", "net")
    assert not (tmp_path / "x.onnx").exists()


def test_what_torch_cannot_export_is_said_in_one_line(tmp_path: Path) -> None:
    class Chooser(torch.nn.Module):
        def forward(self, pixels: Any) -> Any:
            """Decide by a value, which no graph can."""
            return pixels if float(pixels.sum()) > 0 else pixels[:, :1]

    with pytest.raises(SegrtError, match="net: torch cannot export it") as refused:
        trace(exportable(Chooser()), (32, 32), tmp_path / "x.onnx", "net")
    assert "\n" not in str(refused.value)


def test_a_network_beyond_2_gb_is_refused_before_the_export(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracing, "LARGEST_FILE", 100)
    with pytest.raises(SegrtError, match="a bundle's ONNX file holds its weights inside and ends at 2 GB"):
        trace(exportable(torch.nn.Conv2d(3, 64, 3)), (32, 32), tmp_path / "x.onnx", "net")
    assert "takes 3.0 GB" in too_large("net", 3_000_000_000)
