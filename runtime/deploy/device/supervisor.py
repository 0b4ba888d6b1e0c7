"""A service manager for devices without systemd, in one process: starts, restarts and watches the service.

It speaks systemd's protocol with the service (sd_notify: READY, STATUS, WATCHDOG), so that the stream needs to know one
only. `segrt-device supervise SERVICE` runs it; at boot, let cron do it: `@reboot python3 ROOT/segrt-device supervise
SERVICE`. SIGHUP starts the service anew, SIGTERM ends both.
"""

import ctypes
import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from segrt.runtime.deploy.device.folders import Place, locked_file, read_json
from segrt.runtime.deploy.device.managers import Health, python, results_in, shorten

RESTART_AFTER = 2.0
WATCHDOG = 90.0
_PATIENCE = 10.0
_LONGEST_LOG = 4 << 20
_TRIES = 20
_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG of prctl(2)


class Supervisor:
    """The supervisor as seen from outside: starts it, signals it, reads what it notes."""

    kind = "supervisor"

    def __init__(self, place: Place) -> None:
        self._place = place

    def install(self, unit: str | None) -> None:
        """Do nothing: what runs is `current`, and starting at boot is the device's own matter."""

    def restart(self) -> None:
        """Start the supervisor, or let the one that is there start the service anew."""
        pid = self._pid()
        with suppress(OSError):
            (self._place.folder / "health.json").unlink(missing_ok=True)
        if pid:
            os.kill(pid, signal.SIGHUP)
            return
        program = self._place.root / "segrt-device"
        command = [python(), str(program), "supervise", self._place.service, "--root", str(self._place.root)]
        with (self._place.folder / "supervisor.log").open("ab") as log:
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
        deadline = time.monotonic() + _PATIENCE + 2
        while self._pid() and time.monotonic() < deadline:
            time.sleep(0.05)

    def health(self) -> Health:
        """Return what the supervisor noted last."""
        said = read_json(self._place.folder / "health.json") if self._pid() else None
        if said is None:
            return Health(running=False, text="not started")
        return Health(**{name: said[name] for name in Health._fields if name in said})

    def last_words(self) -> str:
        """Return the last lines of the service's log."""
        try:
            with (self._place.folder / "log").open("rb") as file:
                file.seek(max(0, file.seek(0, os.SEEK_END) - 4096))
                return shorten(file.read().decode(errors="replace"))
        except OSError:
            return ""

    def _pid(self) -> int:
        """Return the process id of the supervisor that is alive, or 0."""
        lock = self._place.folder / "supervisor.lock"
        if not lock.exists():
            return 0
        with locked_file(lock) as free:
            if free:
                return 0
        with suppress(OSError, ValueError):
            return int(lock.read_text())
        return 0


def supervise(place: Place, *, restart_after: float = RESTART_AFTER, watchdog: float = WATCHDOG) -> int:
    """Run the service of `place` for ever; return 0 after SIGTERM, 1 when another supervisor has it."""
    lock = place.folder / "supervisor.lock"
    for _ in range(_TRIES):  # whoever looks whether we are there holds the lock for an instant
        with locked_file(lock) as held:
            if held:
                lock.write_text(str(os.getpid()))
                _Loop(place, restart_after, watchdog).run()
                return 0
        time.sleep(0.05)
    print(f"{place.service}: is supervised already", file=sys.stderr)
    return 1


class _Loop:
    def __init__(self, place: Place, restart_after: float, watchdog: float) -> None:
        self._place, self._restart_after, self._watchdog = place, restart_after, watchdog
        self._stop = self._again = False
        self._wake, wake = os.pipe()
        os.set_blocking(wake, False)
        signal.set_wakeup_fd(wake)
        signal.signal(signal.SIGTERM, self._on_stop)
        signal.signal(signal.SIGINT, self._on_stop)
        signal.signal(signal.SIGHUP, self._on_again)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        self._address = f"\0segrt-{os.getpid()}-{time.monotonic_ns()}"
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self._socket.bind(self._address)
        self._notes: dict[str, Any] = {}

    def _on_stop(self, *_: object) -> None:
        self._stop = True

    def _on_again(self, *_: object) -> None:
        self._again = True

    def run(self) -> None:
        from segrt.runtime.deploy.device.activation import recover

        restarts = 0
        while not self._stop:
            recover(self._place)
            if self._again:
                restarts = 0
            self._again = False
            process = self._start()
            self._note(running=process is not None, ready=False, restarts=restarts, results=None, text="starting",
                       pid=process.pid if process else 0)  # fmt: skip
            if process is not None:
                self._watch(process)
                self._end(process)
                if not self._stop:
                    self._note(running=False, ready=False, text=f"ended with exit code {process.returncode}")
            if not self._stop and not self._again:
                restarts += 1
                self._wait(self._restart_after)
        self._note(running=False, ready=False, text="stopped")

    def _start(self) -> "subprocess.Popen[bytes] | None":
        log = self._place.folder / "log"
        with suppress(OSError):
            if log.stat().st_size > _LONGEST_LOG:
                os.replace(log, log.with_name("log.1"))  # noqa: PTH105
        environment = {**os.environ, **_variables(self._place.variables)}
        environment |= {"NOTIFY_SOCKET": "@" + self._address[1:], "WATCHDOG_USEC": str(int(self._watchdog * 1e6))}
        environment.pop("WATCHDOG_PID", None)
        command = ["/bin/sh", str(self._place.current / "run")]
        try:
            with log.open("ab") as output:
                return subprocess.Popen(
                    command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=environment,
                    cwd=self._place.work, preexec_fn=_die_with_parent, start_new_session=True,
                )  # fmt: skip
        except OSError as error:
            print(f"{command[1]}: cannot be started ({error})", file=sys.stderr, flush=True)
            return None

    def _watch(self, process: "subprocess.Popen[bytes]") -> None:
        """Return when the process ended, was silent for too long, or somebody wants it to end."""
        fed = time.monotonic()
        while process.poll() is None and not self._stop and not self._again:
            for line in self._wait(1.0):
                name, _, value = line.partition("=")
                if name == "READY":
                    self._note(ready=True)
                elif name == "STATUS":
                    self._note(text=value, results=results_in(value))
                if name in ("READY", "WATCHDOG"):
                    fed = time.monotonic()
            if time.monotonic() - fed > self._watchdog:
                print(f"{process.pid}: no sign of life for {self._watchdog:g} s", file=sys.stderr, flush=True)
                os.killpg(process.pid, signal.SIGABRT)
                return

    def _end(self, process: "subprocess.Popen[bytes]") -> None:
        for number in (signal.SIGTERM, signal.SIGKILL):
            if process.poll() is None:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, number)
                with suppress(subprocess.TimeoutExpired):
                    process.wait(_PATIENCE)

    def _wait(self, seconds: float) -> list[str]:
        """Wait for a message of the service, a signal, or some seconds; return the lines of the message."""
        ready, _, _ = select.select([self._wake, self._socket.fileno()], [], [], seconds)
        if self._wake in ready:
            os.read(self._wake, 512)
        if self._socket.fileno() in ready:
            with suppress(OSError):
                return self._socket.recv(4096).decode(errors="replace").splitlines()
        return []

    def _note(self, **content: Any) -> None:
        self._notes.update(content)
        path = self._place.folder / "health.json"
        aside = path.with_suffix(".new")
        with suppress(OSError):
            aside.write_text(json.dumps(self._notes) + "\n")
            os.replace(aside, path)  # noqa: PTH105


def _variables(path: Path) -> dict[str, str]:
    """Return the NAME=value lines of the file at `path`, quotes around a value taken off, as systemd reads it."""
    found = {}
    with suppress(OSError):
        for line in path.read_text().splitlines():
            name, equals, value = line.strip().partition("=")
            if equals and name.isidentifier():
                quoted = len(value) > 1 and value[0] == value[-1] and value[0] in "\"'"
                found[name] = value[1:-1] if quoted else value
    return found


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(_DEATH_SIGNAL, signal.SIGTERM)
