"""ONNX Runtime behind the slots, and the table of backends."""

import importlib.metadata
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Lock, current_thread
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from segrt.runtime.bundle.locating import read_bundle
from segrt.runtime.bundle.network_files import network_file
from segrt.runtime.decode import decoders
from segrt.runtime.errors import BackendError
from segrt.runtime.inference import backends
from segrt.runtime.inference.onnxruntime import OnnxRuntimeBackend, session_backend
from segrt.runtime.inference.tensors import TensorSpec

IMAGE = TensorSpec("image", "uint8", (1, 32, 48, 3))
LOGITS = TensorSpec("logits", "float32", (1, 3, 8, 12))


def test_heads_equal_a_plain_session_in_order_of_submission(tiny: SimpleNamespace) -> None:
    import onnxruntime as ort

    path = tiny.save(tiny.semantic_model())
    plain = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (6, 1, 32, 48, 3), dtype=np.uint8)
    with OnnxRuntimeBackend(path, [IMAGE], [LOGITS], threads=1) as backend:
        assert backend.device in ("cpu", "cuda")
        for pair in images.reshape(3, 2, 1, 32, 48, 3):
            slots = [backend.acquire() for _ in range(2)]
            for slot, image in zip(slots, pair, strict=True):
                slot.inputs["image"][...] = image
                backend.submit(slot)
            # Both have been executed before either is read, so a shared buffer would show.
            heads = [backend.wait(slot)["logits"].array for slot in slots]
            for slot, image, head in zip(slots, pair, heads, strict=True):
                np.testing.assert_array_equal(head, plain.run(None, {"image": image})[0])
                assert slot.inference_ms > 0
                backend.release(slot)


def test_callers_at_once_are_served_one_at_a_time_and_each_in_its_thread(
    tiny: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    inside, overlaps, threads = Lock(), [], set()
    with OnnxRuntimeBackend(tiny.save(tiny.semantic_model()), [IMAGE], [LOGITS], threads=1, slots=3) as backend:
        held: Any = backend._held
        execute = held._execute_alone

        def watched(index: int) -> Any:
            threads.add(current_thread().name)
            overlaps.append(not inside.acquire(blocking=False))
            time.sleep(0.01)
            inside.release()
            return execute(index)

        monkeypatch.setattr(held, "_execute_alone", watched)

        def call(value: int) -> Any:
            image = np.full((1, 32, 48, 3), value, np.uint8)
            return backend.run({"image": image})["logits"]

        slot = backend.acquire()
        backend.submit(slot)  # which runs in the worker
        with ThreadPoolExecutor(2, thread_name_prefix="caller") as pool:
            heads = list(pool.map(call, range(0, 200, 20)))
        backend.wait(slot)
        backend.release(slot)
        assert not any(overlaps)
        assert {name.partition("_")[0] for name in threads} == {"caller", "segrt-onnxruntime"}
        for value, head in zip(range(0, 200, 20), heads, strict=True):
            np.testing.assert_array_equal(head, call(value))


def test_heads_of_variable_length_come_as_they_are(tiny: SimpleNamespace) -> None:
    model = tiny.build(
        [helper.make_node("NonZero", ["x"], ["found"])],
        [helper.make_tensor_value_info("x", TensorProto.INT64, [5])],
        [helper.make_tensor_value_info("found", TensorProto.INT64, [1, "n"])],
        {},
    )
    specs = [TensorSpec("x", "int64", (5,))], [TensorSpec("found", "int64", (1, "n"))]
    with OnnxRuntimeBackend(tiny.save(model), *specs, threads=1) as backend:
        assert backend.run({"x": np.array([0, 7, 0, 0, 1])})["found"].tolist() == [[1, 4]]
        assert backend.run({"x": np.zeros(5, np.int64)})["found"].shape == (1, 0)


def test_fixed_and_variable_heads_are_not_mixed_up(tiny: SimpleNamespace) -> None:
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
    with OnnxRuntimeBackend(tiny.save(model), [TensorSpec("x", "int64", (5,))], heads, threads=1) as backend:
        for values in ([0, 7, 0, 0, 1], [1, 1, 1, 0, 0], [0] * 5):
            got = backend.run({"x": np.array(values)})
            assert got["negative"].tolist() == [-value for value in values]
            assert got["found"].tolist() == [np.flatnonzero(values).tolist()]


def test_a_network_that_fails_while_running_is_one_line_and_frees_its_slot(tiny: SimpleNamespace) -> None:
    model = tiny.build(
        [helper.make_node("Gather", ["table", "x"], ["y"])],
        [helper.make_tensor_value_info("x", TensorProto.INT64, [1])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1])],
        {"table": np.zeros(3, np.float32)},
    )
    specs = [TensorSpec("x", "int64", (1,))], [TensorSpec("y", "float32", (1,))]
    with OnnxRuntimeBackend(tiny.save(model), *specs, threads=1, slots=1) as backend:
        for _ in range(3):
            with pytest.raises(BackendError, match=r"model\.onnx: ONNX Runtime cannot execute the network") as caught:
                backend.run({"x": np.array([99])})
            assert "\n" not in str(caught.value)
        assert backend.run({"x": np.array([1])})["y"].tolist() == [0]


def test_a_network_that_cannot_be_loaded_is_one_line(
    tiny: SimpleNamespace, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    model = tiny.semantic_model()
    model.graph.node[0].op_type = "Invented"
    path = tmp_path / "odd.onnx"
    path.write_bytes(model.SerializeToString())
    with pytest.raises(BackendError, match=r"odd\.onnx: ONNX Runtime cannot load the network .*Invented") as caught:
        OnnxRuntimeBackend(path, [IMAGE], [LOGITS])
    assert "\n" not in str(caught.value)
    captured = capfd.readouterr()
    assert captured.out + captured.err == ""


def test_float16_heads_are_read_as_such(tiny: SimpleNamespace) -> None:
    model = tiny.semantic_model()
    model.graph.node[-1].output[0] = "wide"
    model.graph.node.append(helper.make_node("Cast", ["wide"], ["logits"], to=TensorProto.FLOAT16))
    model.graph.output[0].type.tensor_type.elem_type = TensorProto.FLOAT16
    onnx.checker.check_model(model)
    half = TensorSpec("logits", "float16", (1, 3, 8, 12))
    with OnnxRuntimeBackend(tiny.save(model), [IMAGE], [half], threads=1) as backend:
        heads = backend.run({"image": np.full((1, 32, 48, 3), 8, np.uint8)})
    assert heads["logits"].dtype == np.float16
    assert (heads["logits"] == 8).all()


def test_both_onnxruntime_packages_at_once_are_refused_with_the_remedy(
    tiny: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session_backend, "distribution", lambda name: importlib.metadata.distribution("numpy") and name)
    bundle = read_bundle(tiny.bundle("argmax", check=False, golden=[]))
    with pytest.raises(BackendError, match="both installed and overwrite each other; `pip uninstall -y onnxruntime"):
        backends.open_backend(network_file(bundle, bundle.variant()))


def test_registering_a_name_twice_raises() -> None:
    with pytest.raises(ValueError, match=r"backend 'onnxruntime' is already registered as segrt\.runtime\.inference"):
        backends.BACKENDS.add("onnxruntime", "somewhere:else")
    with pytest.raises(
        ValueError, match=r"decoder 'argmax on cpu' is already registered as segrt\.runtime\.decode\.argmax"
    ):
        decoders.DECODERS.add("argmax on cpu", "somewhere:else")
    with pytest.raises(
        ValueError, match=r"decode rule 'argmax' is already registered as segrt\.runtime\.decode\.argmax:Arg"
    ):
        decoders.RULES.add("argmax", "somewhere:else")


def test_a_rule_without_a_decoder_on_that_device_is_named(tiny: SimpleNamespace) -> None:
    decode = read_bundle(tiny.bundle("merge_queries")).manifest.decode
    assert decoders.find_decoder(decode, "cpu")
    with pytest.raises(BackendError, match="no decoder for rule 'merge_queries' with heads on cuda"):
        decoders.find_decoder(decode, "cuda")
