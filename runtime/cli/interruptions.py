"""How a command that holds files open ends on Ctrl-C and SIGTERM: once, in order, and with the signal's exit code."""

import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType

import click

_CLOSING_SECONDS = 4.0  # twice what closing takes at most; whoever still signals then wants the end at once


class Terminated(KeyboardInterrupt):
    """The process was asked to end by SIGTERM."""


def exit_code_of(interruption: KeyboardInterrupt) -> int:
    """Return the exit code that shells give a process which the signal has ended: 143 or 130."""
    return 128 + (signal.SIGTERM if isinstance(interruption, Terminated) else signal.SIGINT)


class Interruptions:
    """Lets the first SIGTERM raise `Terminated`, or SIGINT KeyboardInterrupt, in the main thread; exits with its code.

    Signals that follow would leave files unclosed: they are ignored for as long as closing may take. A shell's
    `timeout` sends two, and a terminal one to every process of a job.
    """

    def __init__(self) -> None:
        self._first: float | None = None
        self._held = False
        self.pending: KeyboardInterrupt | None = None
        """What has come while interruptions were held, and was not raised yet."""

    @contextmanager
    def held(self) -> Iterator[None]:
        """Raise nothing but in `check`: an exception in the midst of other threads' locks would leave them locked."""
        self._held = True
        try:
            yield
        finally:
            self._held = False

    def check(self) -> None:
        """Raise what has come while interruptions were held."""
        pending, self.pending = self.pending, None
        if pending is not None:
            raise pending

    def __enter__(self) -> "Interruptions":
        numbers = [signal.SIGTERM]
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # else ignored, as for a background job
            numbers.append(signal.SIGINT)
        self._before = {number: signal.signal(number, self._handle) for number in numbers}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler if self._first is None else signal.SIG_IGN)
        if isinstance(error, Terminated):
            click.echo("segrt: interrupted", err=True)
            sys.exit(exit_code_of(error))

    def _handle(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002 (signal's signature)
        if self._first is None:
            self._first = time.monotonic()
            interruption = Terminated() if number == signal.SIGTERM else KeyboardInterrupt()
            if not self._held:
                raise interruption
            self.pending = interruption
        elif time.monotonic() - self._first > _CLOSING_SECONDS:
            os._exit(128 + number)
