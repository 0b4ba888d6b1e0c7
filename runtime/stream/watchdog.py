"""Watches that a run moves on: ends the process when it stands still, and keeps systemd's watchdog fed when not."""

import faulthandler
import os
import sys
import threading
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING

from segrt.runtime.stream.sd_notify import Notifier
from segrt.runtime.stream.stage_thread import start

if TYPE_CHECKING:
    from segrt.runtime.stream.pipeline import Pipeline

STALLED_EXIT_CODE = 3
_LONGEST_TICK = 1.0
_STATUS_TICKS = 5
_FILES_SECONDS = 1.0


class Watchdog:
    """A thread that looks at a pipeline's signs of life while the `with` block runs.

    A run stands still when a source has given neither a frame nor tried to connect, or frames have been on their way
    without a result, for `stall_timeout` seconds. Then all threads' stacks go to standard error and the process ends
    with exit code 3. A camera that is away is no standstill. systemd is told READY, STATUS, STOPPING and, while nothing
    stands still, WATCHDOG.
    """

    def __init__(
        self, pipeline: "Pipeline", stall_timeout: float | None, *, exit_now: Callable[[int], None] = os._exit
    ) -> None:
        self._pipeline = pipeline
        self._stall_timeout = stall_timeout
        self._exit = exit_now
        self._notifier = Notifier()
        self._patience = stall_timeout or self._notifier.watchdog_seconds
        fastest = [value for value in (stall_timeout, self._notifier.watchdog_seconds) if value]
        self._tick = min([_LONGEST_TICK, *(value / 4 for value in fastest)])
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="segrt watchdog", daemon=True)

    def __enter__(self) -> "Watchdog":
        start(self._thread)
        self._notifier.send("READY=1")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._done.set()
        self._thread.join()
        self._notifier.send("STOPPING=1")
        self._notifier.close()

    def _watch(self) -> None:
        ticks = 0
        while not self._done.wait(self._tick):
            stalled = self._pipeline.recorder.seconds_stalled()
            if self._stall_timeout is not None and stalled > self._stall_timeout:
                self._end(stalled)
                return
            if self._patience is None or stalled < self._patience:
                self._notifier.send("WATCHDOG=1")
            if ticks % _STATUS_TICKS == 0:
                self._notifier.send(f"STATUS={self._status()}")
            ticks += 1

    def _status(self) -> str:
        states = self._pipeline.recorder.states()
        away = [source_id for source_id, state in states.items() if state != "live"]
        line = f"{self._pipeline.recorder.frames_out()} results"
        return line + (f"; not live: {', '.join(away)}" if away else "")

    def _end(self, stalled: float) -> None:
        print(f"segrt: error: nothing has moved for {stalled:.0f} s; the stacks of all threads:", file=sys.stderr)
        sys.stderr.flush()
        faulthandler.dump_traceback(all_threads=True)
        self._notifier.send("STATUS=stands still")
        self._pipeline.cancel()  # whatever still can closes its file
        self._pipeline.running(_FILES_SECONDS)
        self._exit(STALLED_EXIT_CODE)
