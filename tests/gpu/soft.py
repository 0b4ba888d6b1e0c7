"""Trials that fail softly: whatever goes wrong in one is told, and the rest goes on."""

import time
from collections.abc import Callable
from typing import Any

Row = dict[str, object]


def tried(what: str, failures: list[str], made: Callable[[], tuple[Row, bool]]) -> Row:
    """Return the row of a trial, which says whether it is right; what is wrong, or raised, goes to `failures`."""
    begin = time.monotonic()
    row: Row = {"trial": what}
    try:
        found, right = made()
        row |= found
        if not right:
            failures.append(f"{what}: {found.get('same', found)}")
    except Exception as error:  # also a fault of the trial itself
        row["same"] = f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
        failures.append(f"{what}: {row['same']}")
    row["took s"] = round(time.monotonic() - begin, 1)
    return row


def within(clock: Any, seconds: float, what: str, left_out: list[str]) -> bool:
    """Whether the time is enough for a trial; what does not fit is named."""
    if clock.has(seconds):
        return True
    left_out.append(f"{what}: no time was left")
    return False
