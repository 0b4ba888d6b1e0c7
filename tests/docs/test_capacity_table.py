"""docs/scale.md shows the table that its script computes."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def capacity(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "benchmarks/capacity.py", *words]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_the_page_shows_what_the_script_computes() -> None:
    assert capacity("--check", "docs/scale.md").returncode == 0


def test_another_table_is_told_and_more_of_a_network_serves_fewer_cameras() -> None:
    done = capacity("--fps", "10", "--check", "docs/scale.md")
    assert (done.returncode, "shows another table" in done.stderr) == (1, True)

    def milliseconds(gmacs: str) -> list[float]:
        rows = capacity("--gmacs", gmacs).stdout.splitlines()[2:]
        return [float(row.split("|")[4].split(" to ")[1]) for row in rows]

    assert all(less < more for less, more in zip(milliseconds("10"), milliseconds("100"), strict=True))
