"""What `make bench` keeps of its runs, and what it says of them."""

import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def history(monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))
    monkeypatch.delitem(sys.modules, "postproc_history", raising=False)
    import postproc_history

    return postproc_history


def test_a_run_is_compared_with_the_last_of_its_machine_and_kept(history, tmp_path):
    path = tmp_path / "history.jsonl"

    def run(machine, **medians):
        return history.Run(machine, "abc", "2026-01-01T00:00:00+00:00", medians)

    assert "first run" in history.report(path, run("a", f=10.0, g=5.0, tiny=0.01))
    assert "first run" in history.report(path, run("b", f=1.0))
    said = history.report(path, run("a", f=5.0, g=5.3, tiny=0.03, new=1.0)).splitlines()
    assert said[1:] == ["  f: 10.00 ms before, 5.00 ms now, 0.50x (faster)"]
    said = history.report(path, run("a", f=5.1, g=8.0))
    assert "g: 5.30 ms before, 8.00 ms now, 1.51x (slower)" in said
    assert "nothing moved" in history.report(path, run("a", f=5.1, g=8.1))
    assert len(path.read_text().splitlines()) == 5


def test_this_run_names_machine_commit_date_and_medians(history):
    run = history.this_run(history.machine_name("Some CPU", "avx2"), {"f": 1.23456})
    assert run.machine.startswith("Some CPU, ")
    assert run.machine.endswith(" processors, avx2")
    assert run.medians == {"f": 1.2346}
    assert run.date.endswith("+00:00")
    assert run.commit
