"""How a command that holds files open ends on Ctrl-C and SIGTERM: once, in order, and with the signal's exit code."""

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import NoReturn

import click

_CLOSING_SECONDS = 4.0  # twice what closing takes at most; whoever still signals then wants the end at once


@contextmanager
def ended_at_once() -> Iterator[None]:
    """End the process on the first Ctrl-C, for as long as nothing is open: while modules are imported.

    KeyboardInterrupt will not do there: what initialises an extension module (numpy's does) may make an ImportError of
    it, which says that the installation is broken.
    """
    before = signal.getsignal(signal.SIGINT)
    if before is not signal.default_int_handler or threading.current_thread() is not threading.main_thread():
        yield  # ignored, as for a background job, or another's business
        return
    signal.signal(signal.SIGINT, _end_at_once)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _end_at_once(number: int, frame: FrameType | None) -> NoReturn:  # noqa: ARG001 (signal's signature)
    click.echo("segrt: interrupted", err=True)
    os._exit(128 + number)


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
