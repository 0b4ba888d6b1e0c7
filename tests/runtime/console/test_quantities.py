"""Durations and sizes on the command line, and as they are said back."""

import click
import pytest

from segrt.runtime.console.quantities import DURATION, SIZE, duration_text, size_text


@pytest.mark.parametrize(
    ("text", "seconds"), [("2", 2), ("0.5", 0.5), ("500ms", 0.5), ("10s", 10), ("15m", 900), ("2 h", 7200)]
)
def test_durations_without_a_unit_are_seconds(text: str, seconds: float) -> None:
    assert DURATION.convert(text, None, None) == seconds


@pytest.mark.parametrize(("text", "size"), [("200MB", 200e6), ("2GB", 2e9), ("2 gb", 2e9), ("1.5kB", 1500), ("7b", 7)])
def test_sizes_have_a_unit(text: str, size: float) -> None:
    assert SIZE.convert(text, None, None) == size


@pytest.mark.parametrize("text", ["2", "2000000000", "0.5", "GB", "-2GB", "0GB"])
def test_a_size_without_a_unit_is_refused_by_name(text: str) -> None:
    with pytest.raises(
        click.BadParameter, match=f"must be a size such as 200MB or 2GB, with its unit, but got '{text}'"
    ):
        SIZE.convert(text, None, None)


def test_quantities_are_said_back_in_their_largest_whole_unit() -> None:
    assert [duration_text(value) for value in (0.5, 10, 90, 600, 7200, 86400)] == [
        "500 ms", "10 s", "90 s", "10 min", "2 h", "1 d",
    ]  # fmt: skip
    assert [size_text(value) for value in (7, 1500, 200e6, 2.5e9)] == ["7 bytes", "1.5 kB", "200 MB", "2.5 GB"]
