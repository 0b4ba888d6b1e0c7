"""What an archive costs: frames a second with one worker and with two, and memory over a video of two hours.

    python benchmarks/archive.py scaling [--frames N] [--pairs N] [--ray]
    python benchmarks/archive.py memory [--hours H] [--clip-seconds S]
    python benchmarks/archive.py rate [--bundle NAME] [--frames N]

- scaling: the embedded panoptic model on a street, one thread a worker; runs with one and with two workers take turns.
  On a machine that others use, too, seconds say little: the workers' processor time for a frame is given beside them.
  With as many processors as workers, what two do more than one is twice the ratio of these times.
- memory: a street, repeated for so long; resident memory of the command and of its workers, looked at twice a second.
- rate: what one worker does in a second of processor time, for sizing.
"""

import argparse
import os
import resource
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import av

from segrt.runtime.decode.rule_changes import RuleChanges
from segrt.runtime.inference.execution import Execution
from segrt.runtime.scale.archive.archive_command import Request, archived
from segrt.runtime.streetworld.moments import Clip
from segrt.runtime.streetworld.writing import write_video

SECONDS_OF_A_CLIP = 2.0


@dataclass(frozen=True)
class Run:
    """One run: frames, seconds from the first clip to the last, processor seconds of the workers."""

    frames: int
    seconds: float
    cpu: float


def street(folder: Path, frames: int, size: tuple[int, int] = (360, 640)) -> Path:
    """Write a moving street with a key frame every two seconds."""
    path = folder / f"street-{frames}-{size[0]}.mp4"
    if not path.exists():
        write_video(path, Clip(seed=900_000, frames=frames, size=size, fps=25.0), 25.0)
    return path


def repeated(source: Path, out: Path, hours: float) -> int:
    """Write the packets of `source` again and again, for so many hours; return how many frames these are."""
    count = 0
    with av.open(str(source)) as container, av.open(str(out), "w") as target:
        stream = container.streams.video[0]
        added = target.add_stream_from_template(stream)
        packets = [packet for packet in container.demux(stream) if packet.dts is not None]
        span = max(packet.pts + packet.duration for packet in packets)
        rounds = max(1, round(hours * 3600 / float(span * stream.time_base)))
        kept = [(bytes(packet), packet.pts, packet.dts, packet.duration, packet.is_keyframe) for packet in packets]
        for number in range(rounds):
            for data, pts, dts, duration, is_key in kept:
                packet = av.Packet(data)
                packet.stream, packet.time_base = added, stream.time_base
                packet.pts, packet.dts, packet.duration = pts + number * span, dts + number * span, duration
                packet.is_keyframe = is_key
                target.mux(packet)
                count += 1
    return count


def run(source: Path, workers: int, *, bundle: str, address: str | None = None) -> Run:
    """Archive a video with so many workers, one thread each."""
    with tempfile.TemporaryDirectory() as folder:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        request = Request(
            bundle, (str(source),), f"{folder}/out", RuleChanges(), Execution(threads=1), SECONDS_OF_A_CLIP,
            workers=workers, address=address,
        )  # fmt: skip
        begun: list[float] = []
        done = archived(request, lambda totals: begun.append(time.monotonic()) if totals.frames else None, print)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    first = min(SECONDS_OF_A_CLIP * 25 * workers, done.totals.frames / 2)
    return Run(done.totals.frames, (begun[-1] - begun[0]) * done.totals.frames / (done.totals.frames - first), cpu)


def scaling(options: argparse.Namespace) -> None:
    """Print frames a second and processor time a frame, with one worker and with two."""
    with tempfile.TemporaryDirectory() as folder:
        source, short = street(Path(folder), options.frames), street(Path(folder), 50)
        address = "local" if options.ray else None
        start = {workers: run(short, workers, bundle=options.bundle) for workers in (1, 2)}  # what starting costs
        runs: dict[int, list[Run]] = {1: [], 2: []}
        for pair in range(options.pairs):
            for workers in (1, 2):
                runs[workers].append(run(source, workers, bundle=options.bundle, address=address))
            one, two = (runs[workers][-1] for workers in (1, 2))
            print(f"pair {pair + 1}: {one.frames / one.seconds:.1f} and {two.frames / two.seconds:.1f} frames/s")
    rates = {workers: median(one.frames / one.seconds for one in done) for workers, done in runs.items()}
    print(f"1 worker {rates[1]:.1f}, 2 workers {rates[2]:.1f} frames/s: {rates[2] / rates[1]:.2f} times")
    if address is None:
        each = {
            workers: median((one.cpu - start[workers].cpu) / (one.frames - start[workers].frames) for one in done) * 1e3
            for workers, done in runs.items()
        }
        ratio = 2 * each[1] / each[2]
        print(f"processor time: {each[1]:.1f} and {each[2]:.1f} ms a frame: {ratio:.2f} times on two free processors")


def memory(options: argparse.Namespace) -> None:
    """Print resident memory of the command and its workers over a long video, in quarters of the time."""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "long.mp4"
        frames = repeated(street(Path(folder), 500, (96, 160)), source, options.hours)
        print(f"{frames} frames, {source.stat().st_size / 1e6:.0f} MB")
        looked: list[tuple[int, int]] = []
        ended = threading.Event()

        def look() -> None:
            while not ended.wait(0.5):
                looked.append((_resident(os.getpid()), max(map(_resident, _children()), default=0)))

        watcher = threading.Thread(target=look, daemon=True)
        watcher.start()
        request = Request(
            options.bundle, (str(source),), f"{folder}/out", RuleChanges(), Execution(threads=1), options.clip_seconds,
            every=options.every, workers=1,
        )  # fmt: skip
        done = archived(request, lambda _: None, print)
        ended.set()
        watcher.join()
    print(f"{done.totals.frames} frames segmented, {done.totals.clips} clips, {done.totals.seconds:.0f} s")
    for quarter in range(4):
        part = looked[len(looked) * quarter // 4 : len(looked) * (quarter + 1) // 4]
        command, worker = (max(value) / 1024 for value in zip(*part, strict=True))
        print(f"quarter {quarter + 1}: command {command:.0f} MB, worker {worker:.0f} MB at most")


def rate(options: argparse.Namespace) -> None:
    """Print what one worker does in a second of processor time, and what its rows take on the disk."""
    with tempfile.TemporaryDirectory() as folder:
        short, source = street(Path(folder), 50), street(Path(folder), options.frames)
        start, done = (run(path, 1, bundle=options.bundle) for path in (short, source))
        each = (done.cpu - start.cpu) / (done.frames - start.frames)
        out = f"{folder}/out"
        request = Request(options.bundle, (str(source),), out, RuleChanges(), Execution(threads=1), 60.0)
        archived(request, lambda _: None, print)
        size = sum(path.stat().st_size for path in Path(out).rglob("*.parquet"))
    print(f"{options.bundle}: {1 / each:.1f} frames a processor second, {size / done.frames:.0f} bytes a frame")


def _children() -> list[int]:
    text = Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text()
    return [int(word) for word in text.split()]


def _resident(process: int) -> int:
    """Return kilobytes, 0 for a process that is gone."""
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("VmRSS:")), 0)


def main() -> None:
    """Measure what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["scaling", "memory", "rate"])
    parser.add_argument("--bundle", default="street-panoptic")
    parser.add_argument("--frames", type=int, default=500)
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--ray", action="store_true")
    parser.add_argument("--hours", type=float, default=2.0)
    parser.add_argument("--clip-seconds", type=float, default=60.0)
    parser.add_argument("--every", type=int, default=25)
    options = parser.parse_args()
    {"scaling": scaling, "memory": memory, "rate": rate}[options.what](options)


if __name__ == "__main__":
    main()
