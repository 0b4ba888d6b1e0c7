"""The commands on this machine's GPU: they end with 0 where the GPU has decoded, and refuse in one line."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import trials
from soft import Row, tried, within

from segrt.runtime.bundle.locating import read_bundle

NAME = "street-panoptic"
WHERE = ("--backend", "onnxruntime", "--decode", "cuda")  # --decode cuda is refused where heads do not lie on the GPU
_SECONDS = 10.0
_LONGEST = 60.0


def run_all(failures: list[str], left_out: list[str], clock: Any, where: tuple[str, ...] = WHERE) -> list[Row]:
    """Return a row for each command; `where` says what executes them."""
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "pictures").mkdir()
        for number in range(2):
            cv2.imwrite(str(folder / "pictures" / f"{number}.png"), trials.source_picture(number))
        for what, made in jobs(folder, where).items():
            if within(clock, _SECONDS, what, left_out):
                rows.append(tried(what, failures, made))
    return rows


def jobs(folder: Path, where: tuple[str, ...]) -> dict[str, Callable[[], tuple[Row, bool]]]:
    """Return what is run, by name."""
    street = "street://?seed=3&frames=4&width=320&height=192"
    pictures, report = str(folder / "pictures"), folder / "profile.json"
    device = "cuda" if "cuda" in where else "cpu"

    def profiled() -> tuple[Row, bool]:
        more = ("--frames", "20", "--no-cold", "--json", str(report))
        row, right = ends_well("profile", NAME, *more, *where)
        used = {run["device"] for run in json.loads(report.read_bytes())["runs"]} if right else set()
        return row | {"decoded on": ", ".join(used)}, right and used == {device}

    return {
        "segrt run": lambda: ends_well("run", NAME, pictures, "--out", str(folder / "out"), *where),
        "segrt run --tile": lambda: ends_well(
            "run", NAME, pictures, "--tile", "768x1280,20%", "--out", str(folder / "tiles"), *where
        ),
        "segrt stream --track": lambda: ends_well(
            "stream", NAME, pictures, "--track", "--sink", str(folder / "results.jsonl"), *where
        ),
        "segrt eval": lambda: ends_well("eval", NAME, "--annotations", street, *where),
        "segrt profile": profiled,
        "segrt run with too many threads": lambda: refuses("run", NAME, pictures, "--threads", "9999", *where),
        "segrt run in a precision that is not there": lambda: refuses(
            "run", NAME, pictures, "--precision", "int8", "--out", str(folder / "none"), *where
        ),
        "segrt run on TensorRT, in a precision that is not there": lambda: refuses(
            "run", NAME, pictures, "--precision", "int8", "--backend", "tensorrt", "--out", str(folder / "none")
        ),
    }


def ends_well(*arguments: str) -> tuple[Row, bool]:
    """Run a command that must end with 0 and say nothing of an error."""
    code, _, said = command(*arguments)
    right = code == 0 and "Traceback" not in said
    return {"same": "ends with 0" if right else f"ends with {code}: {_last(said)}"}, right


def refuses(*arguments: str) -> tuple[Row, bool]:
    """Run a command that must be refused, in one line."""
    code, _, said = command(*arguments)
    lines = [line for line in said.strip().splitlines() if "error" in line.lower()]
    right = code == 2 and len(lines) == 1 and "Traceback" not in said
    return {"same": f"refused: {_last(said)}" if right else f"ends with {code}: {said.strip()[-300:]}"}, right


def command(*arguments: str) -> tuple[int, str, str]:
    """Run segrt; return its exit code, standard output and standard error."""
    program = [sys.executable, "-c", "from segrt.runtime.cli import main; main()", *arguments]
    done = subprocess.run(
        program, capture_output=True, text=True, errors="replace", timeout=_LONGEST, env=dict(os.environ), check=False
    )
    return done.returncode, done.stdout, done.stderr


def _last(said: str) -> str:
    """Return the last line, with the bundle's name for where it lies on this machine."""
    folder = str(read_bundle(NAME).folder)
    return (said.strip().splitlines() or ["no message"])[-1].replace(folder, NAME)[:300]
