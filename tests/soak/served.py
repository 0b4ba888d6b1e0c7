"""A day of a Triton server in minutes: `python tests/soak/served.py [--minutes N] [--cameras N]`.

Cameras stream into a real server, each from a client of its own; the server is killed and started again every 20
seconds. In the end every client must have gone on after each outage, memory of the clients must be flat, and no shared
memory left. Then 20,000 small pictures go through one client, and the server's processes must not have grown with them;
and every frame of both clips of ../shared/fixtures/video, where they are, must have the results of the bundle itself.
"""

import argparse
import sys
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from triton_server import TritonServer

from segrt.runtime import open_bundle
from segrt.runtime.bundle.locating import read_bundle
from segrt.runtime.profiling.overlapped import MemorySource
from segrt.runtime.results import SemanticResult
from segrt.runtime.scale.triton.repository import export_model
from segrt.runtime.scale.triton.serving_options import ServingOptions
from segrt.runtime.stream.loop import open_pipeline
from segrt.runtime.stream.pipeline import Pipeline

NAME = "street-semantic"
PERIOD_SECONDS = 20.0
GROWTH_MB = 20.0
PICTURES = 20_000


def resident_mb(pattern: str) -> float:
    """Return the resident memory of all processes whose command line has `pattern`, in megabytes."""
    total = 0.0
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it has ended
            if pattern in (folder / "cmdline").read_text().replace("\0", " "):
                lines = (folder / "status").read_text().splitlines()
                total += sum(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS:"))
    return total


def own_mb() -> float:
    """Return this process's resident memory in megabytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS:"))


def outages(server: TritonServer, cameras: int, minutes: float) -> None:
    """Kill and start the server under streaming clients."""
    picture = np.zeros((192, 320, 3), np.uint8)
    segmenters = [open_bundle(server.address(NAME, "patience=1")) for _ in range(cameras)]
    pipelines: list[Pipeline] = [
        open_pipeline(segmenter, MemorySource([picture], 10**9, fps=10), ["null"]) for segmenter in segmenters
    ]
    threads = [threading.Thread(target=pipeline.run) for pipeline in pipelines]
    for thread in threads:
        thread.start()
    kills, end, first = 0, time.monotonic() + minutes * 60, 0.0
    while time.monotonic() < end:
        before = [pipeline.recorder.frames_out() for pipeline in pipelines]
        time.sleep(PERIOD_SECONDS)
        after = [pipeline.recorder.frames_out() for pipeline in pipelines]
        assert all(new > old for new, old in zip(after, before, strict=True)), f"stands still: {before} {after}"
        first = first or own_mb()
        server.kill()
        time.sleep(1.0)
        server.start()
        kills += 1
    time.sleep(PERIOD_SECONDS)
    for pipeline in pipelines:
        pipeline.stop()
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive()
    counted = [pipeline.recorder.metrics().server_outages for pipeline in pipelines]
    for segmenter in segmenters:
        segmenter.close()
    assert counted == [kills] * cameras, f"{kills} outages, counted {counted}"
    assert own_mb() - first < GROWTH_MB, f"{own_mb() - first:+.1f} MB"
    print(f"{kills} outages under {cameras} clients: all counted, all went on, {own_mb() - first:+.1f} MB")


def many_pictures(server: TritonServer, count: int) -> None:
    """Send many pictures and look at the server's memory."""
    picture = np.zeros((48, 64, 3), np.uint8)
    with open_bundle(server.address(NAME)) as segmenter:
        for number in range(count):
            segmenter(picture)
            if number == count // 4:
                before = resident_mb(f"{server.port}") + resident_mb("triton_python_backend_stub")
    after = resident_mb(f"{server.port}") + resident_mb("triton_python_backend_stub")
    assert after - before < GROWTH_MB, f"the server grew by {after - before:.1f} MB"
    print(f"{count} pictures: the server's memory {after - before:+.1f} MB")


def real_clips(server: TritonServer) -> None:
    """Compare every frame's result with the bundle's own."""
    folder = Path(__file__).resolve().parents[3] / "shared" / "fixtures" / "video"
    for clip in sorted(folder.glob("*.mp4")):
        frames = 0
        with open_bundle(NAME, threads=1) as own, open_bundle(server.address(NAME)) as served:
            for (_, wanted), (_, answered) in zip(own.stream(clip), served.stream(clip), strict=True):
                assert isinstance(wanted, SemanticResult)
                assert isinstance(answered, SemanticResult)
                assert np.array_equal(wanted.class_map, answered.class_map), f"{clip.name}: frame {frames} differs"
                frames += 1
        print(f"{clip.name}: {frames} frames, all with the same results")


def main() -> None:
    """Run all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--cameras", type=int, default=4)
    parser.add_argument("--pictures", type=int, default=PICTURES)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        export_model(read_bundle(NAME), work / "models", ServingOptions(threads=1))
        with TritonServer(work / "models", work) as server:
            outages(server, arguments.cameras, arguments.minutes)
            many_pictures(server, arguments.pictures)
            real_clips(server)
    left = list(Path("/dev/shm").glob("segrt-*"))
    assert left == [], left


if __name__ == "__main__":
    main()
