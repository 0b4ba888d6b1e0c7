"""Reads the query of a source's or sink's URI: strictly, so that a misspelt option is not ignored."""

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from segrt.runtime.errors import VideoError
from segrt.runtime.files.uri import redact

Reader = Callable[[str], Any]


def read_query(uri: str, options: Mapping[str, Reader]) -> dict[str, Any]:
    """Return the options in the query of `uri`, each read by its function, which raises ValueError for a bad value.

    Raises VideoError, naming the source, for an unknown option and a bad value.
    """
    values: dict[str, Any] = {}
    for name, text in parse_qsl(urlsplit(uri).query, keep_blank_values=True):
        if name not in options:
            raise VideoError(f"{redact(uri)}: there is no option {name!r}; use {', '.join(options)}")
        try:
            values[name] = options[name](text)
        except ValueError as error:
            raise VideoError(f"{redact(uri)}: {name} {error}, but got {text!r}") from None
    return values


def number(lowest: float, highest: float) -> Callable[[str], float]:
    """Return a reader of numbers from `lowest` to `highest`."""

    def read(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = float("nan")
        if not lowest <= value <= highest:
            raise ValueError(f"must be a number from {lowest:g} to {highest:g}")
        return value

    return read


def whole(lowest: int, highest: int) -> Callable[[str], int]:
    """Return a reader of whole numbers from `lowest` to `highest`."""

    def read(text: str) -> int:
        if not text.isascii() or not text.isdigit() or not lowest <= int(text) <= highest:
            raise ValueError(f"must be a whole number from {lowest} to {highest}")
        return int(text)

    return read


def picture_size(text: str) -> tuple[int, int]:
    """Read "1280x720" as (width, height)."""
    width, _, height = text.lower().partition("x")
    try:
        return whole(32, 8192)(width), whole(32, 8192)(height)
    except ValueError:
        raise ValueError("must be WIDTHxHEIGHT, each 32 to 8192") from None


def flag(text: str) -> bool:
    """Read 1/0, true/false, yes/no."""
    if text.lower() in ("1", "true", "yes", ""):
        return True
    if text.lower() in ("0", "false", "no"):
        return False
    raise ValueError("must be 1 or 0")


def word(text: str) -> str:
    """Read a plain word, as formats of pictures are named."""
    if not text or not all(letter.isalnum() or letter in "_-." for letter in text):
        raise ValueError("must be a plain word")
    return text
