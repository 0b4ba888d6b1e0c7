"""Ends calls of FFmpeg that hang: of its sockets those that lead to a target are shut down from outside.

FFmpeg opens addresses that it writes to without a way to interrupt it, and without time limits: a server that accepts a
connection and then says nothing would hold its sink for ever.
"""

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

_SENT_MS = 5000  # after which the kernel gives up on a server that takes nothing
_FOLDER = "/proc/self/fd"


class TargetSockets:
    """The TCP connections of this process to `host`:`port` that no other sink has claimed."""

    _lock = threading.Lock()
    _claimed: dict[int, "TargetSockets"] = {}  # noqa: RUF012 (shared by all, that is its purpose)

    def __init__(self, host: str, port: int) -> None:
        self._host, self._port = host, port
        self._addresses: frozenset[str] = frozenset()
        self.hung = False
        """Whether the last bounded call was ended because it took too long."""

    def resolve(self) -> None:
        """Learn the addresses of the host; raise OSError where it has none."""
        found = socket.getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM)
        self._addresses = frozenset(str(entry[4][0]) for entry in found)

    @contextmanager
    def bounded(self, seconds: float) -> Iterator[None]:
        """End what hangs in this block for longer: its sockets are shut down, and the call fails."""
        self.hung = False
        done = threading.Event()

        def watch() -> None:
            if not done.wait(seconds):
                self.hung = True
                self.shut()

        watcher = threading.Thread(target=watch, name="segrt target", daemon=True)
        watcher.start()
        try:
            yield
        finally:
            done.set()
            watcher.join()

    def claim(self) -> None:
        """Take the connections as this sink's own, and let the kernel end them when the other side takes nothing."""
        for handle, own in self._here():
            with self._lock:
                self._claimed[handle] = self
            with suppress(OSError):
                own.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _SENT_MS)
            own.close()

    def release(self) -> None:
        """Give up what was claimed."""
        with self._lock:
            for handle in [handle for handle, owner in self._claimed.items() if owner is self]:
                del self._claimed[handle]

    def shut(self) -> None:
        """End the connections; calls that wait for them fail."""
        for _, own in self._here():
            with suppress(OSError):
                own.shutdown(socket.SHUT_RDWR)
            own.close()

    def _here(self) -> Iterator[tuple[int, socket.socket]]:
        """Give each descriptor that leads to the target, with a socket of ours for it."""
        try:
            handles = [int(name) for name in os.listdir(_FOLDER)]  # noqa: PTH208 (descriptors, no files)
        except OSError:
            return
        for handle in handles:
            with self._lock:
                owner = self._claimed.get(handle, self)
            if owner is not self:
                continue
            try:
                own = socket.socket(fileno=os.dup(handle))
            except OSError:
                continue
            try:
                peer = own.getpeername()
                leads = own.type == socket.SOCK_STREAM and (peer[0], peer[1]) in {
                    (address, self._port) for address in self._addresses
                }
            except (OSError, IndexError, TypeError):
                leads = False
            if leads:
                yield handle, own
            else:
                own.close()
