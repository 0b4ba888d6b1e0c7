"""The slots of every backend: order of the calls, blocking, overlap, errors; checked by the base class."""

import threading
import time
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from segrt.runtime.bundle.network_files import tensor_specs
from segrt.runtime.errors import BackendError
from segrt.runtime.inference.backend import Backend
from segrt.runtime.inference.member_backends import MembersBackend
from segrt.runtime.inference.tensors import Head, Slot, TensorSpec

WAIT = 10.0


class Doubler(Backend):
    """Doubles its input when it is allowed to."""

    name = "doubler"
    device = "cpu"

    def __init__(self, *, slots: int = 2, head: TensorSpec | None = None) -> None:
        self.go = threading.Event()
        self.go.set()
        self.started: list[int] = []
        self.shut = 0
        super().__init__(
            [TensorSpec("x", "float32", (1, 3))], [head or TensorSpec("y", "float32", (1, 3))], slots=slots
        )

    def _make_inputs(self, index: int) -> Mapping[str, Any]:
        return {"x": np.full((1, 3), index, np.float32)}

    def _start(self, slot: Slot) -> None:
        self.started.append(slot.index)

    def _finish(self, slot: Slot) -> Mapping[str, Head]:
        if not self.go.wait(WAIT):
            raise BackendError("never allowed")
        slot.inference_ms = 1.0
        return {"y": Head("y", slot.inputs["x"] * 2)}

    def _shut(self) -> None:
        self.shut += 1


def test_the_four_calls_in_order_give_heads() -> None:
    with Doubler() as backend:
        slot = backend.acquire()
        slot.inputs["x"][...] = 21
        backend.submit(slot)
        heads = backend.wait(slot)
        assert heads["y"].array.tolist() == [[42, 42, 42]]
        backend.release(slot)
    assert backend.shut == 1


def test_executing_is_submitting_and_waiting() -> None:
    with Doubler() as backend:
        slot = backend.acquire()
        slot.inputs["x"][...] = 4
        assert backend.execute(slot)["y"].array.tolist() == [[8, 8, 8]]
        with pytest.raises(BackendError, match="must be acquired, but it is done"):
            backend.execute(slot)
        backend.release(slot)


def test_run_is_the_four_calls_and_copies() -> None:
    with Doubler() as backend:
        first = backend.run({"x": np.ones((1, 3), np.float32)})
        backend.run({"x": np.zeros((1, 3), np.float32)})
        assert first["y"].tolist() == [[2, 2, 2]]


def test_two_slots_are_in_flight_and_the_third_acquire_blocks_until_a_release() -> None:
    with Doubler() as backend:
        one, two = backend.acquire(), backend.acquire()
        backend.submit(one)
        backend.submit(two)
        assert backend.started == [one.index, two.index]
        with pytest.raises(BackendError, match=r"no slot became free within 0\.05 s"):
            backend.acquire(timeout=0.05)
        got: list[Slot] = []
        waiter = threading.Thread(target=lambda: got.append(backend.acquire(WAIT)))
        waiter.start()
        backend.wait(one)
        assert not got
        backend.release(one)
        waiter.join(WAIT)
        assert got == [one]


def test_close_wakes_those_who_wait_for_a_slot() -> None:
    backend = Doubler(slots=1)
    backend.acquire()
    caught: list[BaseException] = []

    def wait() -> None:
        try:
            backend.acquire(WAIT)
        except BackendError as error:
            caught.append(error)

    waiter = threading.Thread(target=wait)
    waiter.start()
    time.sleep(0.05)
    backend.close()
    waiter.join(WAIT)
    assert "the backend is closed" in str(caught[0])
    backend.close()
    assert backend.shut == 1


def test_calls_out_of_order_are_refused_by_name() -> None:
    with Doubler() as backend, Doubler() as other:
        slot = backend.acquire()
        with pytest.raises(BackendError, match="slot 0 must be submitted, but it is acquired"):
            backend.wait(slot)
        with pytest.raises(BackendError, match="the slot belongs to another backend"):
            other.submit(slot)
        backend.submit(slot)
        with pytest.raises(BackendError, match="slot 0 must be acquired, but it is submitted"):
            backend.submit(slot)
        with pytest.raises(BackendError, match="release of slot 0, which is submitted"):
            backend.release(slot)
        backend.wait(slot)
        backend.release(slot)
        with pytest.raises(BackendError, match="release of slot 0, which is free"):
            backend.release(slot)


def test_release_empties_what_the_caller_put_in() -> None:
    with Doubler() as backend:
        slot = backend.acquire()
        slot.sources.append("camera")
        backend.release(slot)
        assert slot.sources == []


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({}, r"input 'x' float32 \[1, 3\] is missing"),
        ({"x": np.zeros((1, 3))}, r"input must be 'x' float32 \[1, 3\], but got float64 \[1, 3\]"),
        ({"x": np.zeros((1, 4), np.float32)}, r"but got float32 \[1, 4\]"),
        ({"x": np.zeros((1, 3), np.float32), "z": np.zeros(1)}, "there is no input 'z'"),
    ],
)
def test_wrong_inputs_are_named(inputs: dict[str, Any], message: str) -> None:
    with Doubler() as backend, pytest.raises(BackendError, match=message):
        backend.run(inputs)


@pytest.mark.parametrize(
    ("head", "message"),
    [
        (TensorSpec("z", "float32", (1, 3)), "head 'z'.* is missing from the network's outputs"),
        (TensorSpec("y", "float16", (1, 3)), r"head must be 'y' float16 \[1, 3\], but the network gave float32"),
        (TensorSpec("y", "float32", (1, "n", 3)), r"but the network gave float32 \[1, 3\]"),
    ],
)
def test_wrong_heads_are_named_and_the_slot_comes_free(head: TensorSpec, message: str) -> None:
    with Doubler(slots=1, head=head) as backend:
        for _ in range(2):
            with pytest.raises(BackendError, match=message):
                backend.run({"x": np.zeros((1, 3), np.float32)})


def test_variable_lengths_fit_any() -> None:
    spec = TensorSpec("y", "float32", (1, "n"))
    assert spec.fits(np.float32, (1, 7))
    assert not spec.fits(np.float32, (2, 7))


def test_inputs_of_variable_length_are_refused() -> None:
    class Open(Doubler):
        def __init__(self) -> None:
            Backend.__init__(self, [TensorSpec("x", "float32", (1, "n"))], [])

    with pytest.raises(BackendError, match="must have a fixed shape"):
        Open()


def test_many_threads_share_the_slots_without_mixing_frames() -> None:
    with Doubler(slots=2) as backend:
        wrong: list[int] = []

        def work(number: int) -> None:
            for _ in range(50):
                heads = backend.run({"x": np.full((1, 3), number, np.float32)})
                if not (heads["y"] == 2 * number).all():
                    wrong.append(number)

        threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(WAIT)
    assert wrong == []


def test_specs_follow_batch_and_variant(tiny: Any) -> None:
    import msgspec

    from segrt.runtime.bundle.locating import read_bundle

    manifest = read_bundle(tiny.bundle("argmax")).manifest
    half = msgspec.structs.replace(manifest.variants[0], head_dtypes={"logits": "float16"})
    assert tensor_specs(manifest, half)[1][0].dtype == "float16"
    with pytest.raises(BackendError, match="'image' of this network has a fixed first dimension"):
        tensor_specs(manifest, half, batch=2)
    free = msgspec.structs.replace(
        manifest,
        inputs=(msgspec.structs.replace(manifest.inputs[0], shape=("N", 32, 48, 3)),),
        heads=(msgspec.structs.replace(manifest.heads[0], shape=("N", 3, 8, 12)),),
    )
    inputs, heads = tensor_specs(free, half, batch=2)
    assert (inputs[0].shape, heads[0].shape) == ((2, 32, 48, 3), (2, 3, 8, 12))


def test_layers_of_two_networks_are_refused_as_those_of_a_backend_without_a_profiler() -> None:
    with MembersBackend({"one": Doubler(), "other": Doubler()}) as pair, Doubler() as alone:
        with pytest.raises(BackendError, match="doubler: runs two networks, whose layers are not measured; leave out"):
            pair.layer_times({}, 1)
        with pytest.raises(BackendError, match="doubler: has no times of single layers; take another --backend"):
            alone.layer_times({}, 1)
