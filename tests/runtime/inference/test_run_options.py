"""What ONNX Runtime is told with each session and each execution."""

from segrt.runtime.inference.onnxruntime.network_session import bounded, little_memory, session_options


def test_the_graphs_id_is_given_so_that_nothing_is_thrown_for_want_of_it() -> None:
    for has_loops in (False, True):
        with bounded(has_loops=has_loops) as options:
            assert options.get_run_config_entry("gpu_graph_id") == "0"


def test_where_memory_is_little_no_buffer_is_held_between_two_tensors() -> None:
    def kept() -> list[bool]:
        options = session_options(1)
        return [options.enable_cpu_mem_arena, options.enable_mem_pattern, options.enable_mem_reuse]

    assert kept() == [True, True, True]
    with little_memory():
        assert kept() == [False, False, False]
    assert kept() == [True, True, True]
