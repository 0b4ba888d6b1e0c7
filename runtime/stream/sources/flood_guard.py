"""Ends connections on which a camera sends a picture without an end.

FFmpeg gathers a picture until it is whole, and one that never is fills memory at the network's speed. Its RTSP opens
its own sockets and tells nobody what came through them, but Linux counts the bytes of every TCP connection. A thread
looks at those that were made since the guard began.
"""

import os
import socket
import stat
import struct
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

from segrt.runtime.errors import VideoError

MOST_BYTES = 12 << 20
"""The most that a picture may have; RTP's JPEG ends at 2040x2040 pixels, a key frame of 8K has less. FFmpeg holds it
up to three times."""

_INTERVAL_S = 0.01
_CLOSE_S = 0.001  # while a large picture comes: loopback brings 2 GB/s
_LARGE = 1 << 20
_SEARCH_EVERY = 50  # looks; FFmpeg may change from UDP to TCP in the midst of a read
_RECEIVED = 128  # the offset of tcpi_bytes_received in struct tcp_info, of Linux 4.1 and later
_Result = TypeVar("_Result")


class FloodGuard:
    """Shuts down TCP connections, made while it is open, that receive more than `MOST_BYTES` between two pictures.

    `connected` is called after connecting and `restart` after each picture. Two cameras that connect at the same time
    watch each other's connections, too: one that sends too much may be ended by either. Over UDP, and elsewhere than on
    Linux, nothing is counted.
    """

    def __init__(self) -> None:
        self._older = set(_sockets())
        self._received: dict[int, int] = {}  # by inode: the bytes at the end of the last picture
        self._pictures = 0
        self._is_connecting = True
        self._is_flooded = False
        self._closed = threading.Event()
        if sys.platform == "linux":
            threading.Thread(target=self._watch, name="segrt flood guard", daemon=True).start()

    def connected(self) -> None:
        """Search for new connections less often from now on."""
        self._is_connecting = False

    def restart(self) -> None:
        """Begin to count anew: a picture has ended."""
        self._pictures += 1

    def check(self, *, ended: bool = True) -> None:  # noqa: ARG002  (as BoundedBytes)
        """Raise VideoError where a connection was shut down."""
        if self._is_flooded:
            raise VideoError(f"sends more than {MOST_BYTES >> 20} MiB without the end of a picture")

    def close(self) -> None:
        """End the watch."""
        self._closed.set()

    def _watch(self) -> None:
        descriptors: dict[int, int] = {}
        pictures = looks = most = 0
        while not self._closed.wait(_INTERVAL_S if most < _LARGE else _CLOSE_S):
            looks = 0 if pictures != self._pictures else looks + 1
            if self._is_connecting or looks % _SEARCH_EVERY == _SEARCH_EVERY - 1:
                descriptors = {inode: fd for inode, fd in _sockets().items() if inode not in self._older}
            counts = {inode: _on_socket(fd, inode, _bytes_received) or 0 for inode, fd in descriptors.items()}
            if pictures != self._pictures:
                pictures, self._received = self._pictures, counts
            since = {inode: count - self._received.get(inode, 0) for inode, count in counts.items()}
            most = max(since.values(), default=0)
            for inode, count in since.items():
                if count > MOST_BYTES:
                    self._is_flooded = True
                    _on_socket(descriptors[inode], inode, lambda found: found.shutdown(socket.SHUT_RDWR))


def _sockets() -> dict[int, int]:
    """Return the descriptors of this process's sockets by their inodes; none where the system does not list them."""
    found = {}
    with suppress(OSError):
        for name in os.listdir("/proc/self/fd"):  # noqa: PTH208  (names, not paths)
            with suppress(OSError):
                status = os.fstat(int(name))
                if stat.S_ISSOCK(status.st_mode):
                    found[status.st_ino] = int(name)
    return found


def _on_socket(descriptor: int, inode: int, action: Callable[[socket.socket], _Result]) -> _Result | None:
    """Return what `action` says of a socket; None where the descriptor is closed or another's by now, or no TCP."""
    try:
        with socket.socket(fileno=os.dup(descriptor)) as opened:
            if os.fstat(opened.fileno()).st_ino != inode or opened.type != socket.SOCK_STREAM:
                return None
            return action(opened)
    except OSError:
        return None


def _bytes_received(connection: socket.socket) -> int:
    if connection.family not in (socket.AF_INET, socket.AF_INET6):
        return 0
    info = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _RECEIVED + 8)
    return int(struct.unpack_from("=Q", info, _RECEIVED)[0]) if len(info) == _RECEIVED + 8 else 0
