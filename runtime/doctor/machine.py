"""A device as the doctor sees it: its files, the output of its commands, and what Python says when asked.

Everything that the doctor asks is remembered, so that `segrt doctor --json` holds it, and a bug report can be looked
at on another machine.
"""

import json
import os
import subprocess
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from segrt.runtime.doctor.kinds import added_kinds

_SECONDS = 60
_LONGEST_FILE = 64 << 10


class Machine(ABC):
    """Answers questions about a device, and keeps the answers in `asked`, by kind and question."""

    def __init__(self) -> None:
        kinds = ("files", "globs", "commands", "probes", "registries")
        self.asked: dict[str, dict[str, Any]] = {kind: {} for kind in kinds}

    def read(self, path: str) -> str | None:
        """Return the text of a file, None when there is none."""
        text: str | None = self._answer("files", path, self._read)
        return text

    def glob(self, pattern: str) -> list[str]:
        """Return the paths that match an absolute pattern."""
        return list(self._answer("globs", pattern, self._glob))

    def run(self, command: str) -> str | None:
        """Return the standard output of a command (words separated by spaces), None when it is missing or fails."""
        output: str | None = self._answer("commands", command, self._run)
        return output

    def probe(self, name: str) -> Mapping[str, Any]:
        """Return the answer of a probe, its name and arguments separated by spaces; with `error` when it failed."""
        answer: Mapping[str, Any] = self._answer("probes", name, self._probe)
        return answer

    def added_kinds(self) -> Mapping[str, Any]:
        """Return what `kinds` says of backends, sources and sinks that were added in the doctor's own process."""
        answer: Mapping[str, Any] = self._answer("registries", "added", lambda _: self._added_kinds())
        return answer

    def prefetch(self, names: Sequence[str]) -> None:
        """Ask several probes, which may go faster than one after the other."""
        for name in names:
            self.probe(name)

    def _answer(self, kind: str, question: str, ask: Callable[[str], Any]) -> Any:
        known = self.asked[kind]
        if question not in known:
            known[question] = ask(question)
        return known[question]

    @abstractmethod
    def _read(self, path: str) -> str | None: ...

    @abstractmethod
    def _glob(self, pattern: str) -> list[str]: ...

    @abstractmethod
    def _run(self, command: str) -> str | None: ...

    @abstractmethod
    def _probe(self, name: str) -> Mapping[str, Any]: ...

    @abstractmethod
    def _added_kinds(self) -> Mapping[str, Any]: ...


class ThisMachine(Machine):
    """The device that this process runs on. Probes run in processes of their own: a broken library may kill one."""

    def added_kinds(self) -> Mapping[str, Any]:
        """Return what `kinds` says of backends, sources and sinks that were added in the doctor's own process."""
        answer: Mapping[str, Any] = self._answer("registries", "added", lambda _: self._added_kinds())
        return answer

    def prefetch(self, names: Sequence[str]) -> None:
        """Ask several probes at a time."""
        try:
            with ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as workers:
                list(workers.map(self.probe, names))
        except RuntimeError:  # the system gives no thread: they are asked one after the other, when they are wanted
            return

    def _read(self, path: str) -> str | None:
        try:
            with Path(path).open("rb") as file:
                return file.read(_LONGEST_FILE).decode("utf-8", "replace").replace("\0", "")
        except OSError:
            return None

    def _glob(self, pattern: str) -> list[str]:
        return sorted(str(path) for path in Path("/").glob(pattern.lstrip("/")))

    def _run(self, command: str) -> str | None:
        try:
            done = subprocess.run(
                command.split(), capture_output=True, text=True, timeout=_SECONDS, stdin=subprocess.DEVNULL, check=False
            )
        except (OSError, subprocess.TimeoutExpired):
            return None
        return done.stdout if done.returncode == 0 else None

    def _probe(self, name: str) -> Mapping[str, Any]:
        command = [sys.executable, "-W", "ignore", "-m", "segrt.runtime.doctor.probes", *name.split()]
        environment = os.environ | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
        try:
            done = subprocess.run(
                command,
                capture_output=True,
                text=True,
                timeout=_SECONDS,
                stdin=subprocess.DEVNULL,
                env=environment,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return {"error": f"did not end within {_SECONDS} s"}
        lines = done.stdout.strip().splitlines()
        if done.returncode != 0 or not lines:
            errors = done.stderr.strip().splitlines()
            return {"error": errors[-1] if errors else f"ended with code {done.returncode}"}
        answer: dict[str, Any] = json.loads(lines[-1])
        return answer

    def _added_kinds(self) -> Mapping[str, Any]:
        return added_kinds(self.probe("kinds"))


class RecordedMachine(Machine):
    """A device from the `asked` of another one; what was not asked there is not there."""

    def __init__(self, asked: Mapping[str, Mapping[str, Any]]) -> None:
        super().__init__()
        self._record = asked

    def _read(self, path: str) -> str | None:
        text: str | None = self._record.get("files", {}).get(path)
        return text

    def _glob(self, pattern: str) -> list[str]:
        return list(self._record.get("globs", {}).get(pattern, []))

    def _run(self, command: str) -> str | None:
        output: str | None = self._record.get("commands", {}).get(command)
        return output

    def _probe(self, name: str) -> Mapping[str, Any]:
        answer: Mapping[str, Any] = self._record.get("probes", {}).get(name, {"error": "was not asked"})
        return answer

    def _added_kinds(self) -> Mapping[str, Any]:
        answer: Mapping[str, Any] = self._record.get("registries", {}).get("added", {})
        return answer
