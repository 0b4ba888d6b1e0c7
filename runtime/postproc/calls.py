"""What every call of the core shares: its errors made ours, its counts reported."""

from typing import Any

from segrt.runtime.postproc.arguments import ArgumentError
from segrt.runtime.postproc.types import Report


def call_checked(function: Any, *arguments: Any) -> Any:
    """Call a function of the core; its refusals become ArgumentError."""
    try:
        return function(*arguments)
    except ValueError as error:
        raise ArgumentError(str(error)) from None


def count_nonfinite(report: Report | None, nonfinite: int) -> None:
    """Add to the caller's report, if there is one."""
    if report is not None:
        report.nonfinite += nonfinite
