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
from functools import cache
from pathlib import Path
from typing import IO, Any

from segrt.runtime.errors import SegrtError

Event = Callable[[dict[str, Any]], None]
_CHUNK = 1 << 17
_SSH_FAILED, _NOT_FOUND = 255, 127
_OPTIONS = ("BatchMode=yes", "ConnectTimeout=15", "ServerAliveInterval=10", "ServerAliveCountMax=3")
_ROOM = Path(__file__).resolve().parent / "device"
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
    """No connection, or no Python that the program runs on: nothing was done on the device."""


class Lost(SegrtError):  # noqa: N818 (what a connection is)
    """The connection ended before the answer; what the device does goes on there, and can be followed."""


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
        request: dict[str, Any],
        *,
        event: Event | None = None,
        content: Path | None = None,
        offset: int = 0,
        sent: Callable[[int], None] | None = None,
    ) -> dict[str, Any]:
        """Return the device's last line of JSON, after calling `event` with each before.

        `content` is a file that is sent after the request from byte `offset` on; `sent` is told how far it is.
        Raises Unreachable or Lost.
        """
        if self.stopped:
            raise Unreachable("was not asked any more; go on with --resume")
        program, asked = device_program(), json.dumps(request).encode()
        process = subprocess.Popen(
            self._command(len(program), len(asked)),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        assert process.stdin is not None and process.stdout is not None and process.stderr is not None  # noqa: PT018
        errors: list[bytes] = []
        threads = [
            threading.Thread(target=_feed, args=(process.stdin, program + asked, content, offset, sent), daemon=True),
            threading.Thread(target=_collect, args=(process.stderr, errors), daemon=True),
        ]
        for thread in threads:
            thread.start()
        answer: dict[str, Any] | None = None
        heard = False
        try:
            for line in process.stdout:
                said = _json(line)
                if said is None:
                    continue  # a greeting of the login shell
                heard = True
                if "result" in said:
                    answer = said
                elif event is not None:
                    event(said)
            code = process.wait()
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
            for thread in threads:
                thread.join(5)
            for pipe in (process.stdin, process.stdout, process.stderr):
                with suppress(OSError):
                    pipe.close()
        if answer is not None:
            return answer
        raise self._trouble(code, b"".join(errors).decode(errors="replace"), heard=heard or content is not None)

    def _command(self, program: int, request: int) -> list[str]:
        options = [part for option in _OPTIONS for part in ("-o", option)]
        config = ["-F", self._config] if self._config else []
        there = f"python3 -c {shlex.quote(_BOOT)} {program} {request}"
        return ["ssh", *config, *options, "-T", "--", self.name, f"sudo -n {there}" if self._sudo else there]

    def _trouble(self, code: int, said: str, *, heard: bool) -> SegrtError:
        lines = [line.strip() for line in said.splitlines() if line.strip()]
        last = lines[-1] if lines else f"ssh ended with exit code {code}"
        if code == _SSH_FAILED:
            denied = next((line for line in lines if "denied" in line or "verification failed" in line), None)
            if denied:
                return Unreachable(f"{denied}; it must work without questions: try `ssh {self.name} true`")
            if heard:
                return Lost(f"the connection was lost ({last}); go on with --resume")
            return Unreachable(f"cannot be reached: {last}; try `ssh {self.name} true`")
        if code == _NOT_FOUND or "not found" in last:
            return Unreachable(f"has no python3 ({last}); apt-get install python3 python3-venv")
        if "segrt-python" in last:
            found = last.split()[-1]
            return Unreachable(f"has Python {found}, but segrt needs 3.10 or newer; install one as python3")
        if "sudo:" in last:
            return Unreachable(f"{last}; let the user run python3 with sudo without a password, or leave --sudo out")
        if heard and not lines:
            return Lost("the connection was lost; go on with --resume")
        return Lost(f"the device's side ended without an answer: {last}; go on with --resume")


@cache
def device_program() -> bytes:
    """Return the device's program as a zip that Python runs; the same bytes for the same sources."""
    packages = ["/".join(_PACKAGE.split("/")[:count]) for count in range(1, 4)]
    sources = {f"{package}/__init__.py": b"" for package in packages}
    sources |= {f"{_PACKAGE}/{path.name}": path.read_bytes() for path in sorted(_ROOM.glob("*.py"))}
    module = _PACKAGE.replace("/", ".")
    sources["__main__.py"] = f"import sys\nfrom {module}.main import main\nsys.exit(main())\n".encode()
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file:
        for name, source in sources.items():
            file.writestr(zipfile.ZipInfo(name), source, zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def _feed(pipe: IO[bytes], head: bytes, content: Path | None, offset: int, sent: Callable[[int], None] | None) -> None:
    with suppress(OSError, ValueError):  # the other end went away; the reader sees that
        pipe.write(head)
        pipe.flush()
        if content is not None:
            with content.open("rb") as file:
                file.seek(offset)
                while chunk := file.read(_CHUNK):
                    pipe.write(chunk)
                    offset += len(chunk)
                    if sent is not None:
                        sent(offset)
    with suppress(OSError):
        pipe.close()


def _collect(pipe: IO[bytes], into: list[bytes]) -> None:
    with suppress(OSError, ValueError):
        while chunk := pipe.read1(4096):  # type: ignore[attr-defined]
            into.append(chunk)
            del into[:-16]


def _json(line: bytes) -> dict[str, Any] | None:
    if not line.startswith(b"{"):
        return None
    try:
        said = json.loads(line)
    except ValueError:
        return None
    return said if isinstance(said, dict) else None
