"""Progress bars: what a terminal shows, and that nothing is shown elsewhere."""

import io

import pytest
from rich.console import Console

from segrt.runtime.console.progress import Bars, with_progress


@pytest.fixture
def terminal() -> Console:
    return Console(file=io.StringIO(), force_terminal=True, width=100, _environ={"TERM": "xterm"})


def shown(terminal: Console) -> str:
    assert isinstance(terminal.file, io.StringIO)
    return terminal.file.getvalue()


def test_a_terminal_shows_names_literally_notes_and_counts(terminal: Console) -> None:
    with Bars("name", "note", "bar", "count", console=terminal) as bars:
        bars.show("[bold]my/bundle", 2, 7, note="profiling")
    assert "[bold]my/bundle profiling" in shown(terminal)
    assert "2/7" in shown(terminal)


def test_a_new_name_adds_a_bar_and_a_known_one_moves_it(terminal: Console) -> None:
    with Bars("name", "count", keep=True, console=terminal) as bars:
        bars.show("first", 1, 3)
        bars.show("second", 1, 2)
        bars.show("first", 3, 3)
    last = shown(terminal).rsplit("first", 1)[1]
    assert "3/3" in last
    assert "1/2" in last


def test_bytes_and_rates_have_units(terminal: Console) -> None:
    with Bars("name", "bytes", "rate", console=terminal) as bars:
        bars.show("weights.bin", 1_500_000, 3_000_000)
    assert "1.5/3.0 MB" in shown(terminal)
    assert "fps" in shown(terminal)


def test_a_waiting_bar_has_no_time_before_its_first_step(terminal: Console) -> None:
    with Bars("name", "note", "elapsed", keep=True, console=terminal) as bars:
        bars.add("camera-1", note="waiting")
        assert bars._progress is not None
        task = bars._progress.tasks[0]
        assert task.start_time is None
        bars.show("camera-1", 0.5, 1.0, note="copying")
        assert task.start_time is not None
        bars.stop("camera-1")
        assert task.stop_time is not None
    assert "camera-1 copying" in shown(terminal)


def test_nothing_is_shown_where_standard_error_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    with Bars("name", "bar") as bars:
        assert not bars.shown
        bars.add("one")
        bars.show("one", 1, 2)
        bars.stop("one")
    assert list(with_progress([1, 2, 3, 4], "counting")) == [1, 2, 3, 4]
    assert capsys.readouterr().err == ""


def test_items_come_through_the_bar_unchanged(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    assert list(with_progress(["a", "b", "c"], "reading")) == ["a", "b", "c"]
    assert "reading" in capsys.readouterr().err
