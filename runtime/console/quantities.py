"""Durations, sizes, finite numbers and threads on the command line: 500ms, 10s, 15m, 2h; 200MB, 2GB; 0.5.

A duration without a unit is in seconds, and that is said back. A size needs its unit: nobody who writes 2 means two
bytes.
"""

import math
import re
from typing import Any

import click

from segrt.runtime.console.printable import say
from segrt.runtime.threads import MOST_THREADS

_SECONDS = {"ms": 1e-3, "s": 1.0, "": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
_BYTES = {"b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12}
_FORM = re.compile(r"(\d+(?:\.\d+)?)\s*([a-z]*)")


# ParamType is generic since click 8.4.
class _Quantity(click.ParamType):  # type: ignore[type-arg,unused-ignore]
    def __init__(self, name: str, units: dict[str, Any], example: str, *, says_back: bool = True) -> None:
        self.name, self._units, self._example, self._says_back = name, units, example, says_back

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return seconds or bytes; say back, on standard error, what a number without a unit was taken for."""
        if isinstance(value, (int, float)):
            return float(value)
        match = _FORM.fullmatch(str(value).strip().lower())
        if match is None or match.group(2) not in self._units or float(match.group(1)) <= 0:
            unit = "" if "" in self._units else ", with its unit"
            self.fail(f"must be a {self.name} such as {self._example}{unit}, but got {value!r}", param, ctx)
        quantity = float(match.group(1)) * float(self._units[match.group(2)])
        # A context without a parent reads arguments for another process, which says it itself.
        called = ctx is not None and ctx.parent is not None and not ctx.resilient_parsing
        if self._says_back and not match.group(2) and param is not None and called:
            say(f"segrt: {param.opts[-1]} {value}: without a unit, that is {duration_text(quantity)}", err=True)
        return quantity


class FiniteRange(click.FloatRange):
    """Finite numbers of a range: click compares alone, which NaN passes, and an open range holds infinity."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return the number."""
        number = float(super().convert(value, param, ctx))
        if not math.isfinite(number):
            self.fail(f"must be a finite number, but got {value!r}", param, ctx)
        return number


DURATION = _Quantity("duration", _SECONDS, "500ms, 10s or 15m")
# For a command that says by itself what it took the duration for.
DURATION_SAID_LATER = _Quantity("duration", _SECONDS, "500ms, 10s or 15m", says_back=False)
SIZE = _Quantity("size", _BYTES, "200MB or 2GB")
SHARE = FiniteRange(0, 1)
THREADS = click.IntRange(0, MOST_THREADS)


def duration_text(seconds: float) -> str:
    """Return a duration in its largest unit that fits: "500 ms", "10 s", "15 min", "2 h"."""
    if seconds < 1:
        return f"{seconds * 1e3:g} ms"
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= length and seconds % length == 0:
            return f"{seconds / length:g} {unit}"
    return f"{seconds:g} s"


def size_text(size: float) -> str:
    """Return a number of bytes in its largest unit that fits: "200 MB", "2 GB"."""
    for unit, length in (("TB", 10**12), ("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if size >= length:
            return f"{size / length:g} {unit}"
    return f"{size:g} bytes"
