"""Signals end `segrt stream` in time, with all files closed."""

import json
import signal
import subprocess
import time

import av
import pytest
from stream_commands import command, frames_of

pytestmark = pytest.mark.timeout(120)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.parametrize("seconds", [0.02, 5.0])
def test_signals_end_the_stream_within_two_seconds_with_files_closed(tmp_path, fakes, number, code, seconds):
    """Also when the network is in the middle of an execution of five seconds."""
    video = fakes.write_video(tmp_path / "in.mp4", fakes.shades(3000, (48, 64)))
    out, lines, metrics = tmp_path / "out.mp4", tmp_path / "out.jsonl", tmp_path / "m.json"
    with subprocess.Popen(
        command(video, "--sink", out, "--sink", lines, "--metrics", metrics, seconds=seconds),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        # A job in the background inherits an ignored SIGINT, which Python then leaves ignored.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    ) as process:
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline and not (lines.exists() and (seconds > 1 or lines.stat().st_size > 2000)):
            time.sleep(0.01)
        time.sleep(0.3)
        process.send_signal(number)
        start = time.monotonic()
        stdout, stderr = process.communicate(timeout=30)
        took = time.monotonic() - start
    assert process.returncode == code
    assert stderr == "segrt: interrupted\n"
    assert "frame" in stdout
    assert took < 4, "two seconds, and as many again for a busy machine"
    count = json.loads(metrics.read_text())["frames_out"]
    if seconds < 1:
        assert count > 5
        assert [json.loads(line)["index"] for line in lines.read_text().splitlines()] == list(range(count))
        with av.open(str(out)) as container:
            assert container.streams.video[0].frames == count, "closed with its index"
        assert frames_of(out) == count


@pytest.mark.parametrize("numbers", [(signal.SIGTERM, signal.SIGTERM), (signal.SIGINT, signal.SIGTERM)])
@pytest.mark.parametrize("apart", [0.01, 0.2])
def test_a_second_signal_leaves_no_file_open(tmp_path, numbers, apart):
    """As `timeout` sends it: once to the command, once to its group."""
    out, lines = tmp_path / "out.mp4", tmp_path / "out.jsonl"
    with subprocess.Popen(
        command("street://?fps=20&width=64&height=48", "--sink", out, "--sink", lines, seconds=0.3),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    ) as process:
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline and not (lines.exists() and lines.stat().st_size > 200):
            time.sleep(0.01)
        for number in numbers:
            process.send_signal(number)
            time.sleep(apart)
        stdout, stderr = process.communicate(timeout=30)
    assert process.returncode == 128 + numbers[0]
    assert stderr == "segrt: interrupted\n"
    count = int(stdout.split()[0])
    assert lines.read_text().count("\n") == count > 0
    with av.open(str(out)) as container:
        assert container.streams.video[0].frames == count, "closed with its index"
