"""Which backend is taken, and that the reason is known: in the log, in metrics, and in one line when it is refused."""

import json
import logging
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from segrt.runtime import open_bundle
from segrt.runtime.bundle.locating import read_bundle
from segrt.runtime.bundle.network_files import network_file
from segrt.runtime.errors import BackendError, DeviceLostError
from segrt.runtime.inference import backends
from segrt.runtime.inference.cuda.presence import gpu_files, why_no_gpu
from segrt.runtime.registry import Registry

without_gpu = pytest.mark.skipif(bool(gpu_files()), reason="there is a GPU here")


def segrt(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from segrt.runtime.cli import main; main()", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


@pytest.fixture
def modules(monkeypatch: pytest.MonkeyPatch) -> dict[str, SimpleNamespace]:
    """Three backends: "first" and "second" as the test wants them, and "last"."""

    def module(name: str) -> SimpleNamespace:
        opened = SimpleNamespace(name=name, device="a device", reason="", remark="")
        return SimpleNamespace(why_not=lambda *_: None, open=lambda *_: opened)

    made = {name: module(name) for name in ("first", "second", "last")}
    monkeypatch.setattr(backends, "BACKENDS", Registry("backend", made))
    return made


def failing(error: Exception) -> Any:
    def fail(*_: Any) -> None:
        raise error

    return fail


def choose(backend: str = "auto") -> Any:
    bundle = read_bundle("street-semantic")
    return backends.open_backend(network_file(bundle, bundle.variant()), backend=backend)


@without_gpu
def test_here_auto_takes_onnxruntime_on_the_cpu_and_says_why(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "segrt.backend")
    with open_bundle("street-semantic") as segmenter:
        reason = segmenter.backend.reason
    assert reason.startswith(f"onnxruntime on cpu, because tensorrt: {why_no_gpu()}")
    assert caplog.messages == [f"street-semantic: {reason}"]


def test_tensorrt_is_tried_before_onnxruntime() -> None:
    assert backends.BACKENDS.names() == ["tensorrt", "onnxruntime"]


@without_gpu
def test_tensorrt_that_is_asked_for_is_never_replaced() -> None:
    with pytest.raises(BackendError, match=r"^tensorrt: .*segrt doctor"):
        open_bundle("street-semantic", backend="tensorrt")


@without_gpu
def test_streaming_with_tensorrt_here_fails_in_one_line_that_says_why() -> None:
    done = segrt("stream", "street-semantic", "street://?seed=1", "--max-frames", "1", "--backend", "tensorrt")
    assert done.returncode == 2
    assert done.stderr == f"segrt: error: tensorrt: {why_no_gpu()}; `segrt doctor` says more\n"
    assert done.stdout == ""


def test_metrics_name_the_backend_and_the_reason(tmp_path: Path) -> None:
    metrics = tmp_path / "metrics.json"
    done = segrt("stream", "street-semantic", "street://?seed=1", "--max-frames", "2", "--backend", "onnxruntime",
                 "--metrics", str(metrics))  # fmt: skip
    assert done.returncode == 0, done.stderr
    written = json.loads(metrics.read_bytes())
    assert (written["backend"], written["precision"]) == ("onnxruntime", "fp32")
    assert written["backend_reason"].startswith(f"onnxruntime on {written['device']}, as asked")


def test_what_cannot_be_used_is_passed_over_with_its_reason(modules: dict[str, SimpleNamespace]) -> None:
    modules["first"].why_not = lambda *_: "is not installed"
    modules["second"].open = failing(BackendError("has no kernel for NonZero"))
    chosen = choose()
    assert chosen.name == "last"
    assert chosen.reason == ("last on a device, because first: is not installed; second: has no kernel for NonZero")


def test_the_first_choice_needs_no_excuse(modules: dict[str, SimpleNamespace]) -> None:
    modules["first"].open().remark = "it could be faster"
    assert choose().reason == "first on a device, the first choice; it could be faster"


def test_a_backend_by_name_is_that_one_or_an_error(modules: dict[str, SimpleNamespace]) -> None:
    modules["second"].open = failing(BackendError("has no kernel for NonZero"))
    assert choose("last").reason == "last on a device, as asked"
    with pytest.raises(BackendError, match="has no kernel"):
        choose("second")


def test_the_last_ones_own_error_comes_through(modules: dict[str, SimpleNamespace]) -> None:
    modules["first"].why_not = modules["second"].why_not = lambda *_: "is not installed"
    modules["last"].open = failing(BackendError("the file is damaged"))
    with pytest.raises(BackendError, match=r"^the file is damaged$"):
        choose()


def test_a_lost_device_is_not_passed_over(modules: dict[str, SimpleNamespace]) -> None:
    modules["first"].open = failing(DeviceLostError("the GPU is lost"))
    with pytest.raises(DeviceLostError):
        choose()


def test_a_lost_device_ends_the_program_with_code_4() -> None:
    program = (
        "import click\n"
        "from segrt.runtime.console.exits import run_command\n"
        "from segrt.runtime.errors import DeviceLostError\n"
        "@click.command()\n"
        "def command():\n"
        "    raise DeviceLostError('the GPU is lost')\n"
        "run_command(command)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (4, "segrt: error: the GPU is lost\n")
