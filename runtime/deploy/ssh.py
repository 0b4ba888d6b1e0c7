"""A device reached over the system's OpenSSH, with the user's configuration, keys and jump hosts as they are.

Each question is one `ssh`: the device's program goes ahead as a zip on standard input, into memory there, then the
request, then what is to be copied; the answers come back as lines of JSON.
"""

import io
import json
import shlex
import shutil
import subprocess
import threading
import zipfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import IO, TypeVar

from segrt.runtime.deploy.conversation import Heard, Patience, Unbearable, listen
from segrt.runtime.deploy.device.failure import Failure
from segrt.runtime.deploy.device.json_conversion import from_json, to_json
from segrt.runtime.deploy.device.protocol import (
    Answer,
    InstallRequest,
    ReceiveRequest,
    Request,
    RollbackRequest,
    StatusRequest,
)
from segrt.runtime.errors import SegrtError

AnswerKind = TypeVar("AnswerKind", bound=Answer)
_CHUNK = 1 << 17
_SSH_FAILED, _NOT_FOUND = 255, 127
_LONGEST_WORDS = 500
_HOURS = 3600.0
# A step on the device may take an hour, and the device ends it then; nothing else is silent for long.
_PATIENCE: dict[type[Request], Patience] = {
    StatusRequest: Patience(120, 300),
    ReceiveRequest: Patience(300, 24 * _HOURS),
    InstallRequest: Patience(1.2 * _HOURS, 8 * _HOURS),
    RollbackRequest: Patience(1.2 * _HOURS, 8 * _HOURS),
}
_OPTIONS = ("BatchMode=yes", "ConnectTimeout=15", "ServerAliveInterval=10", "ServerAliveCountMax=3")
_DEVICE_FOLDER = Path(__file__).resolve().parent / "device"
_PACKAGE = "segrt/runtime/deploy/device"
# One line without quotes of the other kind, for whatever shell the user has there.
_BOOT = (
    "import os,runpy,sys;"
    'sys.version_info>=(3,10) or sys.exit("segrt-python %d.%d"%sys.version_info[:2]);'
    "n=int(sys.argv[1]);d=sys.stdin.buffer.read(n);"
    'len(d)==n or sys.exit("the program did not arrive");'
    'f=os.memfd_create("segrt");os.write(f,d);p="/proc/self/fd/%d"%f;'
    'sys.argv=[p,"serve",sys.argv[2]];runpy.run_path(p,run_name="__main__")'
)


class Unreachable(SegrtError):  # noqa: N818 (what a device is)
    """No connection, or no Python that can run the program: nothing was done on the device."""


class ConnectionLost(SegrtError):  # noqa: N818 (what a connection is)
    """The connection ended before the answer; what the device does goes on there, and can be followed."""


@dataclass(frozen=True)
class Upload:
    """A file that is sent from byte `offset` on; `sent` is told how many of its bytes are on their way."""

    path: Path
    offset: int
    sent: Callable[[int], None]


class Device:
    """A device, by the name that ssh knows it by."""

    def __init__(self, name: str, *, config: str | None = None, sudo: bool = False) -> None:
        if not name or name.startswith("-") or any(character.isspace() for character in name):
            raise SegrtError(f"a device must be as USER@HOST or a name of ssh's configuration, but got {name!r}")
        if not shutil.which("ssh"):
            raise SegrtError("ssh is not here; apt-get install openssh-client")
        self.name = name
        self.stopped = False
        """Set to ask the device nothing more."""
        self._config, self._sudo = config, sudo

    def ask(
        self,
        request: Request,
        kind: type[AnswerKind],
        *,
        on_step: Callable[[str], None] | None = None,
        upload: Upload | None = None,
    ) -> AnswerKind:
        """Return the device's answer, after calling `on_step` with each step before it; `upload` follows the request.

        Raises Unreachable or ConnectionLost, and SegrtError for an answer that is not of `kind`.
        """
        if self.stopped:
            raise Unreachable("was not asked any more; go on with --resume")
        program, text = device_program(), json.dumps(to_json(request)).encode()
        process = subprocess.Popen(
            self._command(len(program), len(text)),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        try:
            heard, errors = _converse(process, program + text, upload, on_step, _PATIENCE[type(request)])
        except Unbearable as unbearable:
            raise SegrtError(f"the device {unbearable}; look at it with `ssh {self.name}`") from None
        if heard.answer is None:
            raise self._trouble(process.returncode, errors, heard=heard.anything)
        try:
            return from_json(kind, heard.answer, "the device's answer", "deploy again")
        except Failure as failure:
            raise SegrtError(str(failure)) from None

    def _command(self, program: int, request: int) -> list[str]:
        options = [part for option in _OPTIONS for part in ("-o", option)]
        config = ["-F", self._config] if self._config else []
        start = f"python3 -I -c {shlex.quote(_BOOT)} {program} {request}"
        return ["ssh", *config, *options, "-T", "--", self.name, f"sudo -n {start}" if self._sudo else start]

    def _trouble(self, code: int, said: str, *, heard: bool) -> SegrtError:
        lines = [line.strip()[:_LONGEST_WORDS] for line in said.splitlines() if line.strip()]
        last = lines[-1] if lines else f"ssh ended with exit code {code}"
        if code == _SSH_FAILED:
            denied = next((line for line in lines if "denied" in line or "verification failed" in line), None)
            if denied:
                return Unreachable(f"{denied}; it must work without questions: try `ssh {self.name} true`")
            if heard:
                return ConnectionLost(f"the connection was lost ({last}); go on with --resume")
            return Unreachable(f"cannot be reached: {last}; try `ssh {self.name} true`")
        if code == _NOT_FOUND or "not found" in last:
            return Unreachable(f"has no python3 ({last}); apt-get install python3 python3-venv")
        if "segrt-python" in last:
            version = last.split()[-1]
            return Unreachable(f"has Python {version}, but segrt needs 3.10 or newer; install one as python3")
        if "sudo:" in last:
            return Unreachable(f"{last}; let the user run python3 with sudo without a password, or leave --sudo out")
        if heard and not lines:
            return ConnectionLost("the connection was lost; go on with --resume")
        return ConnectionLost(f"the device's side ended without an answer: {last}; go on with --resume")


@cache
def device_program() -> bytes:
    """Return the device's program as a zip that Python runs; the same bytes for the same sources."""
    packages = ["/".join(_PACKAGE.split("/")[:count]) for count in range(1, 4)]
    sources = {f"{package}/__init__.py": b"" for package in packages}
    sources |= {f"{_PACKAGE}/{path.name}": path.read_bytes() for path in sorted(_DEVICE_FOLDER.glob("*.py"))}
    module = _PACKAGE.replace("/", ".")
    sources["__main__.py"] = f"import sys\nfrom {module}.main import main\nsys.exit(main())\n".encode()
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file:
        for name, source in sources.items():
            file.writestr(zipfile.ZipInfo(name), source, zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def _converse(
    process: "subprocess.Popen[bytes]",
    head: bytes,
    upload: Upload | None,
    on_step: Callable[[str], None] | None,
    patience: Patience,
) -> tuple[Heard, str]:
    """Send `head` and `upload` and hear the device until ssh ends; return that, and what ssh wrote to standard error.

    Raises Unbearable when the device sends too much or is silent for too long.
    """
    assert process.stdin is not None and process.stderr is not None  # noqa: PT018
    heard, errors = Heard(anything=upload is not None), list[bytes]()
    threads = [
        threading.Thread(target=_feed, args=(process.stdin, head, upload, heard.note_progress), daemon=True),
        threading.Thread(target=_collect, args=(process.stderr, errors), daemon=True),
    ]
    for thread in threads:
        thread.start()
    try:
        listen(process, patience, heard, on_step)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
        for thread in threads:
            thread.join(5)
        for pipe in (process.stdin, process.stdout, process.stderr):
            with suppress(OSError):
                if pipe is not None:
                    pipe.close()
    return heard, b"".join(errors).decode(errors="replace")


def _feed(pipe: IO[bytes], head: bytes, upload: Upload | None, moved: Callable[[], None]) -> None:
    with suppress(OSError, ValueError):  # the other end went away; the reader sees that
        pipe.write(head)
        pipe.flush()
        if upload is not None:
            with upload.path.open("rb") as file:
                file.seek(upload.offset)
                while chunk := file.read(_CHUNK):
                    pipe.write(chunk)
                    moved()
                    upload.sent(file.tell())
    with suppress(OSError):
        pipe.close()


def _collect(pipe: IO[bytes], into: list[bytes]) -> None:
    with suppress(OSError, ValueError):
        while chunk := pipe.read1(4096):  # type: ignore[attr-defined]
            into.append(chunk)
            del into[:-16]
