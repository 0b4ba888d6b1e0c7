"""Counts, times and lists in words, and tables as a file shows them."""

from io import StringIO

import pytest
from rich.console import Console

from segrt.runtime.console.tables import print_on, print_table
from segrt.runtime.console.words import comma_separated, counted, milliseconds
from segrt.runtime.errors import one_line


def test_one_is_singular_and_every_other_count_plural() -> None:
    assert [counted(number, "picture") for number in (0, 1, 2)] == ["0 pictures", "1 picture", "2 pictures"]


def test_milliseconds_are_the_median() -> None:
    assert milliseconds([9.0, 1.0, 3.214]) == "3.21 ms"
    assert milliseconds([]) == "-"


def test_names_of_a_list_are_stripped_and_empty_ones_dropped() -> None:
    assert comma_separated(" fp32, int8 ,,") == ["fp32", "int8"]
    assert comma_separated(None) == []


def test_a_table_in_a_file_takes_cells_literally_and_cuts_none(capsys: pytest.CaptureFixture[str]) -> None:
    print_table("a [bold]title", ["name", "value"], [["x" * 30, "[red]" + "y" * 200]])
    lines = capsys.readouterr().out
    assert "a [bold]title" in lines
    assert "[red]" in lines
    assert lines.count("y") == 200


def test_an_error_is_quoted_in_one_short_line() -> None:
    assert one_line(ValueError("first\n   second\tthird")) == "first second third"
    assert one_line(ValueError("x" * 400)) == "x" * 300
    assert one_line(ValueError("abc def"), 5) == "abc d"


FIGURES = (
    ["precision", "figure", "drop in points", "ms", "agreement", "file"],
    [
        ["fp32", "0.5123", "+0.00", "12.31", "99.1 %", "model.onnx"],
        ["int8-cpu", "0.51", "-0.1", "3.2", "", "model-int8-cpu.onnx"],
    ],
)
REASONS = (["rule", "runs on", "because"], [["merge_queries", "cpu", "the heads lie on the host, " * 5]])
PATH = (["", ""], [["a/very/long/path/without/an/end/before/sixty/columns/are/over/really.png", "ok"]])


@pytest.mark.parametrize("width", [60, 80, 120])
@pytest.mark.parametrize("table", [FIGURES, REASONS, PATH])
def test_a_table_keeps_every_word_whole_and_becomes_blocks_below_its_width(
    width: int, table: tuple[list[str], list[list[str]]]
) -> None:
    columns, rows = table
    console = Console(file=StringIO(), width=width, highlight=False)
    print_on(console, "title", columns, rows)
    assert isinstance(console.file, StringIO)
    text = console.file.getvalue()
    for word in (word for row in rows for cell in row for word in cell.split()):
        assert word in text
    is_table = "─" in text or (table is PATH and "really.png   ok" in text)
    needs = {"FIGURES": 81, "REASONS": 60, "PATH": 81}
    name = next(name for name, known in (("FIGURES", FIGURES), ("REASONS", REASONS), ("PATH", PATH)) if known is table)
    assert is_table == (width >= needs[name])
    if not is_table:
        assert f"\n{rows[0][0]}\n    " in text
        assert "ms: 12.31\n" in text or table is not FIGURES
    if table is not PATH:
        assert max(map(len, text.splitlines())) <= width


def test_columns_says_how_wide_a_table_may_be(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    print_table("title", *FIGURES)
    assert "    figure: 0.5123\n" in capsys.readouterr().out
