"""segrt's command line in an environment of the device."""

import os
import re
import subprocess
from pathlib import Path

from segrt.runtime.deploy.device.failure import Failure
from segrt.runtime.deploy.device.folders import ServiceFolders
from segrt.runtime.deploy.device.program_output import shorten

_LONGEST_SECONDS = 3600


class Segrt:
    """The segrt of an environment, run at low priority, so that what streams keeps streaming."""

    def __init__(self, folders: ServiceFolders, environment: Path) -> None:
        self._program = str(environment / "bin/segrt")
        self._cache = str(folders.cache)
        self._commands: str | None = None

    def run(self, *arguments: str, nice: int = 19) -> "subprocess.CompletedProcess[str]":
        """Run a command and return what came of it."""
        environment = clean_environment() | {"SEGRT_CACHE": self._cache, "NO_COLOR": "1"}
        try:
            return subprocess.run(
                ["nice", "-n", str(nice), self._program, *arguments],
                capture_output=True, text=True, errors="replace", timeout=_LONGEST_SECONDS, check=False,
                env=environment, stdin=subprocess.DEVNULL,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            raise Failure(
                f"segrt {arguments[0]}: took more than {_LONGEST_SECONDS // 60} minutes on the device"
            ) from None
        except OSError as error:
            raise Failure(f"{self._program}: cannot be started ({error.strerror}); deploy with a wheel again") from None

    def has(self, command: str) -> bool:
        """Whether this segrt has a command."""
        if self._commands is None:
            self._commands = self.run("--help").stdout
        return re.search(rf"^ +{command} ", self._commands, re.MULTILINE) is not None

    def version(self) -> str:
        """Return its version."""
        return (self.run("--version").stdout.split() or ["?"])[-1]


def clean_environment() -> dict[str, str]:
    """Return the variables of this process without those by which the login user's modules would get into Python."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    return kept | {"PYTHONNOUSERSITE": "1", "PYTHONDONTWRITEBYTECODE": "1"}


def why_failed(done: "subprocess.CompletedProcess[str]") -> str:
    """Return in one line why a command of segrt failed."""
    printed = [line for line in done.stdout.splitlines() if line.strip()]
    text = shorten(done.stderr) or shorten("\n".join(printed[-1:])) or f"exit code {done.returncode}"
    return text.removeprefix("segrt: error: ")
