"""The thread of a stage, whose end can be waited for, and what is said when there can be no thread."""

import threading
import time
from collections.abc import Callable, Sequence

from segrt.runtime.errors import SegrtError

NO_THREAD = (
    "the system gives no more threads; raise the limit of processes (ulimit -u, systemd's TasksMax=, the container's "
    "limit of pids)"
)


class StageThread(threading.Thread):
    """A thread that is waited for by an event: `Thread.join`, when a signal interrupts it, takes the thread for ended.

    See bpo-45274, whose remedy releases the lock of a thread that still runs.
    """

    def __init__(self, work: Callable[[], None], name: str) -> None:
        super().__init__(name=name, daemon=True)
        self._work = work
        self._over = threading.Event()

    def run(self) -> None:
        """Work."""
        try:
            self._work()
        finally:
            self._over.set()

    def lasts(self, timeout: float) -> bool:
        """Wait up to `timeout` seconds for the end; return whether it still runs. One not started does not."""
        return self.ident is not None and not self._over.wait(timeout)


def still_running(threads: Sequence[StageThread], timeout: float) -> list[StageThread]:
    """Wait up to `timeout` seconds for the threads to end; return those that have not."""
    deadline = time.monotonic() + timeout
    return [thread for thread in threads if thread.lasts(max(0.0, deadline - time.monotonic()))]


def start(thread: threading.Thread) -> None:
    """Start a thread without which there is no run; raise SegrtError when the system gives none."""
    try:
        thread.start()
    except RuntimeError:
        raise SegrtError(f"thread {thread.name!r}: {NO_THREAD}") from None
