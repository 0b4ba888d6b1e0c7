"""Times of layers: the readers of profilers' JSON, the way back to modules, and ONNX Runtime's real profiler."""

import json

import numpy as np
import pytest

from segrt.runtime import open_bundle
from segrt.runtime.bundle.locating import read_bundle
from segrt.runtime.inference.layers.attribution import layer_table
from segrt.runtime.inference.layers.module_names import Node, read_nodes, scopes_to_module, weight_to_module
from segrt.runtime.inference.layers.onnxruntime_trace import read_trace
from segrt.runtime.inference.layers.raw_layer import RawLayer
from segrt.runtime.inference.tensorrt.layer_trace import combine, read_profile
from segrt.runtime.profiling.layer_times import measure_layers

NODES = (
    Node("conv1", "Conv", ("x",), ("conv1_out",), "backbone.conv1"),
    Node("relu1", "Relu", ("conv1_out",), ("relu1_out",), "backbone.act"),
    Node("/head/MatMul_2", "MatMul", ("relu1_out",), ("val_4",), "head.attn"),
    Node("softmax", "Softmax", ("val_4",), ("prob",), "head.attn"),
    Node("conv9", "Conv", ("prob",), ("y",), "head.out"),
)

# As `IBuilderConfig.profiling_verbosity = DETAILED` makes the engine inspector write it, shortened.
INFORMATION = json.dumps(
    {
        "Layers": [
            {
                "Name": "Reformatting CopyNode for Input Tensor 0 to conv1 + relu1",
                "LayerType": "Reformat",
                "Inputs": [{"Name": "x", "Location": "Device", "Dimensions": [1, 3, 8, 8],
                            "Format/Datatype": "Row major linear FP32 format"}],
                "Outputs": [{"Name": "r", "Location": "Device", "Dimensions": [1, 3, 8, 8],
                             "Format/Datatype": "Channel major FP16 format where channel % 4 == 0"}],
                "ParameterType": "Reformat",
                "Metadata": "",
            },
            {
                "Name": "conv1 + relu1",
                "LayerType": "CaskConvolution",
                "Inputs": [{"Name": "r", "Dimensions": [1, 3, 8, 8],
                            "Format/Datatype": "Channel major FP16 format where channel % 4 == 0"}],
                "Outputs": [{"Name": "relu1_out", "Dimensions": [1, 8, 8, 8],
                             "Format/Datatype": "Channel major FP16 format where channel % 4 == 0"}],
                "ParameterType": "Convolution",
                "TacticName": "sm80_xmma_fprop",
                "Metadata": "[ONNX Layer: conv1]\u001e[ONNX Layer: relu1]",
            },
            {
                "Name": "{ForeignNode[/head/MatMul_2...softmax]}",
                "LayerType": "Myelin",
                "Inputs": [{"Name": "relu1_out", "Format/Datatype": "Row major linear FP16 format"}],
                "Outputs": [],
                "Metadata": "",
            },
        ],
        "Bindings": ["x", "y"],
    }
)  # fmt: skip

# As `trtexec --exportProfile` writes it.
PROFILE = """[
  { "count" : 625 }
, { "name" : "Reformatting CopyNode for Input Tensor 0 to conv1 + relu1", "timeMs" : 36.7, "averageMs" : 0.05, "medianMs" : 0.05, "percentage" : 5 }
, { "name" : "conv1 + relu1", "timeMs" : 41.4, "averageMs" : 0.45, "percentage" : 45 }
, { "name" : "{ForeignNode[/head/MatMul_2...softmax]}", "timeMs" : 68.3, "averageMs" : 0.4, "percentage" : 40 }
, { "name" : "__mye_conv9_myl0_7", "timeMs" : 0, "averageMs" : 0.1, "percentage" : 10 }
]"""  # noqa: E501


def test_tensorrts_layers_come_with_precision_and_modules() -> None:
    rows = layer_table(combine(read_profile(PROFILE), INFORMATION), NODES)
    assert [row.name for row in rows][1] == "conv1 + relu1"
    assert [(row.kind, row.precision) for row in rows[:3]] == [
        ("reformat", "float32"),
        ("convolution", "float16"),
        ("myelin", "float16"),
    ]
    assert rows[1].nodes == ("conv1", "relu1")
    assert rows[1].modules == ("backbone.conv1", "backbone.act")
    assert rows[2].nodes == ("/head/MatMul_2", "softmax")
    assert rows[2].modules == ("head.attn",)
    assert sum(row.share for row in rows) == pytest.approx(1.0)
    assert rows[1].share == pytest.approx(0.45)


def test_a_reformat_counts_to_the_layers_that_it_serves() -> None:
    rows = layer_table(combine(read_profile(PROFILE), INFORMATION), NODES)
    assert rows[0].nodes == ("conv1", "relu1")


def test_without_details_names_alone_find_their_nodes() -> None:
    names = ["conv1 + relu1", "PWN(softmax)", "/head/MatMul_2_0", "relu1_out_nchwc", "conv9_myl0_7", "ReorderOutput"]
    rows = layer_table([RawLayer(name, "", 1.0) for name in names], NODES)
    assert [row.nodes for row in rows] == [
        ("conv1", "relu1"), ("softmax",), ("/head/MatMul_2",), ("relu1",), ("conv9",), (),
    ]  # fmt: skip


def test_onnxruntimes_trace_is_averaged_over_the_runs_that_count() -> None:
    def run(start: int, duration: int) -> list[dict[str, object]]:
        return [
            {"cat": "Session", "name": "model_run", "ts": start, "dur": 900},
            {"cat": "Node", "name": "conv1_kernel_time", "ts": start + 1, "dur": duration, "args": {"op_name": "Conv"}},
            {"cat": "Node", "name": "conv1_fence_after", "ts": start + 2, "dur": 77, "args": {"op_name": "Conv"}},
            {"cat": "Node", "name": "relu1_kernel_time", "ts": start + 3, "dur": 10, "args": {"op_name": "Relu"}},
        ]

    events = [{"cat": "Session", "name": "session_initialization", "ts": 0, "dur": 5}]
    text = json.dumps(events + run(100, 9000) + run(2000, 100) + run(4000, 300))
    assert read_trace(text, warmup=1) == [RawLayer("conv1", "Conv", 0.2), RawLayer("relu1", "Relu", 0.01)]
    with pytest.raises(ValueError, match="3 runs, of which 3"):
        read_trace(text, warmup=3)


@pytest.mark.parametrize("text", ["{}", "[1, 2]", '{"Layers": 3}'])
def test_other_json_is_refused(text: str) -> None:
    with pytest.raises((ValueError, AttributeError)):
        read_profile(text)


def test_modules_are_read_from_scopes_and_weights() -> None:
    assert scopes_to_module("['', 'head', 'head.attn', 'linear']") == "head.attn"
    assert scopes_to_module("['', 'relu']") == ""
    assert scopes_to_module("no list") == ""
    assert weight_to_module("head.conv.weight_bias") == "head.conv"
    assert weight_to_module("val_3") == ""


def test_the_nodes_of_a_real_network_are_those_that_onnx_reads() -> None:
    onnx = pytest.importorskip("onnx")
    bundle = read_bundle("street-panoptic")
    path = bundle.network(bundle.variant())
    graph = onnx.load(str(path)).graph
    nodes = read_nodes(path)
    assert [(node.name, node.operator, node.inputs, node.outputs) for node in nodes] == [
        (node.name, node.op_type, tuple(node.input), tuple(node.output)) for node in graph.node
    ]
    convolution = next(node for node in nodes if node.operator == "Conv")
    assert convolution.module == convolution.inputs[1].removesuffix(".weight")


def test_a_real_networks_time_is_mapped_back_to_its_modules() -> None:
    with open_bundle("street-semantic", backend="onnxruntime", threads=1) as segmenter:
        rows = measure_layers(segmenter, np.zeros((192, 320, 3), np.uint8), runs=2)
    assert all(row.mean_ms >= 0 for row in rows)
    convolutions = [row for row in rows if row.kind in ("Conv", "FusedConv")]
    assert len(convolutions) > 10
    assert all(row.modules and row.modules[0].startswith("network.") for row in convolutions)
    assert sum(row.share for row in rows) == pytest.approx(1.0)
    assert len([row for row in rows if row.nodes]) > 0.8 * len(rows)
