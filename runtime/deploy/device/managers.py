"""What starts and watches the service: systemd of the system or of the user, or a supervisor of our own."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple, Protocol

from segrt.runtime.deploy.device.durable_files import remove, write_file
from segrt.runtime.deploy.device.failure import Failure
from segrt.runtime.deploy.device.folders import Place

KINDS = ("systemd", "systemd-user", "supervisor")
_SAID = re.compile(r"(\d+) results?")
_LAST_WORDS = 2


class Health(NamedTuple):
    """How the service is: `running` with its process id, `ready` once it said so, restarts since it was started.

    `results` counts what the stream has given, None before it said; `text` is what it says of itself.
    """

    running: bool
    ready: bool = False
    restarts: int = 0
    results: int | None = None
    text: str = ""
    pid: int = 0


class Manager(Protocol):
    """A service manager, for one service."""

    kind: str

    def install(self, unit: str | None) -> None:
        """Make the service known and let it start at boot; `unit` is the text of a systemd unit."""

    def restart(self) -> None:
        """Start the service anew; returns at once."""

    def stop(self) -> None:
        """Stop the service."""

    def health(self) -> Health:
        """Return how the service is."""

    def last_words(self) -> str:
        """Return the last lines that the service wrote, on one line."""


def results_in(text: str) -> int | None:
    """Return the number of results that a stream's status text states."""
    match = _SAID.match(text)
    return int(match.group(1)) if match else None


def choose(place: Place, kind: str) -> Manager:
    """Return the manager of `kind`, or for "auto" the one that this device and user have."""
    if kind == "auto":
        kind = detect()
    if kind not in KINDS:
        raise Failure(f"the service manager must be auto or one of {', '.join(KINDS)}, but got {kind!r}")
    if kind == "supervisor":
        from segrt.runtime.deploy.device.supervisor import Supervisor

        return Supervisor(place)
    return Systemd(place, user=kind == "systemd-user")


def detect() -> str:
    """Return which manager this device and user have."""
    if not shutil.which("systemctl") or not Path("/run/systemd/system").is_dir():
        return "supervisor"
    if os.geteuid() == 0:
        return "systemd"
    answered = subprocess.run(["systemctl", "--user", "show-environment"], capture_output=True, check=False)
    return "systemd-user" if answered.returncode == 0 else "supervisor"


class Systemd:
    """systemd of the system (as root) or of the user."""

    def __init__(self, place: Place, *, user: bool) -> None:
        self.kind = "systemd-user" if user else "systemd"
        self._place, self._user = place, user
        self._unit = f"{place.service}.service"
        home = Path.home() / ".config/systemd/user" if user else Path("/etc/systemd/system")
        self.file = home / self._unit

    def install(self, unit: str | None) -> None:
        """Write the unit where systemd finds it; of the user: ask that it runs without a login."""
        if unit is None:
            remove(self.file)
            return
        try:
            self.file.parent.mkdir(parents=True, exist_ok=True)
            write_file(self.file, unit.encode())
        except OSError as error:
            raise Failure(f"{self.file}: cannot be written ({error.strerror}); log in as root, or add --sudo") from None
        if self._user:
            subprocess.run(["loginctl", "enable-linger"], capture_output=True, check=False)
        self._call("daemon-reload")
        self._call("enable", self._unit)

    def restart(self) -> None:
        """Start the service anew; returns at once."""
        self._call("reset-failed", self._unit, needed=False)
        self._call("restart", "--no-block", self._unit)

    def stop(self) -> None:
        """Stop the service and keep it from starting at boot."""
        self._call("disable", "--now", self._unit, needed=False)

    def health(self) -> Health:
        """Return what `systemctl show` says."""
        names = ("ActiveState", "SubState", "MainPID", "NRestarts", "StatusText")
        shown = self._call("show", self._unit, *(f"--property={name}" for name in names), needed=False)
        said = dict(line.split("=", 1) for line in shown.splitlines() if "=" in line)
        text = said.get("StatusText", "")
        active = said.get("ActiveState")
        return Health(
            running=active in ("active", "activating") and said.get("SubState") in ("running", "start"),
            ready=active == "active",
            restarts=int(said.get("NRestarts") or 0),
            results=results_in(text),
            text=text or f"{active} ({said.get('SubState')})",
            pid=int(said.get("MainPID") or 0),
        )

    def last_words(self) -> str:
        """Return the last lines of the journal."""
        command = ["journalctl", *(["--user"] if self._user else []), "-u", self._unit]
        done = subprocess.run(
            [*command, "-n", "10", "-o", "cat", "--no-pager"], capture_output=True, text=True, check=False
        )
        own = ("Started ", "Starting ", "Stopped ", "Stopping ", "Failed to start ", f"{self._unit}: ")  # systemd's
        return shorten("\n".join(line for line in done.stdout.splitlines() if not line.startswith(own)))

    def _call(self, *arguments: str, needed: bool = True) -> str:
        command = ["systemctl", *(["--user"] if self._user else []), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if needed and done.returncode != 0:
            raise Failure(f"{' '.join(command)}: {shorten(done.stderr) or f'exit code {done.returncode}'}")
        return done.stdout


def shorten(text: str) -> str:
    """Return what counts of the lines a program wrote, as one line: its last error, else its last words."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("segrt: error: ")]
    return " | ".join(errors[-1:] or lines[-_LAST_WORDS:])[-400:]


def python() -> str:
    """Return the path of this device's Python."""
    return sys.executable
