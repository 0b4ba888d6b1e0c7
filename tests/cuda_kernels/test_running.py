"""Programs are made once, launched as graphs and freed in time; what the GPU cannot decode is decoded on the CPU."""

import ctypes
import gc
import logging
from collections.abc import Iterator

import numpy as np
import pytest
from emulated_cuda import EmulatedCuda, emulated_kernels
from programs import labels

from segrt.runtime.decode.argmax import Argmax
from segrt.runtime.decode.cuda import running
from segrt.runtime.decode.cuda.argmax import ArgmaxProgram
from segrt.runtime.decode.cuda.program import UnfitHeadsError
from segrt.runtime.decode.decoders import DECODERS, PROGRAMS, find_decoder
from segrt.runtime.decode.rule import Context
from segrt.runtime.errors import BackendError, DeviceLostError
from segrt.runtime.inference.cuda import kernels
from segrt.runtime.inference.cuda.cuda_errors import CudaError
from segrt.runtime.inference.cuda.slot_queue import SlotQueue
from segrt.runtime.inference.tensors import TensorSpec
from segrt.runtime.preprocess.geometry import Geometry

CONTEXT = Context(Argmax(), labels("sss"), threads=1)


def geometry(height: int, width: int) -> Geometry:
    return Geometry((height, width), (16, 24), (0, 0, 16, 24))


@pytest.fixture
def cuda(monkeypatch: pytest.MonkeyPatch) -> EmulatedCuda:
    monkeypatch.setattr(running, "_SAID", set())
    emulated = EmulatedCuda()
    emulated.kernels = emulated_kernels(emulated)
    return emulated


@pytest.fixture
def queue(cuda: EmulatedCuda) -> Iterator[SlotQueue]:
    opened = SlotQueue("emulated", cuda, [], [TensorSpec("logits", "float32", (2, 3, 4, 6))], downloads=False)
    yield opened
    cuda.fail.clear()
    opened.close()
    assert cuda.alive == 0, "something was not freed"
    assert opened not in running._RUNNERS


def frame(queue: SlotQueue, seed: int) -> np.ndarray:
    """Put a network into the queue that writes these heads, as a backend does; return them."""
    values = np.random.default_rng(seed).normal(size=(2, 3, 4, 6)).astype(np.float32)
    array = queue.device_heads["logits"]

    def network() -> None:
        ctypes.memmove(array.address, values.ctypes.data, values.nbytes)

    queue.start(lambda: queue.stream.put("network", network))
    return values


def decode(queue: SlotQueue, seed: int, size: tuple[int, int] = (33, 47), *, place: int = 0) -> None:
    """Decode a frame and hold it against the CPU."""
    values = frame(queue, seed)
    heads = {"semantic_logits": queue.device_heads["logits"][place]}
    got = find_decoder(CONTEXT.decode, "cuda")(heads, geometry(*size), CONTEXT)
    want = find_decoder(CONTEXT.decode, "cpu")({"semantic_logits": values[place]}, geometry(*size), CONTEXT)
    np.testing.assert_array_equal(got.class_map, want.class_map)


def test_every_program_is_a_decoder_of_a_rule() -> None:
    for name in PROGRAMS:
        assert f"{name} on cpu" in DECODERS
        assert DECODERS.load(f"{name} on cuda") is running.decode_on_gpu
        assert PROGRAMS.load(name).__module__ == f"segrt.runtime.decode.cuda.{name}"


def test_the_first_frame_is_launched_call_by_call_and_the_others_as_one_graph(
    cuda: EmulatedCuda, queue: SlotQueue
) -> None:
    for seed in range(4):
        decode(queue, seed)
    assert cuda.log.count("graph") == 3
    assert cuda.log.count("network") == 4
    assert sum(name.startswith("argmax_float") for name in cuda.launched) == 4
    by_frame = " ".join(what for what in cuda.log if what not in ("graph", "upload")).split("network ")[1:]
    assert [part.strip() for part in by_frame] == [by_frame[0].strip()] * 4, "the graph does what the calls did"


def test_a_result_does_not_change_when_the_next_frame_comes(queue: SlotQueue) -> None:
    heads = {"semantic_logits": queue.device_heads["logits"][0]}
    frame(queue, 1)
    first = find_decoder(CONTEXT.decode, "cuda")(heads, geometry(9, 9), CONTEXT)
    kept = first.class_map.copy()
    frame(queue, 2)
    second = find_decoder(CONTEXT.decode, "cuda")(heads, geometry(9, 9), CONTEXT)
    np.testing.assert_array_equal(first.class_map, kept)
    assert not np.array_equal(first.class_map, second.class_map)


def test_pictures_of_ever_changing_sizes_do_not_fill_the_gpu(cuda: EmulatedCuda, queue: SlotQueue) -> None:
    decode(queue, 0, (20, 30))
    alive = []
    for index in range(40):
        decode(queue, index, (20 + index, 30))
        alive.append(cuda.alive)
    assert max(alive[8:]) == alive[8] == alive[-1]
    for size in ((50, 30), (52, 30), (54, 30)):  # those of a stream's sources are kept, and become graphs
        decode(queue, 1, size)
    before = cuda.log.count("graph")
    for _ in range(2):
        for size in ((50, 30), (52, 30), (54, 30)):
            decode(queue, 2, size)
    assert cuda.log.count("graph") == before + 6


def test_each_place_of_a_batch_keeps_its_programs(cuda: EmulatedCuda, queue: SlotQueue) -> None:
    for seed in range(3):
        for size in ((20, 30), (30, 20), (25, 25), (40, 40)):
            for place in (0, 1):
                decode(queue, seed, size, place=place)
    assert cuda.log.count("graph") == 16


def test_other_thresholds_are_another_program(queue: SlotQueue) -> None:
    aligned = Context(Argmax(align_corners=True), CONTEXT.labels, threads=1)
    for seed in range(3):
        values = frame(queue, seed)
        for context in (CONTEXT, aligned):
            heads = {"semantic_logits": queue.device_heads["logits"][0]}
            got = find_decoder(context.decode, "cuda")(heads, geometry(31, 41), context)
            want = find_decoder(context.decode, "cpu")({"semantic_logits": values[0]}, geometry(31, 41), context)
            np.testing.assert_array_equal(got.class_map, want.class_map)


def test_without_graphs_each_frame_is_launched_call_by_call_and_the_reason_is_said_once(
    cuda: EmulatedCuda, queue: SlotQueue, caplog: pytest.LogCaptureFixture
) -> None:
    cuda.has_graphs = False
    with caplog.at_level(logging.INFO, "segrt.decode"):
        for seed in range(3):
            decode(queue, seed, (33, 47 + seed))
    assert "graph" not in cuda.log
    (message,) = caplog.messages
    assert message.endswith("(fake has no CUDA graphs)")


def test_a_graph_that_cannot_be_recorded_is_given_up_and_the_reason_is_said_once(
    cuda: EmulatedCuda, queue: SlotQueue, caplog: pytest.LogCaptureFixture
) -> None:
    cuda.fail["capture"] = CudaError("cudaStreamEndCapture", "cudaErrorStreamCaptureInvalidated", "was invalidated")
    with caplog.at_level(logging.WARNING, "segrt.decode"):
        for seed in range(4):
            decode(queue, seed)
    (message,) = caplog.messages
    assert "launched call by call" in message
    assert "cudaStreamEndCapture failed: was invalidated" in message
    assert "graph" not in cuda.log


@pytest.mark.parametrize("why", ["dtype", "layout", "rule"])
def test_heads_that_no_program_takes_are_decoded_on_the_cpu_and_that_is_said_once(
    why: str, queue: SlotQueue, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise UnfitHeadsError("logits must be tight")

    if why == "dtype":
        monkeypatch.setattr(ArgmaxProgram, "why_not", lambda dtypes: f"{dtypes['semantic_logits']} is too wide")
    elif why == "layout":
        monkeypatch.setattr(ArgmaxProgram, "__init__", refuse)
    else:
        monkeypatch.delitem(PROGRAMS._entries, "argmax")
    said = {"dtype": "float32 is too wide", "layout": "logits must be tight", "rule": "rule argmax has no kernels"}[why]
    with caplog.at_level(logging.WARNING, "segrt.decode"):
        for seed in range(3):
            decode(queue, seed)
    assert caplog.messages == [f"heads are downloaded and decoded on the CPU: {said}"]


def test_heads_of_a_foreign_dtype_are_named() -> None:
    why = ArgmaxProgram.why_not({"semantic_logits": np.dtype("float64")})
    assert why == "head semantic_logits is float64, and the kernels read float16 or float32"
    assert ArgmaxProgram.why_not({"semantic_logits": np.dtype("float16")}) is None


def test_memory_that_other_geometries_hold_is_given_up_before_the_process_ends(
    cuda: EmulatedCuda, queue: SlotQueue
) -> None:
    for size in ((100, 100), (101, 100), (102, 100)):
        decode(queue, 0, size)
    cuda.left = 11_000  # each of them has some 10,000 bytes
    kept: list[int] = []
    original = ArgmaxProgram.enqueue

    def enqueue(program: ArgmaxProgram) -> None:
        kept.append(len(running._RUNNERS[queue]._ready))
        original(program)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ArgmaxProgram, "enqueue", enqueue)
        decode(queue, 0, (110, 110))
    assert kept == [1], "the new one alone"


def test_too_little_memory_while_decoding_ends_the_process_with_the_code_of_a_lost_gpu(
    cuda: EmulatedCuda, queue: SlotQueue
) -> None:
    cuda.left = 5_000
    with pytest.raises(
        DeviceLostError, match=r"decoding on Fake GPU: the GPU ran out of memory .*cudaMalloc"
    ) as caught:
        decode(queue, 0, (300, 300))
    assert caught.value.exit_code == 4
    assert "\n" not in str(caught.value)
    queue.synchronize()


@pytest.mark.parametrize("call", ["cuLaunchKernel", "cudaEventSynchronize"])
def test_a_gpu_that_is_lost_in_mid_frame_ends_the_process(call: str, cuda: EmulatedCuda, queue: SlotQueue) -> None:
    decode(queue, 0)
    cuda.has_graphs = False
    text = "an illegal memory access was encountered"
    cuda.fail[call] = CudaError(call, "CUDA_ERROR_ILLEGAL_ADDRESS", text)
    with pytest.raises(DeviceLostError, match=f"the GPU is lost for this process .{call} failed: {text}") as caught:
        decode(queue, 1, (34, 48))
    assert (caught.value.exit_code, str(caught.value).count("\n")) == (4, 0)


PTX_ERRORS = {
    "CUDA_ERROR_UNSUPPORTED_PTX_VERSION": (
        "the provided PTX was compiled with an unsupported toolchain.", "update the driver, or install segrt's wheel",
    ),
    "CUDA_ERROR_NO_BINARY_FOR_GPU": (
        "no kernel image is available for execution on the device", "take --decode cpu",
    ),
    "CUDA_ERROR_INVALID_PTX": ("a PTX JIT compilation failed", "install segrt again"),
}  # fmt: skip


@pytest.mark.parametrize("named", [True, False])
@pytest.mark.parametrize("code", PTX_ERRORS)
def test_ptx_that_the_driver_does_not_take_is_one_line_with_the_remedy(
    code: str, named: bool, cuda: EmulatedCuda, queue: SlotQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    text, remedy = PTX_ERRORS[code]
    monkeypatch.setattr(kernels, "_ptx", lambda _: b"")
    cuda.kernels = None
    cuda.fail["cuModuleLoadData"] = CudaError("cuModuleLoadData", code if named else "", text)
    with pytest.raises(BackendError, match=r"\w+\.ptx on Fake GPU failed: ") as caught:
        decode(queue, 0)
    assert (caught.value.exit_code, str(caught.value).count("\n")) == (2, 0)
    assert remedy in str(caught.value)
    assert caught.value.__class__ is CudaError
    why = kernels.kernels_on(cuda).why_not("argmax")
    assert why is not None
    assert remedy in why


def test_kernels_are_loaded_once_for_a_device() -> None:
    one, other = EmulatedCuda(), EmulatedCuda()
    assert kernels.kernels_on(one) is kernels.kernels_on(one)
    assert kernels.kernels_on(one) is not kernels.kernels_on(other)
    if "argmax" not in kernels.built_files():
        pytest.skip("this build has no kernels")
    assert kernels.kernels_on(one).why_not("argmax") is None
    assert "cannot be read" in str(kernels.kernels_on(one).why_not("nothing"))


def test_a_queue_that_is_closed_leaves_nothing_behind(cuda: EmulatedCuda) -> None:
    queue = SlotQueue("emulated", cuda, [], [TensorSpec("logits", "float32", (2, 3, 4, 6))], downloads=False)
    decode(queue, 0)
    queue.close()
    assert (cuda.alive, queue in running._RUNNERS) == (0, False)
    gc.collect()
