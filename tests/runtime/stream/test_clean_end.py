"""A stream ends cleanly, whatever its threads are doing: the promised exit code, files closed, and never an abort."""

import importlib.util
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from segrt.runtime.console.interruptions import Interruptions, Terminated, exit_code_of

pytestmark = pytest.mark.timeout(120)
SOAK = Path(__file__).parents[2] / "soak" / "signals.py"

# A source that never leaves OpenCV: what comes back from there while the interpreter ends aborts the process.
BUSY = """
import sys, time
sys.path.insert(0, {here!r})
import conftest, cv2
import numpy as np
import segrt.runtime.segmenter
from segrt.runtime.stream.frame import Frame
from segrt.runtime.stream.sources.source import Source, SourceInfo
from segrt.runtime.stream.sources.source_kinds import SOURCES

class BusySource(Source):
    def __init__(self, uri, source_id, options=None):
        self.info = SourceInfo(source_id, live=True)

    def frames(self):
        for index in range(30):
            yield Frame(np.zeros((48, 64, 3), np.uint8), index, index * 0.01, time.monotonic(), self.info.source_id)
        picture = np.zeros((400, 400, 3), np.uint8)
        while True:
            cv2.GaussianBlur(picture, (31, 31), 0)

SOURCES.add("busy", BusySource)
segrt.runtime.segmenter.open_bundle = lambda *_, **__: conftest.FakeSegmenter()
from segrt.runtime.cli import main
main()
"""


def busy(folder: Path, *arguments: str) -> "subprocess.Popen[str]":
    code = BUSY.format(here=str(Path(__file__).parent))
    return subprocess.Popen(
        [sys.executable, "-c", code, "stream", "bundle", "busy://a", "busy://b", "--sink", "out.jsonl", *arguments],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_capture_thread_inside_opencv_does_not_abort_the_end(tmp_path, number, code):
    with busy(tmp_path) as process:
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline and not (tmp_path / "out.jsonl").exists():
            time.sleep(0.01)
        time.sleep(0.5)
        process.send_signal(number)
        stdout, stderr = process.communicate(timeout=30)
    assert (process.returncode, stderr) == (code, "segrt: interrupted\n")
    assert int(stdout.split()[0]) == (tmp_path / "out.jsonl").read_bytes().count(b"\n")


def test_nor_does_it_when_the_stream_ends_by_itself(tmp_path):
    with busy(tmp_path, "--max-frames", "3", "--policy", "all") as process:
        stdout, stderr = process.communicate(timeout=60)
    assert (process.returncode, stderr) == (0, "")
    assert stdout.startswith("3 frames at ")


@pytest.mark.parametrize("seed", range(4))
def test_signals_at_random_moments_end_as_promised_and_lose_nothing(seed):
    """Twenty of those that `make soak` sends."""
    spec = importlib.util.spec_from_file_location("soak_signals", SOAK)
    assert spec is not None
    assert spec.loader is not None
    signals = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = signals
    spec.loader.exec_module(signals)
    signals.SPARE_SECONDS = 10.0  # other tests run beside this one; how soon a stream ends is measured in `make soak`
    ends, faults = signals.run_folder(1000 + seed, 5, fake=True)
    assert faults == []
    assert ends.total() == 5


def test_an_interruption_while_a_command_is_imported_ends_at_once():
    """What initialises numpy's extension module makes an ImportError of a KeyboardInterrupt."""
    program = """
import os, signal, time
from segrt.runtime import cli
signal.signal(signal.SIGINT, signal.default_int_handler)
def import_numpy(name):
    try:
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(5)
    except KeyboardInterrupt:
        raise ImportError("numpy is broken") from None
cli.import_module = import_numpy
cli.main()
"""
    ended = subprocess.run([sys.executable, "-c", program, "run"], capture_output=True, text=True, timeout=60)
    assert (ended.returncode, ended.stderr) == (130, "segrt: interrupted\n")


@pytest.fixture
def handlers():
    """Take the handlers back that an interruption leaves ignored."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.usefixtures("handlers")
def test_a_signal_interrupts_at_once():
    with pytest.raises(KeyboardInterrupt) as raised, Interruptions():
        os.kill(os.getpid(), signal.SIGINT)
    assert exit_code_of(raised.value) == 130


@pytest.mark.usefixtures("handlers")
def test_a_signal_that_is_held_interrupts_where_it_is_asked_for():
    reached = []

    def work():
        with Interruptions() as interruptions:
            with interruptions.held():
                os.kill(os.getpid(), signal.SIGTERM)
                os.kill(os.getpid(), signal.SIGTERM)  # as `timeout` does
                reached.append(interruptions.pending)
            interruptions.check()
            reached.append(None)

    with pytest.raises(SystemExit) as ended:
        work()
    assert [type(entry) for entry in reached] == [Terminated]
    assert ended.value.code == 143
