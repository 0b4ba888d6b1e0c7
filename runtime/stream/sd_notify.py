"""Tells systemd how we are (sd_notify): datagrams to the socket that it names, as sd_notify(3) has them."""

import os
import socket
from contextlib import suppress


class Notifier:
    """Sends READY, WATCHDOG, STATUS and STOPPING; does nothing where no systemd asks for it."""

    def __init__(self) -> None:
        address = os.environ.get("NOTIFY_SOCKET", "")
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) if address else None
        is_for_us = os.environ.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        asked = os.environ.get("WATCHDOG_USEC", "") if is_for_us else ""
        self.watchdog_seconds = int(asked) / 1e6 if asked.isdigit() and int(asked) else None
        """How long systemd waits for a sign of life before it kills us; None when it does not."""

    def send(self, *lines: str) -> None:
        """Send lines such as "READY=1"."""
        if self._socket is None:
            return
        with suppress(OSError):  # systemd is gone or busy; the stream is more important
            self._socket.sendto("\n".join(line.replace("\n", " ") for line in lines).encode(), self._address)

    def close(self) -> None:
        """Close the socket."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None
