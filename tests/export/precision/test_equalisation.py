"""Networks that are made ready for int8: the same in float32, with channels of one range and unbiased layers."""

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from segrt.export.precision.bias_correction import mean_errors, with_corrected_biases
from segrt.export.precision.channel_groups import ChannelGroups
from segrt.export.precision.equalisation import equalise
from segrt.export.precision.indexed_graph import IndexedGraph, open_session, prepare_graph
from segrt.export.precision.int8 import Int8Coder, to_int8
from segrt.export.precision.int8_cpu import Int8CpuCoder

SIZE = 12


class Builder:
    """Builds networks of one input (1, 4, 12, 12) and one output."""

    def __init__(self, seed: int) -> None:
        self.random = np.random.default_rng(seed)
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, np.ndarray] = {}
        self.spread = 1.0

    def add(self, kind: str, inputs: list[str], outputs: int = 1, **attributes: object) -> str:
        """Append a node; return the name of its first output."""
        out = f"t{len(self.nodes)}"
        names = [out] if outputs == 1 else [f"{out}_{index}" for index in range(outputs)]
        self.nodes.append(helper.make_node(kind, inputs, names, name=f"{kind}_{len(self.nodes)}", **attributes))
        return names[0]

    def constant(self, values: object) -> str:
        """Add a constant; return its name."""
        name = f"c{len(self.constants)}"
        self.constants[name] = np.asarray(values)
        return name

    def conv(self, name: str, inputs: int, outputs: int, *, group: int = 1, kind: str = "Conv") -> str:
        """Append a convolution whose output channels differ in range by up to `spread`."""
        shape = (outputs, inputs // group, 3, 3) if kind == "Conv" else (inputs, outputs // group, 3, 3)
        weights = self.random.normal(0, 0.3, shape)
        gains = np.exp(self.random.uniform(-np.log(self.spread), 0, outputs))
        if kind == "Conv":
            weights *= gains.reshape(-1, 1, 1, 1)
        bias = self.random.normal(0, 0.1, outputs) * gains
        names = [self.constant(values.astype(np.float32)) for values in (weights, bias)]
        return self.add(kind, [name, *names], group=group, pads=[1, 1, 1, 1])

    def model(self, out: str) -> onnx.ModelProto:
        """Return the network whose output is `out`."""
        graph = helper.make_graph(
            self.nodes,
            "network",
            [helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 4, SIZE, SIZE])],
            [helper.make_tensor_value_info(out, TensorProto.FLOAT, None)],
            [numpy_helper.from_array(value, name) for name, value in self.constants.items()],
        )
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)

    def feeds(self, count: int = 3) -> list[dict[str, np.ndarray]]:
        """Return inputs, the same each time."""
        random = np.random.default_rng(99)
        return [{"image": random.normal(0, 1, (1, 4, SIZE, SIZE)).astype(np.float32)} for _ in range(count)]


def run(model: onnx.ModelProto, feed: dict[str, np.ndarray]) -> np.ndarray:
    session = open_session(model, threads=1)
    values: np.ndarray = session.run(None, feed)[0]
    return values


def every_tensor(net: IndexedGraph) -> list[str]:
    return [name for node in net.nodes for name in node.output]


def body(build: Builder, steps: list[str]) -> str:
    """A network with all that scales pass, and some that they do not, in the order of `steps`."""
    x, width = build.conv("image", 4, 8), 8
    for step in steps:
        if step in ("Relu", "LeakyRelu", "Sigmoid", "Tanh", "HardSwish", "GlobalAveragePool"):
            x = build.add(step, [x]) if step != "GlobalAveragePool" else build.add("Mul", [x, build.add(step, [x])])
        elif step == "PRelu":
            slopes = build.random.uniform(-0.5, 0.5, (width, 1, 1)).astype(np.float32)
            x = build.add("PRelu", [x, build.constant(slopes)])
        elif step == "depthwise":
            x = build.conv(x, width, width, group=width)
        elif step == "grouped":
            x = build.conv(x, width, width, group=2)
        elif step == "transposed":
            x = build.conv(x, width, width, group=2, kind="ConvTranspose")
        elif step == "norm":
            gain, offset, mean = (build.random.normal(1, 0.3, width).astype(np.float32) for _ in range(3))
            variance = build.random.uniform(0.5, 2, width).astype(np.float32)
            x = build.add("BatchNormalization", [x, *map(build.constant, (gain, offset, mean, variance))])
        elif step == "residual":
            x = build.add("Add", [x, build.conv(x, width, width)])
        elif step == "gate":
            x = build.add("Mul", [x, build.add("Sigmoid", [build.conv(x, width, width)])])
        elif step == "concat":
            x, width = build.add("Concat", [x, build.conv(x, width, 4)], axis=1), width + 4
        elif step == "split":
            first = build.add("Split", [x], outputs=2, axis=1, num_outputs=2)
            x = build.add("Concat", [first.replace("_0", "_1"), first], axis=1)
        elif step == "pool":
            x = build.add("MaxPool", [x], kernel_shape=[3, 3], pads=[1, 1, 1, 1])
        elif step == "bias":
            x = build.add("Add", [x, build.constant(build.random.normal(0, 1, (width, 1, 1)).astype(np.float32))])
        elif step == "shuffle":
            x = build.add("Reshape", [x, build.constant(np.array([1, 2, width // 2, SIZE, SIZE], np.int64))])
            x = build.add("Transpose", [x], perm=[0, 2, 1, 3, 4])
            x = build.add("Reshape", [x, build.constant(np.array([1, width, SIZE, SIZE], np.int64))])
        elif step == "gather":
            turned = np.arange(SIZE)[::-1].astype(np.int64).copy()
            x = build.add("Gather", [x, build.constant(turned)], axis=2)
    return build.conv(x, width, 3)


STEPS = (
    "Relu", "LeakyRelu", "Sigmoid", "Tanh", "HardSwish", "PRelu", "depthwise", "grouped", "transposed", "norm",
    "residual", "gate", "concat", "split", "pool", "bias", "shuffle", "gather", "GlobalAveragePool",
)  # fmt: skip


@settings(max_examples=40, deadline=None)
@given(st.lists(st.sampled_from(STEPS), max_size=8), st.integers(0, 99))
def test_an_equalised_network_computes_the_same(steps: list[str], seed: int) -> None:
    build = Builder(seed)
    build.spread = 1000.0
    model = build.model(body(build, steps))
    net = prepare_graph(model, "network")
    equalised = equalise(net, every_tensor(net), build.feeds, threads=1)
    for feed in build.feeds(2):
        wanted = run(model, feed)
        np.testing.assert_allclose(run(equalised.model, feed), wanted, rtol=1e-3, atol=1e-4 * np.abs(wanted).max())


def test_channels_of_a_depthwise_layer_get_one_range() -> None:
    build = Builder(5)
    build.spread = 1000.0
    first = build.add("PRelu", [build.conv("image", 4, 8), build.constant(np.full((8, 1, 1), 0.2, np.float32))])
    build.spread = 1.0
    model = build.model(build.conv(build.conv(first, 8, 8, group=8), 8, 3))
    net = equalise(prepare_graph(model, "network"), [first], build.feeds, threads=1)
    probe = onnx.ModelProto()
    probe.CopyFrom(net.model)
    probe.graph.output.append(helper.make_tensor_value_info(first, TensorProto.FLOAT, None))
    largest = np.max(
        [np.abs(open_session(probe).run([first], feed)[0]).max(axis=(0, 2, 3)) for feed in build.feeds()], axis=0
    )
    np.testing.assert_allclose(largest, largest.max(), rtol=1e-4)


def test_what_is_not_homogeneous_or_leaves_the_network_is_not_scaled() -> None:
    build = Builder(0)
    first = build.conv("image", 4, 8)
    bent = build.add("Tanh", [first])
    second = build.conv(bent, 8, 8)
    out = build.conv(build.add("Relu", [second]), 8, 3)
    groups = ChannelGroups(prepare_graph(build.model(out), "network"))
    assert groups.fixed[groups.numbers[first]].all()
    assert groups.fixed[groups.numbers["image"]].all()
    assert not groups.fixed[groups.numbers[second]].any()
    assert groups.fixed[groups.numbers[out]].all()


@pytest.mark.parametrize("coder", [Int8Coder, Int8CpuCoder])
def test_corrected_biases_take_a_nearly_constant_channel_s_error_away(coder: type) -> None:
    """A channel that is 0.31 everywhere lies between two codes of a tensor that reaches 10, and counts 300 times."""
    build = Builder(1)
    weights, bias = np.zeros((2, 4, 1, 1), np.float32), np.array([0.0, 0.31], np.float32)
    weights[0, 0] = 3.0
    first = build.add("Conv", ["image", *map(build.constant, (weights, bias))])
    large = np.array([[[[1.0]], [[300.0]]]], np.float32)
    model = build.model(build.add("Conv", [first, build.constant(large)]))
    net = prepare_graph(model, "network")
    feeds = build.feeds()
    values = {"image": (-4.0, 4.0), first: (-10.0, 10.0)}
    given_ranges = values if coder is Int8CpuCoder else {name: high for name, (_, high) in values.items()}
    corrected = with_corrected_biases(net, mean_errors(net, coder(net, given_ranges), feeds, threads=1), ())
    assert len(corrected.nodes[1].input) == 3
    if coder is Int8Coder:
        thresholds = {name: high for name, (_, high) in values.items()}
        wanted = run(model, feeds[0])
        before = np.mean(run(to_int8(net, thresholds), feeds[0]) - wanted)
        after = np.mean(run(to_int8(corrected, thresholds), feeds[0]) - wanted)
        assert abs(before) > 1
        assert abs(after) < 0.1
    else:
        codes = np.rint(0.31 / (20 / 255)) * (20 / 255)
        shift = float(corrected.array(corrected.nodes[1].input[2])[0])
        assert shift == pytest.approx(300 * (0.31 - codes), abs=1.5)


def test_a_bias_that_is_computed_is_left_alone() -> None:
    build = Builder(2)
    weights = build.constant(build.random.normal(0, 1, (3, 4, 1, 1)).astype(np.float32))
    pooled = build.add("GlobalAveragePool", ["image"])
    bias = build.add("Slice", [build.add("Reshape", [pooled, build.constant(np.array([4], np.int64))]),
                               *(build.constant(np.array([end], np.int64)) for end in (0, 3))])  # fmt: skip
    model = build.model(build.add("Conv", ["image", weights, bias]))
    net = prepare_graph(model, "network")
    coder = Int8Coder(net, {"image": 4.0})
    assert mean_errors(net, coder, build.feeds(), threads=1) == {}
