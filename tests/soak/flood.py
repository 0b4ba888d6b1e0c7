"""Floods against the live page: `python tests/soak/flood.py [--seconds N] [--descriptors N]`.

A stream of the procedural street is recorded into mp4 and JSON lines, a new file every five seconds, beside a live
page, with no more than 1,024 descriptors. Then come, for N seconds each: 1,100 connections that send nothing, 130 that
send half a header, 300 that dribble a header, 100 that ask for pictures and never read them, and as many connections as
one thread can make. Meanwhile /healthz and /metrics are asked once a second. In the end every result must have been
written. Everything happens on loopback.
"""

import argparse
import http.client
import json
import resource
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

REQUEST = b"GET /frame.jpg HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
HALF = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Half: "


def connections(port: int, count: int, first: bytes = b"") -> list[socket.socket]:
    """Open `count` connections that send `first`; those that are refused are left out."""
    opened = []
    for _ in range(count):
        with suppress(OSError):
            connection = socket.create_connection(("127.0.0.1", port), timeout=0.5)
            opened.append(connection)
            connection.sendall(first)
    return opened


def idle(port: int, seconds: float) -> None:
    """Hold 1,100 connections that say nothing."""
    hold(connections(port, 1100), seconds)


def half_sent(port: int, seconds: float) -> None:
    """Hold 130 connections with half a header."""
    hold(connections(port, 130, HALF), seconds)


def dribbling(port: int, seconds: float) -> None:
    """Hold 300 connections that send one byte of their header twice a second."""
    hold(connections(port, 300, HALF), seconds, lambda connection: connection.sendall(b"x"))


def sleeping(port: int, seconds: float) -> None:
    """Hold 100 connections that ask for fifty pictures each and read none."""
    hold(connections(port, 100, REQUEST * 50), seconds)


def restless(port: int, seconds: float) -> None:
    """Connect and leave, as often as one thread can."""
    end, count = time.monotonic() + seconds, 0
    while time.monotonic() < end:
        for connection in connections(port, 20, HALF):
            connection.close()
        count += 20
    print(f"  {count / seconds:.0f} connections a second", flush=True)


def hold(opened: list[socket.socket], seconds: float, poke: Callable[[socket.socket], None] | None = None) -> None:
    """Keep connections for `seconds`, and `poke` them twice a second."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        time.sleep(0.5)
        for connection in opened if poke else ():
            with suppress(OSError):
                poke(connection)  # type: ignore[misc]
    for connection in opened:
        connection.close()


class Asking:
    """A process that asks for health and metrics once a second, as supervisors and Prometheus do."""

    CODE = """
import http.client, json, sys, time
port, seconds = int(sys.argv[1]), float(sys.argv[2])
end, answers = time.monotonic() + seconds, []
while time.monotonic() < end:
    for path in ("/healthz", "/metrics"):
        start = time.monotonic()
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
            connection.request("GET", path)
            status = connection.getresponse().status
            connection.close()
        except OSError as error:
            status = type(error).__name__
        except http.client.HTTPException as error:
            status = type(error).__name__
        answers.append((path, status, time.monotonic() - start))
    time.sleep(0.8)
print(json.dumps(answers))
"""

    def __init__(self, port: int, seconds: float) -> None:
        command = [sys.executable, "-c", self.CODE, str(port), str(seconds)]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)

    def answers(self) -> list[tuple[str, int | str, float]]:
        """Return path, status (or the name of the error) and seconds of each."""
        return [tuple(answer) for answer in json.loads(self._process.communicate()[0])]


def free_port() -> int:
    """Return a port that nobody uses."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def begin(folder: Path, port: int, descriptors: int) -> "subprocess.Popen[bytes]":
    """Start the stream and wait for its first result."""
    arguments = [
        "stream",
        "street-semantic",
        "street://?seed=1&fps=5&width=320&height=192",
        "--threads",
        "1",
        "--segment",
        "5s",
    ]
    for sink in (folder / "out.mp4", folder / "out.jsonl", f"http://127.0.0.1:{port}"):
        arguments += ["--sink", str(sink)]
    arguments += ["--metrics", str(folder / "metrics.json")]
    process = subprocess.Popen(
        [sys.executable, "-c", "from segrt.runtime.cli import main; main()", *arguments],
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (descriptors, descriptors)),
    )
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        with suppress(OSError, http.client.HTTPException):
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
            connection.request("GET", "/healthz")
            if connection.getresponse().status == 200:
                return process
        time.sleep(0.2)
    process.kill()
    raise SystemExit("the stream has not begun within a minute")


def main() -> None:
    """Flood, and count what was lost."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--descriptors", type=int, default=1024)
    chosen = parser.parse_args()
    resource.setrlimit(resource.RLIMIT_NOFILE, (4096, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    unreachable = []
    with tempfile.TemporaryDirectory(prefix="segrt-flood-") as name:
        folder, port = Path(name), free_port()
        process = begin(folder, port, chosen.descriptors)
        try:
            for flood in (idle, half_sent, dribbling, sleeping, restless):
                asking = Asking(port, chosen.seconds)
                flood(port, chosen.seconds)
                answers = asking.answers()
                good = [seconds for _, status, seconds in answers if status == 200]
                slowest = f"{max(good) * 1e3:.0f} ms" if good else "-"
                other = sorted({str(status) for _, status, _ in answers if status != 200})
                print(
                    f"{flood.__name__:10} {len(good)} of {len(answers)} answered, slowest {slowest} {other}", flush=True
                )
                unreachable += [(flood.__name__, answer) for answer in answers if answer[1] != 200]
            process.send_signal(signal.SIGTERM)
            code = process.wait(30)
        finally:
            process.kill()
        metrics = json.loads((folder / "metrics.json").read_text())
        lines = sum(len(path.read_bytes().splitlines()) for path in folder.glob("out-*.jsonl"))
    print(f"exit code {code}, {metrics['frames_out']} results, {lines} lines; sinks {metrics['sinks']}")
    assert code == 143
    assert lines == metrics["frames_out"]
    for sink in ("mp4", "jsonl"):
        assert metrics["sinks"][sink] == {"written": metrics["frames_out"], "dropped": 0, "failures": 0}, sink
    assert not unreachable, unreachable[:5]


if __name__ == "__main__":
    main()
