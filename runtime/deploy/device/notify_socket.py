"""The supervisor's end of sd_notify: datagrams of the service's own process, and of no other."""

import os
import socket
import struct
import tempfile
from contextlib import suppress
from pathlib import Path

_CREDENTIALS = struct.Struct("3i")  # of unix(7): process, user, group
_LONGEST_PATH = 100
_LONGEST_MESSAGE = 4096
_MOST_AT_ONCE = 64


class NotifySocket:
    """A socket that no other user can write to, and that takes what one process says."""

    def __init__(self, path: Path) -> None:
        self._folder: Path | None = None
        if len(os.fsencode(path)) > _LONGEST_PATH:  # sockaddr_un holds no more
            self._folder = Path(tempfile.mkdtemp(prefix="segrt-"))
            path = self._folder / "notify"
        self._path = path
        self.address = str(path)
        """What the service finds as NOTIFY_SOCKET."""
        self._pid = 0
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        path.unlink(missing_ok=True)
        mask = os.umask(0o177)
        try:
            self._socket.bind(self.address)
        finally:
            os.umask(mask)

    def listen_to(self, pid: int) -> None:
        """Take messages of the process `pid` from now on."""
        self._pid = pid

    def fileno(self) -> int:
        """Return the socket's number, for `select`."""
        return self._socket.fileno()

    def lines(self) -> list[str]:
        """Return the lines of the messages that are there, without waiting."""
        lines: list[str] = []
        for _ in range(_MOST_AT_ONCE):
            try:
                data, ancillary, _, _ = self._socket.recvmsg(
                    _LONGEST_MESSAGE, socket.CMSG_SPACE(_CREDENTIALS.size), socket.MSG_CMSG_CLOEXEC
                )
            except OSError:
                break
            if any(
                (level, kind) == (socket.SOL_SOCKET, socket.SCM_CREDENTIALS)
                and len(content) == _CREDENTIALS.size
                and _CREDENTIALS.unpack(content)[0] == self._pid
                for level, kind, content in ancillary
            ):
                lines += data.decode(errors="replace").splitlines()
        return lines

    def close(self) -> None:
        """Close and remove it."""
        self._socket.close()
        with suppress(OSError):
            self._path.unlink(missing_ok=True)
            if self._folder is not None:
                self._folder.rmdir()
