"""Counts, times and lists in words, and tables as a file shows them."""

import pytest

from segrt.runtime.console.tables import print_table
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
