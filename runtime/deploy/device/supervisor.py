"""A service under segrt's own supervisor, for devices without systemd; what the supervisor does is in `supervision`."""

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress

from segrt.runtime.deploy.device.folders import ServiceFolders, locked_file, read_record
from segrt.runtime.deploy.device.kept_records import Health
from segrt.runtime.deploy.device.program_output import shorten

STOP_SECONDS = 10.0
"""How long a service may take to end after SIGTERM."""


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
        if pid:
            os.kill(pid, signal.SIGHUP)
            return
        program = self._folders.root / "segrt-device"
        command = [sys.executable, str(program), "supervise", self._folders.service, "--root", str(self._folders.root)]
        with (self._folders.folder / "supervisor.log").open("ab") as log:
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
        """Return the last lines of the service's log."""
        try:
            with self._folders.log.open("rb") as file:
                file.seek(max(0, file.seek(0, os.SEEK_END) - 4096))
                return shorten(file.read().decode(errors="replace"))
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
