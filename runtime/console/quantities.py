"""Durations, sizes, finite numbers and threads on the command line: 500ms, 10s, 15m, 2h; 200MB, 2GB; 0.5."""

import math
import re
from typing import Any

import click

from segrt.runtime.threads import MOST_THREADS

_SECONDS = {"ms": 1e-3, "s": 1.0, "": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
_BYTES = {"": 1, "b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12}
_FORM = re.compile(r"(\d+(?:\.\d+)?)\s*([a-z]*)")


# ParamType is generic since click 8.4.
class _Quantity(click.ParamType):  # type: ignore[type-arg,unused-ignore]
    def __init__(self, name: str, units: dict[str, Any], example: str) -> None:
        self.name, self._units, self._example = name, units, example

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return seconds or bytes."""
        if isinstance(value, (int, float)):
            return float(value)
        match = _FORM.fullmatch(str(value).strip().lower())
        if match is None or match.group(2) not in self._units or float(match.group(1)) <= 0:
            self.fail(f"must be a {self.name} such as {self._example}, but got {value!r}", param, ctx)
        return float(match.group(1)) * float(self._units[match.group(2)])


class FiniteRange(click.FloatRange):
    """Finite numbers of a range: click compares alone, which NaN passes, and an open range holds infinity."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return the number."""
        number = float(super().convert(value, param, ctx))
        if not math.isfinite(number):
            self.fail(f"must be a finite number, but got {value!r}", param, ctx)
        return number


DURATION = _Quantity("duration", _SECONDS, "500ms, 10s or 15m")
SIZE = _Quantity("size", _BYTES, "200MB or 2GB")
SHARE = FiniteRange(0, 1)
THREADS = click.IntRange(0, MOST_THREADS)
