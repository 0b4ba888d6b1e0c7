"""How tests call the command line, and what a refusal looks like."""

from collections.abc import Callable

Segrt = Callable[..., tuple[int, str, str]]
"""Arguments → exit code, standard output, standard error."""


def fails(result: tuple[int, str, str], code: int, *parts: str) -> None:
    """Hold that a call ended with `code` and one line that has these parts."""
    assert result[0] == code
    assert result[2].count("\n") == 1, result[2]
    assert result[2].startswith("segrt: error: ")
    for part in parts:
        assert part in result[2]
