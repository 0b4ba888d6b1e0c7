"""segrt's own service manager, for devices without systemd: one process that starts, restarts and watches the service.

It speaks systemd's protocol with the service (sd_notify: READY, STATUS, WATCHDOG), so that the stream needs to know one
only. `segrt-device supervise SERVICE` runs it; at boot, let cron do it: `@reboot python3 -I ROOT/segrt-device supervise
SERVICE`. SIGTERM ends both; SIGHUP starts the service anew, with the program that lies on the device by then.

No file on the device stops it: what cannot be read or started is said on standard error, and tried again.
"""

import ctypes
import json
import os
import select
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import replace
from typing import BinaryIO

from segrt.runtime.deploy.device.activation import before_start
from segrt.runtime.deploy.device.failure import Failure
from segrt.runtime.deploy.device.folders import ServiceFolders, locked_file, write_record
from segrt.runtime.deploy.device.json_conversion import to_json
from segrt.runtime.deploy.device.kept_records import Health, LogStart
from segrt.runtime.deploy.device.manager import results_in
from segrt.runtime.deploy.device.notify_socket import NotifySocket
from segrt.runtime.deploy.device.supervisor import STOP_SECONDS, open_log
from segrt.runtime.deploy.device.variables import read_variables

RESTART_AFTER = 2.0
WATCHDOG = 90.0
_LONGEST_LOG = 4 << 20
_TRIES = 20
_UMASK = 0o027  # as in the units
_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG of prctl(2)


def supervise(folders: ServiceFolders, *, restart_after: float = RESTART_AFTER, watchdog: float = WATCHDOG) -> int:
    """Keep a service running; return 0 after SIGTERM, 1 when another supervisor has it."""
    lock = folders.supervisor_lock
    for _ in range(_TRIES):  # who asks for the supervisor's process id holds the lock for an instant
        with locked_file(lock) as held:
            if held:
                lock.write_text(str(os.getpid()))
                again = _Supervision(folders, restart_after, watchdog).run()
        if held and again:
            signal.signal(signal.SIGHUP, signal.SIG_IGN)  # it starts the service in any case
            os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])
        if held:
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
        self._socket = NotifySocket(folders.notify)
        self._health = Health(running=False)

    def _on_stop(self, *_: object) -> None:
        self._stop = True

    def _on_again(self, *_: object) -> None:
        self._again = True

    def run(self) -> bool:
        """Keep the service running until somebody wants it to end, or (returns True) to be started anew."""
        restarts = 0
        while not self._stop and not self._again:
            process, why = None, self._why_not()
            if why is None:
                process, why = self._start(first=restarts == 0)
            pid = process.pid if process else 0
            self._note(Health(running=process is not None, restarts=restarts, text=why or "starting", pid=pid))
            if process is not None:
                self._watch(process)
                self._end(process)
                if not self._stop and not self._again:
                    text = f"ended with exit code {process.returncode}"
                    self._note(replace(self._health, running=False, ready=False, text=text))
            if not self._stop and not self._again:
                restarts += 1
                self._wait(self._restart_after)
        self._note(Health(running=False, text="stopped" if self._stop else "starting anew"))
        self._socket.close()
        return not self._stop

    def _why_not(self) -> str | None:
        """Make sure that `current` may be started; return in words why it may not."""
        try:
            before_start(self._folders)
        except Failure as failure:
            return _said(str(failure))
        except OSError as error:
            return _said(f"{error.filename or self._folders.folder}: {error.strerror}")
        return None

    def _start(self, *, first: bool) -> "tuple[subprocess.Popen[bytes] | None, str | None]":
        """Start the service; return its process, or why there is none. `first`: since somebody wanted it started."""
        variables, troubles = read_variables(self._folders.variables)
        for trouble in troubles:
            _said(trouble)
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")} | variables
        environment |= {"NOTIFY_SOCKET": self._socket.address, "WATCHDOG_USEC": str(int(self._watchdog * 1e6))}
        environment.pop("WATCHDOG_PID", None)
        command = ["/bin/sh", str(self._folders.current / "run")]
        try:
            with self._open_log(first=first) as output:
                for trouble in troubles:
                    output.write(f"segrt: {trouble}\n".encode(errors="replace"))
                output.flush()
                process = subprocess.Popen(
                    command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=environment,
                    cwd=self._folders.work, preexec_fn=_die_with_parent, start_new_session=True,
                    umask=_UMASK,
                )  # fmt: skip
        except (OSError, ValueError, subprocess.SubprocessError) as error:
            return None, _said(f"{command[1]}: cannot be started ({error})")
        self._socket.listen_to(process.pid)
        return process, None

    def _open_log(self, *, first: bool) -> BinaryIO:
        """Open the log for a process that starts, and note where its release's lines begin."""
        log, start = self._folders.log, self._folders.log_start
        rotated = False
        with suppress(OSError):
            if log.stat().st_size > _LONGEST_LOG:
                os.replace(log, log.with_name("log.1"))  # noqa: PTH105
                rotated = True
        output = open_log(log)
        if first or rotated:
            release = self._folders.linked(self._folders.current)
            with suppress(OSError):
                write_record(start, LogStart(release or "", output.seek(0, os.SEEK_END)))
        return output

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
        return self._socket.lines() if self._socket.fileno() in ready else []

    def _note(self, health: Health) -> None:
        """Write down how the service is; of one that is to be started anew, what it was is not said any more."""
        if self._again and health.restarts:
            return
        self._health = health
        path = self._folders.health
        aside = path.with_suffix(".new")
        with suppress(OSError):
            aside.write_text(json.dumps(to_json(health)) + "\n")
            os.replace(aside, path)  # noqa: PTH105


def _said(line: str) -> str:
    """Write a line into the supervisor's log, and return it."""
    print(line, file=sys.stderr, flush=True)
    return line


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(_DEATH_SIGNAL, signal.SIGTERM)
