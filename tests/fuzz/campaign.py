"""Feeds changed files to readers, in a process with little memory that is watched from outside.

A reader may return, or refuse the file in one line (a SegrtError or wrong use of a command). Everything else is a
finding: another exception, an end of the process, more than `MOST_SECONDS`, more than `MOST_BYTES` beyond what the
process had before, a file written outside its folder.
"""

import argparse
import contextlib
import json
import os
import random
import resource
import select
import shutil
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

MOST_SECONDS = 20.0
MOST_BYTES = 2 << 30
_STARTING_SECONDS = 120.0
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_TRUNC
_CHANGING = frozenset(("os.mkdir", "os.remove", "os.rename", "os.rmdir", "os.link", "os.symlink", "os.truncate"))


@dataclass
class Outcome:
    """What came of one reader's files: how many, how long, how much memory, and what must not happen."""

    reader: str
    files: int = 0
    refused: int = 0
    seconds: float = 0.0
    slowest: float = 0.0
    peak_mb: float = 0.0
    findings: list[str] = field(default_factory=list)


def run(plan: "dict[str, range]", *, keep: Path | None = None) -> list[Outcome]:
    """Feed each reader of `plan` the changed files of its numbers; write those with findings into `keep`."""
    outcomes = {name: Outcome(name) for name in plan}
    with tempfile.TemporaryDirectory(prefix="segrt-fuzz-") as folder:
        seeds = Path(folder) / "seeds"
        seeds.mkdir()
        subprocess.run([sys.executable, __file__, "--prepare", str(seeds)], check=True, env=_environment(Path(folder)))
        for name, numbers in plan.items():
            for report in _fed(name, numbers, Path(folder), keep):
                _add(outcomes[name], report)
    return list(outcomes.values())


def _add(outcome: Outcome, report: "dict[str, object]") -> None:
    outcome.files += 1
    outcome.refused += bool(report.get("refused"))
    seconds = float(str(report["seconds"]))
    outcome.seconds += seconds
    outcome.slowest = max(outcome.slowest, seconds)
    outcome.peak_mb = max(outcome.peak_mb, float(str(report.get("peak_mb", 0))))
    if report.get("finding"):
        outcome.findings.append(f"{outcome.reader} {report['number']}: {report['finding']}")


def _environment(folder: Path) -> dict[str, str]:
    home = folder / "home"
    home.mkdir(exist_ok=True)
    more = {"HOME": str(home), "SEGRT_CACHE": str(home / "cache"), "TMPDIR": str(home), "OMP_NUM_THREADS": "1"}
    return {**os.environ, **more, "PYTHONHASHSEED": "0"}


def _fed(name: str, numbers: range, folder: Path, keep: Path | None) -> "Iterator[dict[str, object]]":
    """Yield what the worker reports of each file; start another worker behind one that it did not survive."""
    left = numbers
    while left:
        place = folder / "work"
        shutil.rmtree(place, ignore_errors=True)
        shutil.copytree(folder / "seeds", place)
        command = [sys.executable, __file__, "--work", name, str(left.start), str(left.stop), str(place)]
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL,
            env=_environment(folder), cwd=place,
        ) as worker:  # fmt: skip
            begun, limit = time.monotonic(), _STARTING_SECONDS
            for line in _lines(worker, lambda: limit):  # noqa: B023 (read at once)
                report = json.loads(line)
                limit = MOST_SECONDS
                if "number" not in report:
                    begun = time.monotonic()
                    continue
                left = range(report["number"] + 1, left.stop)
                begun = time.monotonic()
                if report.get("finding") and keep is not None:
                    _keep(name, report["number"], folder / "seeds", keep)
                yield report
            if left:  # it died, or was ended
                slow = time.monotonic() - begun >= limit
                why = f"took more than {limit:g} s" if slow else f"the process ended with {worker.wait()}"
                if limit == _STARTING_SECONDS:
                    raise RuntimeError(f"{name}: the worker did not start ({why})")
                if keep is not None:
                    _keep(name, left.start, folder / "seeds", keep)
                yield {"number": left.start, "seconds": time.monotonic() - begun, "finding": why}
                left = range(left.start + 1, left.stop)


def _lines(worker: "subprocess.Popen[bytes]", limit: object) -> "Iterator[bytes]":
    """Yield the worker's lines; kill it when none comes for `limit()` seconds."""
    assert worker.stdout is not None
    assert callable(limit)
    pending = b""
    while True:
        ready, _, _ = select.select([worker.stdout], [], [], limit())
        if not ready:
            worker.kill()
            return
        data = os.read(worker.stdout.fileno(), 1 << 16)
        if not data:
            return
        *whole, pending = (pending + data).split(b"\n")
        yield from whole


def _keep(name: str, number: int, seeds: Path, keep: Path) -> None:
    keep.mkdir(parents=True, exist_ok=True)
    (keep / f"{name.replace(' ', '-')}-{number}").write_bytes(changed(name, number, seeds))


def changed(name: str, number: int, seeds: Path) -> bytes:
    """Return the changed file `number` of a reader, made of the valid files in `seeds`."""
    from readers import READERS

    reader = next(reader for reader in READERS if reader.name == name)
    rng = random.Random(f"{name} {number}")
    return reader.mutate((seeds / reader.seeds[number % len(reader.seeds)]).read_bytes(), rng)


def _work(name: str, numbers: range, folder: Path) -> None:
    """Read changed files one after the other; report each as a line of JSON on standard output."""
    import warnings

    from readers import READERS

    report = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # libraries print what they like
    warnings.simplefilter("ignore")
    reader = next(reader for reader in READERS if reader.name == name)
    seeds = folder.parent / "seeds"
    with contextlib.suppress(Exception):  # imports what it needs, before memory is counted
        reader.read(folder, (seeds / reader.seeds[0]).read_bytes())
    outside: list[str] = []
    sys.addaudithook(_watch([folder, folder.parent / "home"], outside))
    before = _peak()
    resource.setrlimit(resource.RLIMIT_AS, (_virtual() + MOST_BYTES, resource.RLIM_INFINITY))
    resource.setrlimit(resource.RLIMIT_FSIZE, (MOST_BYTES, resource.RLIM_INFINITY))
    report.write("{}\n")
    for number in numbers:
        data = changed(name, number, seeds)
        start = time.monotonic()
        said = _judge(reader, folder, data)
        if outside and "finding" not in said:
            said["finding"] = f"wrote outside its folder: {outside[0]}"
        outside.clear()
        said |= {"number": number, "seconds": time.monotonic() - start, "peak_mb": (_peak() - before) / 1024}
        report.write(json.dumps(said) + "\n")


def _judge(reader: object, folder: Path, data: bytes) -> "dict[str, object]":
    import click
    from readers import Reader

    from segrt.runtime.errors import SegrtError

    assert isinstance(reader, Reader)
    try:
        reader.read(folder, data)
    except (SegrtError, click.ClickException) as error:
        if "\n" in str(error) or not str(error):
            return {"refused": True, "finding": f"not one line: {str(error)[:300]!r}"}
        return {"refused": True}
    except reader.allowed:
        return {"refused": True}
    except BaseException as error:
        where = traceback.extract_tb(error.__traceback__)[-6:]
        places = " < ".join(f"{Path(frame.filename).name}:{frame.lineno}" for frame in reversed(where))
        return {"finding": f"{type(error).__name__}: {str(error)[:200]} ({places})"}
    return {}


def _watch(allowed: "list[Path]", outside: "list[str]") -> "object":
    roots = tuple(str(path.resolve()) for path in allowed)

    def hook(event: str, arguments: "tuple[object, ...]") -> None:
        if event == "open":
            path, flags = arguments[0], arguments[2]
            if not isinstance(flags, int) or not flags & _WRITING:
                return
        elif event in _CHANGING:
            path = arguments[0]
        else:
            return
        if isinstance(path, str | bytes | os.PathLike):
            place = os.path.realpath(os.fsdecode(path))
            if not place.startswith((*roots, "/dev/null", "/proc/")):
                outside.append(place)

    return hook


def _peak() -> float:
    """Return the most memory that this process ever had resident, in KiB."""
    return float(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)


def _virtual() -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmSize:"):
            return int(line.split()[1]) << 10
    return 0


def main() -> None:
    """Do a worker's part."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--prepare")
    parser.add_argument("--work", nargs=4)
    given = parser.parse_args()
    if given.prepare:
        from valid_files import prepare

        prepare(Path(given.prepare))
    else:
        name, start, stop, folder = given.work
        _work(name, range(int(start), int(stop)), Path(folder))


if __name__ == "__main__":
    main()
