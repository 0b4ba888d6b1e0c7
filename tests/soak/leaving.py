"""Video that leaves, for long: `python tests/soak/leaving.py [--minutes N]`.

A street is segmented and served over RTSP, pushed over RTSP to a server that is killed and started again, written as
HLS, and watched over WebRTC by browsers that come and go; readers come and go, too, and one never reads. In the end
every reader must have been served, the push must have gone on after each outage, the HLS list must have no gap, and
memory must be flat. Needs GStreamer's RTSP server, Chromium and segrt[webrtc].
"""

import argparse
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path

import av
import av.error

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "runtime" / "stream"))

from leaving_camera import PushedTo, free_port
from playwright.sync_api import sync_playwright

PERIOD_SECONDS = 20.0
GROWTH_MB = 60.0


def resident_mb(process: int) -> float:
    """Return the resident memory of a process in megabytes."""
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS:"))


def read_now_and_then(uri: str, end: float, counts: list[int]) -> None:
    """Read a few seconds of the stream again and again; note how many pictures came each time."""
    while time.monotonic() < end:
        count = 0
        with (
            suppress(av.error.FFmpegError, OSError),
            av.open(uri, options={"rtsp_transport": "tcp"}, timeout=10) as film,
        ):
            for count, _ in enumerate(film.decode(video=0), 1):
                if count == 50:
                    break
        counts.append(count)


def never_read(uri: str, port: int, end: float) -> None:
    """Ask for the stream, and take nothing of it."""
    while time.monotonic() < end:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=5) as deaf:
            session = ""
            for request in ("DESCRIBE {0}", "SETUP {0}/stream=0", "PLAY {0}"):
                lines = [f"{request.format(uri)} RTSP/1.0", "CSeq: 1", "Transport: RTP/AVP/TCP;unicast;interleaved=0-1"]
                deaf.sendall("\r\n".join([*lines, *([f"Session: {session}"] if session else []), "", ""]).encode())
                answer = deaf.recv(4096).decode(errors="replace")
                session = answer.partition("Session: ")[2].split(";")[0].split("\r\n")[0] or session
            time.sleep(min(30.0, max(0.0, end - time.monotonic())))


def come_and_go(server: PushedTo, end: float, came: list[int]) -> None:
    """Kill and start the server that is pushed to; note how many pictures came each time."""
    while time.monotonic() < end:
        server.start()
        time.sleep(PERIOD_SECONDS)
        came.append(len(server.pictures))
        server.kill()
        time.sleep(2)


def watch_pages(address: str, end: float) -> list[float]:
    """Open pages one after the other; return the picture rate that each has shown."""
    rates = []
    with sync_playwright() as playwright:
        arguments = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=arguments)
        while time.monotonic() < end:
            page = browser.new_page()
            page.goto(address)
            page.wait_for_selector("#state.live", timeout=30_000)
            page.wait_for_timeout(8_000)
            rates.append(float(page.locator("#fps").inner_text()))
            page.close()
        browser.close()
    return rates


def main() -> int:
    """Run for so long; print what was seen, return 1 where something was not as it has to be."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=5.0)
    end = time.monotonic() + parser.parse_args().minutes * 60
    folder, port, pushed = Path(tempfile.mkdtemp()), free_port(), free_port()
    uri = f"rtsp://127.0.0.1:{port}/street"
    sinks = [f"{uri}?listen=1", f"rtsp://127.0.0.1:{pushed}/in", str(folder / "live.m3u8"), "http://127.0.0.1:0"]
    command = [sys.executable, "-c", "from segrt.runtime.cli import main; main()", "stream", "street-semantic"]
    command += [
        "street://?seed=1&fps=15&width=320&height=192&timecode=1",
        *(word for sink in sinks for word in ("--sink", sink)),
    ]
    stream = subprocess.Popen([*command, "--metrics", str(folder / "metrics.json")], stdout=subprocess.PIPE, text=True)
    assert stream.stdout is not None
    address = next(line.split(": ", 1)[1].strip() for line in stream.stdout if line.startswith("live page: "))
    counts: list[int] = []
    came: list[int] = []
    server = PushedTo("record_server.py", pushed)
    threads = [
        threading.Thread(target=read_now_and_then, args=(uri, end, counts)),
        threading.Thread(target=never_read, args=(uri, port, end)),
        threading.Thread(target=come_and_go, args=(server, end, came)),
    ]
    for thread in threads:
        thread.start()
    time.sleep(min(40.0, max(5.0, (end - time.monotonic()) / 3)))
    before = resident_mb(stream.pid)
    rates = watch_pages(address, end)
    for thread in threads:
        thread.join()
    server.kill()
    after = resident_mb(stream.pid)
    stream.terminate()
    code = stream.wait()
    numbers = [int(line[5:10]) for line in (folder / "live.m3u8").read_text().splitlines() if line.endswith(".ts")]
    checks = {
        f"{len(counts)} readings over RTSP, {min(counts)} pictures at least": min(counts) == 50,
        f"{len(came)} times pushed to, {min(came)} pictures at least": min(came) > 0,
        f"{len(rates)} pages, {min(rates)} pictures a second at least": min(rates) > 0,
        f"HLS {numbers[0]} to {numbers[-1]}": numbers == list(range(numbers[0], numbers[-1] + 1)),
        f"memory {before:.0f} to {after:.0f} MB": after - before < GROWTH_MB,
        f"exit code {code}": code == 143,
    }
    for said, holds in checks.items():
        print("ok " if holds else "NOT", said)
    shutil.rmtree(folder)
    return 0 if all(checks.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
