"""segrt's own service manager, for devices without systemd: one process that starts, restarts and watches the service.

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
from dataclasses import replace
from pathlib import Path

from segrt.runtime.deploy.device.activation import recover
from segrt.runtime.deploy.device.folders import ServiceFolders, locked_file
from segrt.runtime.deploy.device.json_conversion import to_json
from segrt.runtime.deploy.device.kept_records import Health
from segrt.runtime.deploy.device.manager import results_in
from segrt.runtime.deploy.device.supervisor import STOP_SECONDS

RESTART_AFTER = 2.0
WATCHDOG = 90.0
_LONGEST_LOG = 4 << 20
_TRIES = 20
_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG of prctl(2)


def supervise(folders: ServiceFolders, *, restart_after: float = RESTART_AFTER, watchdog: float = WATCHDOG) -> int:
    """Keep a service running; return 0 after SIGTERM, 1 when another supervisor has it."""
    lock = folders.supervisor_lock
    for _ in range(_TRIES):  # who asks for the supervisor's process id holds the lock for an instant
        with locked_file(lock) as held:
            if held:
                lock.write_text(str(os.getpid()))
                _Supervision(folders, restart_after, watchdog).run()
                return 0
        time.sleep(0.05)
    print(f"{folders.service}: is supervised already", file=sys.stderr)
    return 1


class _Supervision:
    def __init__(self, folders: ServiceFolders, restart_after: float, watchdog: float) -> None:
        self._folders, self._restart_after, self._watchdog = folders, restart_after, watchdog
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
        self._health = Health(running=False)

    def _on_stop(self, *_: object) -> None:
        self._stop = True

    def _on_again(self, *_: object) -> None:
        self._again = True

    def run(self) -> None:
        restarts = 0
        while not self._stop:
            recover(self._folders)
            if self._again:
                restarts = 0
            self._again = False
            process = self._start()
            pid = process.pid if process else 0
            self._note(Health(running=process is not None, restarts=restarts, text="starting", pid=pid))
            if process is not None:
                self._watch(process)
                self._end(process)
                if not self._stop:
                    text = f"ended with exit code {process.returncode}"
                    self._note(replace(self._health, running=False, ready=False, text=text))
            if not self._stop and not self._again:
                restarts += 1
                self._wait(self._restart_after)
        self._note(replace(self._health, running=False, ready=False, text="stopped"))

    def _start(self) -> "subprocess.Popen[bytes] | None":
        log = self._folders.log
        with suppress(OSError):
            if log.stat().st_size > _LONGEST_LOG:
                os.replace(log, log.with_name("log.1"))  # noqa: PTH105
        environment = {**os.environ, **_variables(self._folders.variables)}
        environment |= {"NOTIFY_SOCKET": "@" + self._address[1:], "WATCHDOG_USEC": str(int(self._watchdog * 1e6))}
        environment.pop("WATCHDOG_PID", None)
        command = ["/bin/sh", str(self._folders.current / "run")]
        try:
            with log.open("ab") as output:
                return subprocess.Popen(
                    command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=environment,
                    cwd=self._folders.work, preexec_fn=_die_with_parent, start_new_session=True,
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
                    self._note(replace(self._health, ready=True))
                elif name == "STATUS":
                    self._note(replace(self._health, text=value, results=results_in(value)))
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
                    process.wait(STOP_SECONDS)

    def _wait(self, seconds: float) -> list[str]:
        """Wait for a message of the service, a signal, or some seconds; return the lines of the message."""
        ready, _, _ = select.select([self._wake, self._socket.fileno()], [], [], seconds)
        if self._wake in ready:
            os.read(self._wake, 512)
        if self._socket.fileno() in ready:
            with suppress(OSError):
                return self._socket.recv(4096).decode(errors="replace").splitlines()
        return []

    def _note(self, health: Health) -> None:
        self._health = health
        path = self._folders.health
        aside = path.with_suffix(".new")
        with suppress(OSError):
            aside.write_text(json.dumps(to_json(health)) + "\n")
            os.replace(aside, path)  # noqa: PTH105


def _variables(path: Path) -> dict[str, str]:
    """Return the NAME=value lines of the file at `path`, quotes around a value taken off, as systemd reads it."""
    variables = {}
    with suppress(OSError):
        for line in path.read_text().splitlines():
            name, equals, value = line.strip().partition("=")
            if equals and name.isidentifier():
                quoted = len(value) > 1 and value[0] == value[-1] and value[0] in "\"'"
                variables[name] = value[1:-1] if quoted else value
    return variables


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(_DEATH_SIGNAL, signal.SIGTERM)
