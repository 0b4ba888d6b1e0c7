"""The watchdog ends what stands still and feeds systemd's; a camera that is away is no standstill."""

import json
import os
import signal
import socket
import subprocess
import time
from contextlib import suppress

import av
import pytest
from stream_commands import command

from segrt.runtime.stream.pipeline import Pipeline
from segrt.runtime.stream.sd_notify import Notifier
from segrt.runtime.stream.watchdog import Watchdog

pytestmark = pytest.mark.timeout(90)


def test_a_network_that_hangs_ends_the_process_with_all_stacks(tmp_path):
    lines = tmp_path / "a.jsonl"
    done = subprocess.run(
        command("street://?fps=10&width=64&height=48", "--sink", lines, "--stall-timeout", "1s", seconds=1000),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 3
    assert "nothing has moved for" in done.stderr
    assert "most recent call first" in done.stderr
    assert done.stderr.count("Thread 0x") >= 4
    assert "in _execute" in done.stderr


def test_a_timeout_shorter_than_the_start_ends_in_order(tmp_path, fakes):
    video = fakes.write_video(tmp_path / "in.mp4", fakes.shades(30))
    for _ in range(2):
        done = subprocess.run(
            command(video, "--sink", tmp_path / "a.jsonl", "--stall-timeout", "1ms", seconds=0.5),
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert done.returncode == 3
        assert "nothing has moved" in done.stderr
        assert "Error" not in done.stderr


def test_a_run_that_has_not_started_can_be_cancelled(segmenter, fakes):
    pipeline = Pipeline(segmenter, [fakes.ListSource(5)], [fakes.ListSink()])
    assert pipeline.recorder.seconds_stalled() == 0.0
    pipeline.cancel()
    assert not pipeline.running(5)
    pipeline.start()
    pipeline.abandon()


def test_a_source_that_pauses_before_its_next_try_is_no_standstill(segmenter, fakes):
    recorder = Pipeline(segmenter, [fakes.ListSource(5, live=True)], [fakes.ListSink()]).recorder
    recorder.start()
    recorder.entered_state("list", "connecting")
    time.sleep(0.05)
    assert recorder.seconds_stalled() > 0.04
    recorder.entered_state("list", "lost")
    time.sleep(0.05)
    assert recorder.seconds_stalled() == 0.0
    recorder.entered("list")
    time.sleep(0.05)
    assert recorder.seconds_stalled() > 0.04, "but its last frames are on their way"


def test_a_camera_that_is_away_is_no_standstill(tmp_path):
    metrics = tmp_path / "m.json"
    with subprocess.Popen(
        command("rtsp://127.0.0.1:9/x", "--stall-timeout", "2s", "--metrics", metrics),
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        time.sleep(5)
        assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        _, stderr = process.communicate(timeout=20)
    assert process.returncode == 143
    assert "cannot be opened (Connection refused); trying again in 0.5 s" in stderr
    assert "nothing has moved" not in stderr
    assert json.loads(metrics.read_text())["frames_out"] == 0


def test_systemd_hears_of_start_life_and_end(tmp_path, monkeypatch, segmenter, fakes):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        systemd.settimeout(5)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        monkeypatch.setenv("WATCHDOG_USEC", "400000")
        monkeypatch.delenv("WATCHDOG_PID", raising=False)
        pipeline = Pipeline(segmenter, [fakes.ListSource(60, seconds=0.01)], [fakes.ListSink()])
        with Watchdog(pipeline, None):
            pipeline.run()
        heard = []
        while not heard or heard[-1] != b"STOPPING=1":
            heard.append(systemd.recv(4096))
    assert heard[0] == b"READY=1"
    assert heard.count(b"WATCHDOG=1") >= 2
    assert any(line.startswith(b"STATUS=") and b"results" in line for line in heard)


def test_systemd_is_not_fed_while_nothing_moves(tmp_path, monkeypatch, segmenter, fakes):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        systemd.setblocking(False)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        monkeypatch.setenv("WATCHDOG_USEC", "400000")
        pipeline = Pipeline(segmenter, [fakes.ListSource(1)], [])
        pipeline.recorder.start()
        pipeline.recorder.entered("list")
        with Watchdog(pipeline, None):
            time.sleep(2)
        fed = 0
        with suppress(BlockingIOError):
            while True:
                fed += systemd.recv(4096) == b"WATCHDOG=1"
    assert fed <= 4, "in the first 0.4 s only"


def test_without_systemd_nothing_is_sent(monkeypatch):
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    notifier = Notifier()
    notifier.send("READY=1")
    assert notifier.watchdog_seconds is None or notifier.watchdog_seconds > 0
    notifier.close()


def test_a_watchdog_of_another_process_is_not_ours(monkeypatch):
    monkeypatch.setenv("WATCHDOG_USEC", "1000000")
    monkeypatch.setenv("WATCHDOG_PID", str(os.getpid() + 1))
    assert Notifier().watchdog_seconds is None


def test_a_killed_live_stream_leaves_files_that_play_and_parse(tmp_path):
    """To within a second of the kill, by the frames' own times."""
    video, lines = tmp_path / "a.mp4", tmp_path / "a.jsonl"
    with subprocess.Popen(
        command("street://?fps=10&width=160&height=96", "--sink", video, "--sink", lines), stderr=subprocess.DEVNULL
    ) as process:
        deadline = time.monotonic() + 40
        while time.monotonic() < deadline and not (lines.exists() and lines.read_bytes().count(b"\n") > 25):
            time.sleep(0.05)
        process.kill()
    whole = [json.loads(line) for line in lines.read_bytes().split(b"\n")[:-1]]
    with av.open(str(video)) as container:
        times = [frame.time for frame in container.decode(video=0)]
    assert len(whole) > 25
    assert whole[-1]["pts"] - whole[0]["pts"] - times[-1] < 1.0


@pytest.mark.parametrize(
    "arguments",
    [
        ["--segment", "soon"],
        ["--keep", "2 parsecs"],
        ["--max-age", "-1s"],
        ["--every", "0"],
        ["--target-fps", "0"],
        ["--stall-timeout", "0"],
        ["--rtsp-transport", "carrier-pigeon"],
    ],
)
def test_wrong_options_are_refused(arguments):
    done = subprocess.run(command("street://", *arguments), capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 2
    assert arguments[0] in done.stderr
    assert "Traceback" not in done.stderr
