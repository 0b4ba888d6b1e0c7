"""A service under systemd: the system's (as root) or the user's own."""

import subprocess
from pathlib import Path

from segrt.runtime.deploy.device.durable_files import remove, write_file
from segrt.runtime.deploy.device.failure import Failure
from segrt.runtime.deploy.device.folders import ServiceFolders
from segrt.runtime.deploy.device.kept_records import Health
from segrt.runtime.deploy.device.manager import results_in
from segrt.runtime.deploy.device.program_output import shorten


class Systemd:
    """systemd of the system (as root) or of the user."""

    def __init__(self, folders: ServiceFolders, *, user: bool) -> None:
        self._user = user
        self._unit = f"{folders.service}.service"
        home = Path.home() / ".config/systemd/user" if user else Path("/etc/systemd/system")
        self.file = home / self._unit
        self._old: str | None = None
        self._started: set[str] = set()
        """What systemd calls the starts of the service that were seen since `restart` (INVOCATION_ID)."""

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
        self._old = self._shown("InvocationID").get("InvocationID")
        self._started.clear()
        self._call("reset-failed", self._unit, needed=False)
        self._call("restart", "--no-block", self._unit)

    def stop(self) -> None:
        """Stop the service and keep it from starting at boot."""
        self._call("disable", "--now", self._unit, needed=False)

    def health(self) -> Health:
        """Return what `systemctl show` says."""
        said = self._shown("ActiveState", "SubState", "MainPID", "NRestarts", "StatusText", "InvocationID")
        if said.get("InvocationID") not in (None, "", self._old):
            self._started.add(said["InvocationID"])
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
        """Return the last lines that the service wrote since it was started anew."""
        if self._old and not self._started:
            return ""
        command = ["journalctl", *(["--user"] if self._user else [])]
        command += [f"_SYSTEMD_INVOCATION_ID={start}" for start in sorted(self._started)] or ["-u", self._unit]
        done = subprocess.run(
            [*command, "-n", "10", "-o", "cat", "--no-pager"], capture_output=True, text=True, errors="replace",
            check=False,
        )  # fmt: skip
        by_systemd = ("Started ", "Starting ", "Stopped ", "Stopping ", "Failed to start ", f"{self._unit}: ")
        return shorten("\n".join(line for line in done.stdout.splitlines() if not line.startswith(by_systemd)))

    def _shown(self, *names: str) -> dict[str, str]:
        shown = self._call("show", self._unit, *(f"--property={name}" for name in names), needed=False)
        return dict(line.split("=", 1) for line in shown.splitlines() if "=" in line)

    def _call(self, *arguments: str, needed: bool = True) -> str:
        command = ["systemctl", *(["--user"] if self._user else []), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
        if needed and done.returncode != 0:
            raise Failure(f"{' '.join(command)}: {shorten(done.stderr) or f'exit code {done.returncode}'}")
        return done.stdout
