"""Text of files and devices, fit for a terminal."""

import logging
import re

import click

# Control characters of ASCII and Latin-1, which steer a terminal; marks that turn the direction of writing, or that
# begin a line; halves of pairs, which no encoder takes.
_UNFIT = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def printable(text: str, *, keep: str = "") -> str:
    """Return `text` with what is no visible character as its escape in Python; those in `keep` stay."""
    return _UNFIT.sub(lambda match: match.group() if match.group() in keep else _escape(match.group()), text)


def say(text: str, *, err: bool = False) -> None:
    """Print lines on standard output, or on standard error."""
    click.echo(printable(text, keep="\n\t"), err=err)


class PrintableFormatter(logging.Formatter):
    """Formats what is logged as lines that steer no terminal."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the text of a record."""
        return printable(super().format(record), keep="\n\t")


def printable_json(text: str) -> str:
    """Return a JSON text in which such characters are escapes of JSON; they can only be in its strings."""
    return _UNFIT.sub(lambda match: match.group() if match.group() == "\n" else f"\\u{ord(match.group()):04x}", text)


def _escape(character: str) -> str:
    number = ord(character)
    return f"\\x{number:02x}" if number < 256 else f"\\u{number:04x}"
