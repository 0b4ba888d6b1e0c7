"""The check of two pictures: passes where each gets its own, and fails with inputs that stay what they were."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from cuda_sessions import put_in_place
from simulated_gpu import FakeCuda

from segrt.runtime.authoring.two_pictures import check_two_pictures
from segrt.runtime.authoring.verification import verify
from segrt.runtime.cli.verify import verify as verify_command
from segrt.runtime.errors import CheckFailed
from segrt.runtime.inference.onnxruntime.cuda_slots import CudaSlots
from segrt.runtime.inference.onnxruntime.host_slots import HostSlots
from segrt.runtime.segmenter import open_bundle

KINDS = ["argmax", "merge_queries", "query_instances", "paste_masks", "class_map"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("on_gpu", [False, True])
def test_each_picture_has_its_own_heads(
    tiny: SimpleNamespace, monkeypatch: pytest.MonkeyPatch, kind: str, on_gpu: bool
) -> None:
    if on_gpu:
        put_in_place(monkeypatch, FakeCuda())
    with open_bundle(tiny.bundle(kind), backend="onnxruntime", threads=1) as segmenter:
        assert segmenter.backend.device == ("cuda" if on_gpu else "cpu")
        checks = check_two_pictures(segmenter)
        assert all(check.passed for check in verify(segmenter))
    assert [check.what for check in checks] == ["one after the other", "both at once"]
    assert all(check.passed for check in checks), checks


@pytest.fixture
def bound_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bind inputs on the host once, when the backend opens, to a provider that copies them then."""
    put_in_place(monkeypatch, None)
    bind = HostSlots._bind

    def once(self: HostSlots, index: int) -> Any:
        binding = bind(self, index)
        self._bind_inputs(binding, index)
        return binding

    def execute(self: HostSlots, index: int) -> Any:
        self._on_gpu = False
        return executed(self, index)

    executed = HostSlots._execute_alone
    monkeypatch.setattr(HostSlots, "_bind", once)
    monkeypatch.setattr(HostSlots, "_execute_alone", execute)


@pytest.mark.usefixtures("bound_once")
def test_a_network_that_does_not_look_at_its_picture_is_not_said_to_have_been_checked(tiny: SimpleNamespace) -> None:
    with open_bundle(tiny.bundle("paste_masks"), backend="onnxruntime", threads=1) as segmenter:
        checks = check_two_pictures(segmenter)
    assert [check.value for check in checks] == ["no output tells the pictures apart"] * 2


@pytest.mark.usefixtures("bound_once")
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "paste_masks"])
def test_inputs_that_stay_what_they_were_are_found(tiny: SimpleNamespace, kind: str) -> None:
    with open_bundle(tiny.bundle(kind), backend="onnxruntime", threads=1) as segmenter:
        checks = check_two_pictures(segmenter)
    assert [check.passed for check in checks] == [False, False]
    assert "not its own: " in checks[0].value


@pytest.mark.usefixtures("bound_once")
def test_the_command_says_so_and_ends_with_1(tiny: SimpleNamespace) -> None:
    result = CliRunner().invoke(verify_command, [str(tiny.bundle("argmax")), "--backend", "onnxruntime"])
    assert isinstance(result.exception, CheckFailed)
    assert result.exception.exit_code == 1
    assert "two pictures" in result.output


def test_slots_that_are_mixed_up_are_found(tiny: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    put_in_place(monkeypatch, FakeCuda())
    finish: Callable[..., Any] = CudaSlots.finish

    def other(self: CudaSlots, slot: Any) -> Any:
        heads = finish(self, slot)
        if len(self._running) == 1:  # the second of two: it gets the first one's heads
            return {name: type(head)(name, np.roll(head.array, 1, axis=-1) * 0, "cpu") for name, head in heads.items()}
        return heads

    monkeypatch.setattr(CudaSlots, "finish", other)
    with open_bundle(tiny.bundle("argmax"), backend="onnxruntime", threads=1) as segmenter:
        checks = check_two_pictures(segmenter)
    assert [check.passed for check in checks] == [True, False]


def test_the_reference_is_the_cpu(tiny: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    simulation = put_in_place(monkeypatch, FakeCuda())
    with open_bundle(tiny.bundle("argmax"), backend="onnxruntime", threads=1) as segmenter:
        opened = len(simulation.on_cuda)
        check_two_pictures(segmenter)
        assert len(simulation.on_cuda) == opened
