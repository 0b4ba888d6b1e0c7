"""A service under segrt's own supervisor, for devices without systemd; what the supervisor does is in `supervision`."""

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from segrt.runtime.deploy.device.folders import ServiceFolders, locked_file, read_record
from segrt.runtime.deploy.device.kept_records import Health, LogStart
from segrt.runtime.deploy.device.program_output import shorten

STOP_SECONDS = 10.0
"""How long a service may take to end after SIGTERM."""
_LAST_BYTES = 4096
_LOG_MODE = 0o640


def open_log(path: Path) -> BinaryIO:
    """Open a log for appending; what a service says is not for other users of the device."""
    file = open(os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NONBLOCK, _LOG_MODE), "ab")  # noqa: PTH123, SIM115
    os.set_blocking(file.fileno(), True)
    os.fchmod(file.fileno(), _LOG_MODE)
    return file


class Supervisor:
    """A service under segrt's own supervisor: starts the supervisor, signals it, reads its health.json and log."""

    def __init__(self, folders: ServiceFolders) -> None:
        self._folders = folders

    def install(self, unit: str | None) -> None:
        """Do nothing: what runs is `current`, and starting at boot is the device's own matter."""

    def restart(self) -> None:
        """Start the supervisor, or let the one that is there start the service anew."""
        pid = self._pid()
        with suppress(OSError):
            self._folders.health.unlink(missing_ok=True)
            self._folders.log_start.unlink(missing_ok=True)
        if pid:
            os.kill(pid, signal.SIGHUP)
            return
        program = self._folders.root / "segrt-device"
        command = [sys.executable, "-I", str(program), "supervise", self._folders.service]
        command += ["--root", str(self._folders.root)]
        with open_log(self._folders.folder / "supervisor.log") as log:
            subprocess.Popen(  # it outlives us
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, cwd="/"
            )

    def stop(self) -> None:
        """End the supervisor and the service."""
        pid = self._pid()
        if not pid:
            return
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
        deadline = time.monotonic() + STOP_SECONDS + 2
        while self._pid() and time.monotonic() < deadline:
            time.sleep(0.05)

    def health(self) -> Health:
        """Return what the supervisor noted last."""
        noted = read_record(Health, self._folders.health) if self._pid() else None
        return noted or Health(running=False, text="not started")

    def last_words(self) -> str:
        """Return the last lines that the current release wrote into the service's log."""
        started = read_record(LogStart, self._folders.log_start)
        if started is None or started.release != self._folders.linked(self._folders.current):
            return ""
        try:
            with self._folders.log.open("rb") as file:
                file.seek(max(started.offset, file.seek(0, os.SEEK_END) - _LAST_BYTES))
                return shorten(file.read(_LAST_BYTES).decode(errors="replace"))
        except OSError:
            return ""

    def _pid(self) -> int:
        """Return the process id of the supervisor that is alive, or 0."""
        lock = self._folders.supervisor_lock
        if not lock.exists():
            return 0
        with locked_file(lock) as free:
            if free:
                return 0
        with suppress(OSError, ValueError):
            return int(lock.read_text())
        return 0
