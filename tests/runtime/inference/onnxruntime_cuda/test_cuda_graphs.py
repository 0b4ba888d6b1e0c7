"""ONNX Runtime's graphs: where they are recorded, what hinders them, and what is done without."""

import threading
from types import SimpleNamespace

import numpy as np
from cuda_sessions import assert_right, opened
from onnx import TensorProto, helper
from simulated_provider import Simulation

from segrt.runtime.bundle.bundle import Bundle
from segrt.runtime.inference.onnxruntime import OnnxRuntimeBackend
from segrt.runtime.inference.tensors import TensorSpec


def test_a_graph_stays_in_the_thread_that_recorded_it(bundle: Bundle, simulation: Simulation) -> None:
    with opened(bundle) as backend:
        slot = backend.acquire()
        backend.submit(slot)
        backend.wait(slot)
        backend.release(slot)
        caller = threading.Thread(target=assert_right, args=(bundle, backend, 3))
        caller.start()
        caller.join()
        assert_right(bundle, backend, 4)
    assert [len(session.graphs) for session in simulation.on_cuda] == [1, 1]
    assert threading.get_ident() not in {thread for session in simulation.on_cuda for thread in session.graphs}


def test_a_graph_that_is_refused_or_fails_is_told_and_done_without(bundle: Bundle, simulation: Simulation) -> None:
    simulation.cpu_nodes = True
    with opened(bundle, slots=1) as backend:
        assert "cannot use the graph capture feature" in backend.why_no_graph
        assert_right(bundle, backend, 1)
    assert simulation.on_cuda[-1].runs[-1] == {}, "nodes on the CPU: ONNX Runtime must wait at the end"
    simulation.cpu_nodes = False
    simulation.fail["capture"] = "operation not permitted when stream is capturing"
    with opened(bundle, slots=1) as backend:
        assert "operation not permitted when stream is capturing" in backend.why_no_graph
        assert_right(bundle, backend, 2)
        assert "\n" not in backend.why_no_graph


def test_channels_last_gives_way_to_a_graph_that_it_hinders(bundle: Bundle, simulation: Simulation) -> None:
    def told() -> tuple[str, str]:
        with opened(bundle, slots=1, precision="tf32") as backend:
            assert_right(bundle, backend, 1)
            assert bool(backend.why_no_graph) == simulation.cpu_nodes
        options = simulation.on_cuda[-1].provider_options or {}
        return options["prefer_nhwc"], options.get("enable_cuda_graph", "0")

    assert told() == ("1", "1")
    simulation.layout_adds_cpu_nodes = True
    assert told() == ("0", "1")
    simulation.cpu_nodes = True
    assert told() == ("1", "0"), "no graph either way"


def test_heads_that_vary_are_downloaded_by_onnxruntime_and_hinder_a_graph(
    tiny: SimpleNamespace, simulation: Simulation
) -> None:
    model = tiny.build(
        [helper.make_node("NonZero", ["x"], ["found"]), helper.make_node("Neg", ["x"], ["negative"])],
        [helper.make_tensor_value_info("x", TensorProto.INT64, [5])],
        [
            helper.make_tensor_value_info("found", TensorProto.INT64, [1, "n"]),
            helper.make_tensor_value_info("negative", TensorProto.INT64, [5]),
        ],
        {},
    )
    heads = [TensorSpec("found", "int64", (1, "n")), TensorSpec("negative", "int64", (5,))]
    inputs = [TensorSpec("x", "int64", (5,))]
    with OnnxRuntimeBackend(tiny.save(model), inputs, heads, threads=1, heads_on="cuda") as backend:
        assert backend.head_device == "cpu"
        assert backend.why_no_graph == "head 'found' has a length that varies"
        for values in ([0, 7, 0, 0, 1], [1, 1, 1, 0, 0], [0] * 5):
            got = backend.run({"x": np.array(values)})
            assert got["negative"].tolist() == [-value for value in values]
            assert got["found"].tolist() == [np.flatnonzero(values).tolist()]
    assert simulation.on_cuda[0].runs[-1] == {}
