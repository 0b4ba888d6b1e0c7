"""The converted graphs are what they say: types, codes and shares are right, and they compute what they should."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from segrt.export.precision import calibration, int8_cpu, switchable_network
from segrt.export.precision.calibration import METHODS, Histogram, collect
from segrt.export.precision.fp16 import to_fp16
from segrt.export.precision.indexed_graph import open_session, prepare_graph
from segrt.export.precision.int8 import quantisable, quantise_weight, to_int8
from segrt.export.precision.layer_costs import find_layers, kept_nodes
from segrt.export.precision.precision_counts import count_model
from segrt.export.precision.switchable_network import rounded_fp16, switchable_fp16, switchable_int8
from segrt.export.precision.variants import box_arithmetic
from segrt.runtime.errors import SegrtError


def feed(picture):
    return {"image": picture[None]}


def run(model, picture):
    return open_session(model, threads=1).run(None, feed(picture))[0]


def histograms(net, pictures, names=None):
    names = names or [node.input[0] for node in quantisable(net)]
    return collect(net, names, lambda: [feed(picture) for picture in pictures], threads=1)


def test_shares_are_counted_from_the_types_of_the_tensors(make_chain):
    model = make_chain()
    whole = count_model(model)
    pixels = 32 * 48
    macs = pixels * 9 * (3 * 8 + 4 * 8 * 8 + 8 * 4)
    assert whole.macs == {"fp32": macs}
    assert whole.parameters == {"fp32": 9 * (3 * 8 + 4 * 64 + 32) + 5 * 8 + 4 + 1}
    net = prepare_graph(model, "chain")
    half = count_model(to_fp16(net, {"conv2", "relu2"}))
    assert half.mac_share("fp16") == pytest.approx(1 - pixels * 9 * 64 / macs)
    assert half.parameters["fp32"] == 9 * 64 + 8


def test_einsum_matmul_gemm_and_transposed_convolution_are_counted():
    def shares(kind, inputs, out, **attributes):
        infos = [
            helper.make_tensor_value_info(f"i{place}", TensorProto.FLOAT, shape) for place, shape in enumerate(inputs)
        ]
        node = helper.make_node(kind, [info.name for info in infos], ["o"], **attributes)
        graph = helper.make_graph([node], "g", infos, [helper.make_tensor_value_info("o", TensorProto.FLOAT, out)])
        return count_model(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)])).total_macs

    assert shares("MatMul", [[2, 5, 7], [7, 3]], [2, 5, 3]) == 2 * 5 * 7 * 3
    assert shares("Gemm", [[7, 5], [3, 7]], [5, 3], transA=1, transB=1) == 5 * 7 * 3
    assert shares("Einsum", [[2, 4, 6], [2, 6, 9]], [2, 4, 9], equation="bqc,bcp->bqp") == 2 * 4 * 6 * 9
    assert shares("Einsum", [[2, 4, 6], [6, 9]], [2, 4, 9], equation="...qc,cp->...qp") == 2 * 4 * 6 * 9
    assert shares("ConvTranspose", [[1, 4, 5, 5], [4, 3, 2, 2]], [1, 3, 10, 10], strides=[2, 2]) == 4 * 25 * 3 * 4


def test_fp16_has_half_heads_half_weights_and_the_bytes_input(make_chain, pictures):
    model = make_chain()
    half = to_fp16(prepare_graph(model, "chain"))
    onnx.checker.check_model(half, full_check=True)
    assert half.graph.input[0].type.tensor_type.elem_type == TensorProto.UINT8
    assert half.graph.output[0].type.tensor_type.elem_type == TensorProto.FLOAT16
    assert {tensor.data_type for tensor in half.graph.initializer} == {TensorProto.FLOAT16}
    wanted, found = run(model, pictures[0]), run(half, pictures[0])
    assert found.dtype == np.float16
    np.testing.assert_allclose(found, wanted, atol=0.02)


def test_neighbouring_nodes_that_are_kept_hand_over_float32(make_chain):
    half = to_fp16(prepare_graph(make_chain(overflow=True), "chain"), {"conv2", "shrink"})
    casts = [node for node in half.graph.node if node.op_type == "Cast" and node.name != "cast"]
    assert [node.input[0] for node in casts] == ["x2", "y2s"]
    makers = {name: node for node in half.graph.node for name in node.output}
    assert makers["y2s"].input[0] == "y2"


def test_the_squares_of_a_normalisation_stay_in_float32():
    nodes = [
        helper.make_node("ReduceMean", ["x", "axes"], ["mean"], name="mean"),
        helper.make_node("Sub", ["x", "mean"], ["centred"], name="centre"),
        helper.make_node("Pow", ["centred", "two"], ["squares"], name="square"),
        helper.make_node("ReduceMean", ["squares", "axes"], ["variance"], name="variance"),
        helper.make_node("Add", ["variance", "epsilon"], ["safe"], name="add"),
        helper.make_node("Sqrt", ["safe"], ["deviation"], name="root"),
        helper.make_node("Div", ["centred", "deviation"], ["normal"], name="divide"),
        helper.make_node("MatMul", ["normal", "w"], ["y"], name="product"),
    ]
    constants = {
        "axes": np.array([-1]),
        "two": np.array(2, np.float32),
        "epsilon": np.array(1e-12, np.float32),
        "w": np.eye(16, dtype=np.float32),
    }
    graph = helper.make_graph(
        nodes,
        "norm",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [4, 16])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [4, 16])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    net = prepare_graph(model, "norm")
    half = to_fp16(net)
    onnx.checker.check_model(half, full_check=True)
    x = np.random.default_rng(0).normal(0, 600, (4, 16)).astype(np.float32)  # squares up to 360,000
    x[3] = 7.0  # no variance: only a float32 epsilon keeps this from 0 / 0
    switched = switchable_fp16(net, find_layers(net), set())
    found = switched.run({"x": x}, range(2))["y"]
    wanted = open_session(model).run(None, {"x": x})[0]
    assert np.isfinite(found).all()
    np.testing.assert_allclose(found, wanted, atol=4e-3)
    np.testing.assert_allclose(open_session(half).run(None, {"x": x})[0], wanted, atol=4e-3)


def test_a_switched_network_rounds_where_it_is_told(make_chain, pictures):
    model = make_chain(overflow=True)
    net = prepare_graph(model, "chain")
    layers = find_layers(net)
    assert [layer.label for layer in layers] == ["input", *(f"body.{index}" for index in range(6))]
    switched = switchable_fp16(net, layers, set(), threads=1)
    wanted = run(model, pictures[0])
    np.testing.assert_allclose(switched.run(feed(pictures[0]), [])["logits"], wanted, atol=1e-5)
    assert not np.isfinite(switched.run(feed(pictures[0]), range(7))["logits"]).all()
    without = switched.run(feed(pictures[0]), [0, 1, 2, 4, 5, 6])["logits"]
    np.testing.assert_allclose(without, wanted, atol=0.02)
    assert np.abs(without - wanted).max() > 1e-5


@pytest.mark.parametrize("overflow", [False, True])
def test_a_network_rounded_as_a_whole_equals_the_one_with_all_switches_on(make_chain, pictures, overflow):
    net = prepare_graph(make_chain(overflow=overflow), "chain")
    layers = find_layers(net)
    switched = switchable_fp16(net, layers, {"conv3"}, threads=1).run(feed(pictures[0]), range(len(layers)))
    rounded = rounded_fp16(net, {"conv3"}, threads=1).run(feed(pictures[0]), ())
    # Sums in another order may round to the neighbour, and what reads that to its own.
    np.testing.assert_allclose(rounded["logits"], switched["logits"], atol=4e-3)
    same = (rounded["logits"] == switched["logits"]) | np.isnan(rounded["logits"])
    assert same.mean() > 0.9
    exact = run(net.model, pictures[0])
    assert np.isfinite(rounded["logits"]).all() == (not overflow)
    assert overflow or np.abs(rounded["logits"] - exact).max() > 1e-4, "it rounds"


def test_a_network_rounded_as_a_whole_keeps_its_layout_for_less_memory(make_chain, monkeypatch):
    opened = []

    def opening(_, **options):
        opened.append(options["layouts"])

    monkeypatch.setattr(switchable_network, "open_session", opening)
    net = prepare_graph(make_chain(), "chain")
    rounded_fp16(net, set())
    switchable_fp16(net, find_layers(net), set())
    assert opened == [False, True]


def test_int8_is_symmetric_by_channel_and_equals_the_switched_network(make_chain, pictures):
    net = prepare_graph(make_chain(), "chain")
    thresholds = {name: found.threshold("minmax") for name, found in histograms(net, pictures).items()}
    model = to_int8(net, thresholds, {"conv5"})
    onnx.checker.check_model(model, full_check=True)
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    zeros = [node.input[2] for node in model.graph.node if node.op_type in ("QuantizeLinear", "DequantizeLinear")]
    assert zeros
    assert all(constants[name].dtype == np.int8 and not constants[name].any() for name in zeros)
    scales = [constants[node.input[1]].shape for node in model.graph.node if "weight" in node.name]
    assert scales == [(8,)] * 5
    assert count_model(model).by_node.keys() == {f"conv{index}" for index in range(6)}
    assert count_model(model).mac_share("int8") < 1
    layers = find_layers(net)
    switched = switchable_int8(net, layers, thresholds, set(), threads=1)
    for low in ([1], [2, 3], range(1, 6)):
        kept = {node for place in range(7) if place not in low for node in layers[place].nodes}
        found = switched.run(feed(pictures[1]), low)["logits"]
        difference = np.abs(found - run(to_int8(net, thresholds, kept), pictures[1]))
        assert difference.mean() < 2e-3  # a value between two codes may fall to either
        assert np.abs(found - run(net.model, pictures[1])).mean() > 5 * difference.mean()


def test_weights_lose_at_most_half_a_step():
    values = np.random.default_rng(1).normal(0, 1, (6, 3, 3, 3)).astype(np.float32)
    values[2] *= 100
    values[4] = 0
    for axis in (0, 1, None):
        codes, scale = quantise_weight(values, axis)
        shape = [1] * 4
        if axis is not None:
            shape[axis] = -1
        back = codes * scale.reshape(shape) if axis is not None else codes * scale
        assert np.all(np.abs(back - values) <= scale.max() / 2 + 1e-6)
        assert np.abs(codes).max() == 127


def test_int8_for_cpus_absorbs_activations_and_stays_in_bytes(make_chain, pictures):
    model = make_chain()
    net = prepare_graph(model, "chain")
    planned = int8_cpu.plan(net)
    assert planned.absorbed == {f"relu{index}" for index in range(5)}
    found = histograms(net, pictures, list(planned.coded))
    quantised = int8_cpu.to_int8_cpu(net, {name: entry.range("minmax") for name, entry in found.items()})
    onnx.checker.check_model(quantised, full_check=True)
    assert not [node for node in quantised.graph.node if node.op_type == "Relu"]
    assert count_model(quantised).mac_share("int8-cpu") == 1
    weights = [tensor for tensor in quantised.graph.initializer if tensor.data_type == TensorProto.INT8]
    assert max(int(np.abs(numpy_helper.to_array(tensor)).max()) for tensor in weights) == 63
    wanted, found_logits = run(model, pictures[2]), run(quantised, pictures[2])
    assert np.sqrt(np.mean((found_logits - wanted) ** 2) / np.mean(wanted**2)) < 0.12


def test_calibrating_in_parts_sees_the_same(make_chain, pictures, monkeypatch):
    net = prepare_graph(make_chain(), "chain")
    whole = histograms(net, pictures)
    monkeypatch.setattr(calibration, "_MOST_BYTES", 1)
    parts = histograms(net, pictures)
    assert list(whole) == list(parts) == [f"x{index}" for index in range(6)]
    for name, histogram in whole.items():
        np.testing.assert_array_equal(histogram.counts, parts[name].counts)
        assert (histogram.lowest, histogram.highest) == (parts[name].lowest, parts[name].highest)


@pytest.mark.parametrize("method", METHODS)
def test_thresholds_lie_within_what_was_seen(method):
    random = np.random.default_rng(5)
    histogram = Histogram()
    for scale in (0.01, 1.0, 3.0):
        histogram.add(random.normal(0, scale, 20_000).astype(np.float32))
    histogram.add(np.array([40.0, -2.0, np.inf, np.nan], np.float32))
    assert histogram.largest == 40.0
    assert histogram.counts.sum() == 60_002
    threshold = histogram.threshold(method)
    assert 3.0 < threshold <= 40.0
    assert threshold == 40.0 or method not in ("minmax", "percentile-99.999")
    assert threshold < 40.0 or method in ("minmax", "percentile-99.999")
    lowest, highest = histogram.range(method)
    assert -threshold <= lowest < 0 < highest <= threshold


def test_least_squares_is_the_best_of_the_thresholds_in_squared_error():
    values = np.random.default_rng(2).laplace(0, 1, 100_000).astype(np.float32)
    histogram = Histogram()
    histogram.add(values)

    def loss(threshold):
        step = threshold / 127
        return float(np.mean((values - np.clip(np.rint(values / step), -127, 127) * step) ** 2))

    best = min(loss(threshold) for threshold in np.linspace(1, np.abs(values).max(), 200))
    assert loss(histogram.threshold("mse")) < 1.05 * best
    assert loss(histogram.threshold("minmax")) > 1.05 * best


def test_patterns_name_nodes_or_modules_and_must_fit_something(make_chain):
    net = prepare_graph(make_chain(), "chain")
    assert kept_nodes(net, ["body.2"]) == {"conv2"}
    assert kept_nodes(net, ["relu*", "body"]) == {f"relu{i}" for i in range(5)} | {f"conv{i}" for i in range(6)}
    with pytest.raises(SegrtError, match="no node or module of the network is called 'decoder'"):
        kept_nodes(net, ["decoder"])
    assert kept_nodes(net, ["decoder", "conv1"], must_fit=False) == {"conv1"}


def test_the_arithmetic_of_boxes_stays_in_float32(tiny):
    net = prepare_graph(tiny.box_model(), "boxes")
    network = tiny.network("paste_masks")
    kept = box_arithmetic(net, network)
    assert len(kept) == 1
    half = to_fp16(net, kept)
    types = {value.name: value.type.tensor_type.elem_type for value in half.graph.output}
    assert types == {
        "boxes": TensorProto.FLOAT,
        "scores": TensorProto.FLOAT16,
        "labels": TensorProto.INT64,
        "masks": TensorProto.FLOAT16,
    }


def test_quantised_and_half_networks_are_refused(make_chain, pictures):
    net = prepare_graph(make_chain(), "chain")
    thresholds = {name: found.threshold("minmax") for name, found in histograms(net, pictures[:1]).items()}
    with pytest.raises(SegrtError, match=r"net\.onnx: is quantised already \(QuantizeLinear"):
        prepare_graph(to_int8(net, thresholds), "net.onnx")
    with pytest.raises(SegrtError, match=r"net\.onnx: is a float16 network already"):
        prepare_graph(to_fp16(net), "net.onnx")
