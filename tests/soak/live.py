"""A camera's hard day: `python tests/soak/live.py [--minutes N] [--fps F] [--size WxH] [--keep-going]`.

Streams a real RTSP server through the embedded panoptic model into mp4, JSON lines, a live page and MQTT. The server is
killed twice and frozen once for 20 seconds; then it is left alone for N minutes. In the end all outputs must be valid,
three reconnects counted, and memory, threads and file descriptors flat after the first minute. Needs Debian's GStreamer
RTSP server, x264enc, python3-gi and mosquitto.
"""

import argparse
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

import av
import cv2
import numpy as np

from segrt.runtime.stream import timecode

SERVER = Path(__file__).parents[1] / "runtime" / "stream" / "rtsp_server.py"
FREEZE_SECONDS = 20
GROWTH_MB = 10


def free_port() -> int:
    """Return a port that nobody uses."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Camera:
    """The RTSP server, which can be hurt."""

    def __init__(self, fps: int, size: str) -> None:
        width, height = size.split("x")
        self.port = free_port()
        self._command = [sys.executable, str(SERVER), str(self.port), str(fps), width, height]
        self.start()

    def start(self) -> None:
        """Start the server and wait until it serves."""
        self.process = subprocess.Popen(self._command, stdout=subprocess.PIPE)
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == b"serving\n"

    def kill(self) -> None:
        """Kill it."""
        self.process.kill()
        self.process.wait()


def get(port: int, path: str) -> bytes:
    """Read from the live page's server."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/{path}", timeout=10) as answer:
        return bytes(answer.read())


def usage(pid: int) -> tuple[float, int, int]:
    """Return resident megabytes, threads and open descriptors of a process."""
    status = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return int(status["VmRSS"].split()[0]) / 1024, int(status["Threads"]), len(os.listdir(f"/proc/{pid}/fd"))  # noqa: PTH208


def watch(process: "subprocess.Popen[bytes]", port: int, seconds: float, begun: float) -> list[tuple[float, int, int]]:
    """Print how the stream is, every ten seconds."""
    seen = []
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        time.sleep(min(10.0, max(0.1, end - time.monotonic())))
        assert process.poll() is None, "the stream has ended by itself"
        state = json.loads(get(port, "state.json"))
        metrics, used = state["metrics"], usage(process.pid)
        picture = cv2.imdecode(np.frombuffer(get(port, "frame.jpg"), np.uint8), cv2.IMREAD_COLOR)
        taken = timecode.read(np.asarray(picture, np.uint8))  # what the camera has written into its picture
        shown = "?" if taken is None else f"{time.monotonic() - taken:.2f} s"
        seen.append(used)
        print(
            f"{time.monotonic() - begun:6.0f} s  {','.join(state['states'].values()):10}  "
            f"{metrics['frames_out']:7} results  {metrics['reconnects']} reconnects  "
            f"age p95 {metrics['frame_age_ms']['p95']} ms  "
            f"newest result {shown} after capture  {used[0]:.1f} MB  {used[1]} threads  {used[2]} descriptors",
            flush=True,
        )
    return seen


def main() -> None:
    """Run the day and check what is left of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--fps", type=int, default=25)
    parser.add_argument("--size", default="640x360")
    chosen = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="segrt-soak-"))
    broker_port, page_port = free_port(), free_port()
    (folder / "mosquitto.conf").write_text(f"listener {broker_port} 127.0.0.1\nallow_anonymous true\nuser root\n")
    mosquitto = shutil.which("mosquitto") or "/usr/sbin/mosquitto"
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    broker = subprocess.Popen([mosquitto, "-c", folder / "mosquitto.conf"], **quiet)  # type: ignore[call-overload]
    camera = Camera(chosen.fps, chosen.size)
    uri = f"rtsp://127.0.0.1:{camera.port}/cam"
    arguments = ["stream", "street-panoptic", uri, "--threads", "1", "--metrics", str(folder / "metrics.json")]
    for sink in (
        folder / "out.mp4",
        folder / "out.jsonl",
        f"http://127.0.0.1:{page_port}",
        f"mqtt://127.0.0.1:{broker_port}/segrt/soak",
    ):
        arguments += ["--sink", str(sink)]
    begun = time.monotonic()
    process = subprocess.Popen([sys.executable, "-c", "from segrt.runtime.cli import main; main()", *arguments])
    try:
        time.sleep(10)
        watch(process, page_port, 10, begun)
        for _ in range(2):
            camera.kill()
            print("camera killed", flush=True)
            watch(process, page_port, 3, begun)
            camera.start()
            watch(process, page_port, 12, begun)
        os.kill(camera.process.pid, signal.SIGSTOP)
        print("camera frozen", flush=True)
        watch(process, page_port, FREEZE_SECONDS, begun)
        os.kill(camera.process.pid, signal.SIGCONT)
        watch(process, page_port, 20, begun)
        used = watch(process, page_port, chosen.minutes * 60, begun)
        exposed = get(page_port, "metrics").decode()
        process.send_signal(signal.SIGTERM)
        start = time.monotonic()
        code = process.wait(30)
        print(f"ended with {code} in {time.monotonic() - start:.1f} s")
    finally:
        process.kill()
        camera.kill()
        broker.terminate()
        broker.wait()
    check(folder, exposed, used, code)
    shutil.rmtree(folder)


def check(folder: Path, exposed: str, used: list[tuple[float, int, int]], code: int) -> None:
    """Check all outputs."""
    metrics = json.loads((folder / "metrics.json").read_text())
    print(json.dumps({name: metrics[name] for name in metrics if name != "stages"}, indent=1))
    assert code == 143
    assert metrics["reconnects"] == 3
    assert 'segrt_reconnects_total{source="rtsp://' in exposed
    lines = [json.loads(line) for line in (folder / "out.jsonl").read_bytes().splitlines()]
    assert len(lines) == metrics["sinks"]["jsonl"]["written"]
    with av.open(str(folder / "out.mp4")) as container:
        count = sum(1 for _ in container.decode(video=0))
    assert count == metrics["sinks"]["mp4"]["written"]
    print(f"{len(lines)} lines and {count} video frames are valid; frame age p95 {metrics['frame_age_ms']['p95']} ms")
    if len(used) > 12:
        settled = used[6:]
        grown = settled[-1][0] - settled[0][0]
        print(f"grown by {grown:.1f} MB, threads {settled[0][1]} -> {settled[-1][1]}, descriptors {settled[0][2]} -> "
              f"{settled[-1][2]}")  # fmt: skip
        assert grown < GROWTH_MB
        assert settled[-1][1] <= settled[0][1]
        assert settled[-1][2] <= settled[0][2]


if __name__ == "__main__":
    main()
