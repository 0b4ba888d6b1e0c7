"""Signals at random moments: `python tests/soak/signals.py [--count N] [--seed S] [--fake] [--processes P]`.

Starts live streams into every sink and ends each by SIGTERM, SIGINT or SIGKILL at a random moment of its life, several
times over in the same folder, as systemd does with Restart=always. Exit codes, messages and files must be as promised:
nothing that an earlier start has recorded changes, what was written is whole, and after SIGTERM and SIGINT every file
is closed and holds what the metrics say.
"""

import argparse
import contextlib
import hashlib
import json
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import av

from segrt.runtime.files.images import read_image

FAKES = Path(__file__).parents[1] / "runtime" / "stream"
REAL = "from segrt.runtime.cli import main; main()"
# The command line with a network that answers at once. All is imported where the command line imports the command.
FAKE = f"""
import sys
sys.path.insert(0, {str(FAKES)!r})
from segrt.runtime import cli
real = cli.import_module
def with_fake(name):
    import conftest
    import segrt.runtime.segmenter
    segrt.runtime.segmenter.open_bundle = lambda *_, **__: conftest.PanopticSegmenter()
    return real(name)
cli.import_module = with_fake
cli.main()
"""
SOURCES = ("street://?fps=40&width=640&height=360", "street://?fps=40&width=320&height=240&seed=2")
SINKS = (
    "out.mp4",
    "out.jsonl",
    "out.json",
    "pictures",
    "f-%04d.png",
    "http://127.0.0.1:0",
    "mqtt://127.0.0.1:9/segrt/signals",  # nobody listens there
)
SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGKILL)
STARTS = 5  # in one folder
LONGEST_SECONDS = 1.5  # of a stream, after it has begun
END_SECONDS = 2.0
SPARE_SECONDS = 2.0  # for a busy machine


@dataclass(frozen=True)
class Ended:
    """How a stream has ended: its exit code as Python has it, standard error, seconds from the signal to the end."""

    number: signal.Signals
    code: int
    said: str
    seconds: float


def start_and_signal(folder: Path, chance: random.Random, *, fake: bool) -> Ended:
    """Start a stream in `folder` and end it by a signal, which may come before it has begun."""
    number = chance.choice(SIGNALS)
    sinks = [part for name in SINKS for part in ("--sink", name)]
    arguments = ["stream", "street-panoptic", *SOURCES, *sinks, "--threads", "1", "--metrics", "metrics.json"]
    (folder / "metrics.json").unlink(missing_ok=True)
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(
            [sys.executable, "-c", FAKE if fake else REAL, *arguments],
            cwd=folder,
            stdout=subprocess.DEVNULL,
            stderr=errors,
            # A job in the background inherits an ignored SIGINT, which Python then leaves ignored.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )
        try:
            if chance.random() < 0.2:
                time.sleep(chance.random() * 1.5)  # while it begins
            else:
                known = len(list(folder.rglob("*")))
                deadline = time.monotonic() + 60
                while process.poll() is None and time.monotonic() < deadline and len(list(folder.rglob("*"))) == known:
                    time.sleep(0.01)
                time.sleep(chance.random() * LONGEST_SECONDS)
            process.send_signal(number)
            begun = time.monotonic()
            code = process.wait(60)
        finally:
            process.kill()
        seconds = time.monotonic() - begun
        errors.seek(0)
        return Ended(number, code, errors.read().decode(errors="replace"), seconds)


def faults(folder: Path, before: dict[str, str], ended: Ended) -> list[str]:
    """Return what is not as promised; `before` are the digests of what was in the folder."""
    found = _faults_of_exit(folder, before, ended)
    after = digests(folder)
    for name, digest in before.items():
        if name.endswith(".unfinished.jsonl"):
            if name not in after and not (folder / name.replace(".unfinished.jsonl", ".json")).exists():
                found.append(f"{name}: of an earlier start, neither there nor finished")
        elif after.get(name) != digest:
            found.append(f"{name}: of an earlier start, has changed")
    killed = ended.code == -signal.SIGKILL
    found += [
        fault for name in sorted(after.keys() - before.keys()) for fault in _faults_of_file(folder / name, killed)
    ]
    if ended.code > 0 and (folder / "metrics.json").exists():
        found += _faults_of_counts(folder, after.keys() - before.keys())
    return found


def digests(folder: Path) -> dict[str, str]:
    """Return the digest of each file below `folder` that holds something, the metrics excepted."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file() and path.name != "metrics.json" and path.stat().st_size
    }


def _faults_of_exit(folder: Path, before: dict[str, str], ended: Ended) -> list[str]:
    found = []
    codes = {signal.SIGTERM: (143,), signal.SIGINT: (130,), signal.SIGKILL: (-signal.SIGKILL,)}[ended.number]
    if digests(folder).keys() == before.keys():  # it may not have heard of its signals yet
        codes = (*codes, -ended.number)
        if ended.number == signal.SIGINT and ended.code == 1 and ended.said.endswith("KeyboardInterrupt\n"):
            return found  # Python itself was interrupted while it imported the command
    if ended.code not in codes:
        found.append(f"{ended.number.name}: ended with {ended.code}: {ended.said[-300:]}")
    if ended.code > 1:
        if "segrt: interrupted\n" not in ended.said or "Traceback" in ended.said:
            found.append(f"{ended.number.name}: said {ended.said[-300:]!r}")
        if ended.seconds > END_SECONDS + SPARE_SECONDS:
            found.append(f"{ended.number.name}: took {ended.seconds:.1f} s to end")
    return found


def _faults_of_file(path: Path, killed: bool) -> list[str]:
    """Return what is wrong with a file of a stream that was killed, or has closed it."""
    try:
        if path.name.startswith(".") and path.name.endswith(".partial"):
            return [] if killed else [f"{path.name}: was left behind"]
        if path.suffix == ".mp4":
            with av.open(str(path)) as container:
                count = sum(1 for _ in container.decode(video=0))
                if not killed and container.streams.video[0].frames != count:
                    return [f"{path.name}: has no index"]
        elif path.suffix == ".jsonl":
            data = path.read_bytes()
            lines = [json.loads(line) for line in data.splitlines()]
            if not data.endswith(b"\n"):
                return [f"{path.name}: ends within a line"]
            if path.name.endswith(".unfinished.jsonl"):
                if not killed:
                    return [f"{path.name}: is not finished"]
                for line in lines[1:]:
                    read_image(path.with_name(path.name.split(".")[0]) / line["image"]["file_name"])
        elif path.suffix == ".json":
            for image in json.loads(path.read_text())["images"]:
                read_image(path.with_suffix("") / image["file_name"])
        elif not (killed and path.parent.name.startswith("out")):  # a PNG of which the JSON says nothing
            read_image(path)
    except Exception as error:  # whatever it is, the file is not as promised
        return [f"{path}: {type(error).__name__}: {error}"]
    return []


def _faults_of_counts(folder: Path, names: "set[str]") -> list[str]:
    """Compare what is in the new files of a stream that was ended in order with what it says that it has written."""
    sinks = json.loads((folder / "metrics.json").read_text()).get("sinks", {})
    written = {name: counts["written"] for name, counts in sinks.items()}
    there: Counter[str] = Counter()
    for name in names:
        path = folder / name
        if path.suffix == ".mp4":
            with av.open(str(path)) as container:
                there["mp4"] += container.streams.video[0].frames
        elif path.suffix == ".jsonl":
            there["jsonl"] += path.read_bytes().count(b"\n")
        elif path.suffix == ".json":
            there["coco"] += len(json.loads(path.read_text())["images"])
        elif re.match(r"f-.*\.png", path.name):
            there["pictures 5"] += 1
        elif path.suffix == ".jpg":
            there["pictures 4"] += 1
    if sum(name.endswith(".json") for name in names) > 1:
        del there["coco"]  # one of them is that of an earlier start, which was killed
    return [
        f"{name}: {count} are in files, {written.get(name)} in metrics"
        for name, count in there.items()
        if count != written.get(name)
    ]


def run_folder(seed: int, starts: int, *, fake: bool) -> tuple[Counter[str], list[str]]:
    """Start `starts` streams in turn in a folder of their own; return how they ended, and every fault."""
    chance = random.Random(seed)
    ends: Counter[str] = Counter()
    found: list[str] = []
    with tempfile.TemporaryDirectory(prefix="segrt-signals-") as name:
        folder = Path(name)
        for _ in range(starts):
            before = digests(folder)
            ended = start_and_signal(folder, chance, fake=fake)
            ends[f"{ended.number.name} -> {ended.code}"] += 1
            found += [f"seed {seed}: {fault}" for fault in faults(folder, before, ended)]
    return ends, found


def main() -> None:
    """Run them all, and say how they ended."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--fake", action="store_true", help="with a network that answers at once")
    parser.add_argument("--processes", type=int, default=2)
    chosen = parser.parse_args()
    ends: Counter[str] = Counter()
    found: list[str] = []
    seeds = range(chosen.seed, chosen.seed + -(-chosen.count // STARTS))
    with ThreadPoolExecutor(chosen.processes) as pool:
        for counted, faulty in pool.map(lambda seed: run_folder(seed, STARTS, fake=chosen.fake), seeds):
            ends += counted
            found += faulty
            for fault in faulty:
                print(fault, flush=True)
            with contextlib.suppress(BrokenPipeError):
                print(f"{ends.total()} of {len(seeds) * STARTS}", flush=True)
    for end, count in sorted(ends.items()):
        print(f"{count:5} {end}")
    print(f"{len(found)} faults")
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
