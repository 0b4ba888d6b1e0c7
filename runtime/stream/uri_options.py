"""Reads the query of a source's or sink's URI: strictly, so that a misspelt option is not ignored."""

import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from segrt.runtime.errors import VideoError
from segrt.runtime.files.uri import redact

Reader = Callable[[str], Any]
_SIZE = re.compile(r"\bsize=([0-9]{1,6})[xX]([0-9]{1,6})")


def read_query(uri: str, options: Mapping[str, Reader]) -> dict[str, Any]:
    """Return the options in the query of `uri`, each read by its function, which raises ValueError for a bad value.

    Raises VideoError, naming the source, for an unknown option and a bad value.
    """
    values: dict[str, Any] = {}
    for name, text in parse_qsl(urlsplit(uri).query, keep_blank_values=True):
        if name == "size" and EDGES.keys() <= options.keys():
            raise VideoError(f"{redact(uri)}: size={text} leaves open which edge is first; write {_with_edges(uri)}")
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


EDGES: Mapping[str, Reader] = {"width": whole(32, 8192), "height": whole(32, 8192)}
"""The options that say how large a camera's pictures are, in pixels."""


def read_size(uri: str, given: Mapping[str, Any]) -> tuple[int, int] | None:
    """Return (width, height) of what `read_query` gave, None where neither is there; raise VideoError for one alone."""
    width, height = given.get("width"), given.get("height")
    if width is None and height is None:
        return None
    if width is None or height is None:
        raise VideoError(f"{redact(uri)}: width and height go together; give both, width=1280&height=720 for instance")
    return width, height


def _with_edges(uri: str) -> str:
    """Return the address with size=WIDTHxHEIGHT, as it was written before, in the two options of today."""
    match = _SIZE.search(uri)
    if match is None:
        return "width=1280&height=720 for instance"
    return redact(uri[: match.start()] + f"width={match[1]}&height={match[2]}" + uri[match.end() :])


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
