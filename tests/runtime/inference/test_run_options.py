"""What ONNX Runtime is told with each execution."""

from segrt.runtime.inference.onnxruntime.network_session import bounded


def test_the_graphs_id_is_given_so_that_nothing_is_thrown_for_want_of_it() -> None:
    for has_loops in (False, True):
        with bounded(has_loops=has_loops) as options:
            assert options.get_run_config_entry("gpu_graph_id") == "0"
