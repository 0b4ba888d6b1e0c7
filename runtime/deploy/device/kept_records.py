"""What a device keeps, and tells the desk when asked: a dataclass for each JSON object.

The names of the fields are the keys of the JSON (`from` is `from_release`), which other versions of segrt have written
and will read: a key stays, and a new one has a default. Times are text, ISO 8601 in UTC; hashes are SHA-256 in
hexadecimal digits.
"""

from dataclasses import dataclass, field
from typing import Any

from segrt.runtime.deploy.device.file_hashes import IndexedFile


def _from_release() -> Any:
    """Return the field of the key "from", which is no name in Python."""
    return field(default=None, metadata={"key": "from"})


def _added(default: Any) -> Any:
    """Return a field that records of earlier versions lack."""
    return field(default=default, metadata={"added": True})


@dataclass(frozen=True)
class WatchOptions:
    """When a new release counts as healthy: within `grace` seconds, `health` being "frames" (results) or "running"."""

    grace: float = 60.0
    health: str = "frames"

    @property
    def needs_results(self) -> bool:
        """Whether the service must have given a result."""
        return self.health == "frames"


@dataclass(frozen=True)
class InstallOptions:
    """How a release is made and watched; part of its name, so the order of the fields stays."""

    backend: str = "auto"
    precision: str | None = None
    budget: str | None = None
    frames: int = 100
    build: bool = True
    grace: float = 60.0
    health: str = "frames"
    keep: int = 3

    @property
    def watch(self) -> WatchOptions:
        """When the release counts as healthy."""
        return WatchOptions(self.grace, self.health)


@dataclass(frozen=True)
class ReleaseRecord:
    """release.json: the bundle, the SHA-256 of its pack, segrt's version, the stream's arguments (None: no stream).

    `extras` are those of segrt that its environment was made with. `files` are all of the release that are executed or
    read, but for the environment. `index` is the SHA-256 of the signed statement that it was admitted by, `counter` the
    number in it, `environment_files` the SHA-256 of the environment's list of files; None for an unsigned release.
    """

    bundle: str
    pack: str
    variants: tuple[str, ...] = ()
    segrt: str = ""
    stream: tuple[str, ...] | None = None
    options: InstallOptions | None = None
    made: str = ""
    extras: tuple[str, ...] = _added(())
    files: tuple[IndexedFile, ...] = _added(())
    index: str | None = _added(None)
    counter: int | None = _added(None)
    environment_files: str | None = _added(None)


@dataclass(frozen=True)
class TrustedKey:
    """key.json: the public key (64 hexadecimal digits) that releases must be signed with, and those before it."""

    key: str
    before: tuple[str, ...] = ()
    pinned: str = ""


@dataclass(frozen=True)
class PassedCounter:
    """counter.json: the highest counter of a release that proved itself, the SHA-256 of its index, and its key."""

    counter: int
    index: str
    key: str


@dataclass(frozen=True)
class EnvironmentFiles:
    """files.json of an environment: everything in it when it was made."""

    files: tuple[IndexedFile, ...]


@dataclass(frozen=True)
class LogStart:
    """log-start.json of the supervisor: the release that was started, and where in the log its lines begin."""

    release: str
    offset: int


@dataclass(frozen=True)
class DeploymentSummary:
    """A deployment: `what` is "install", "rollback" or "return" (by the device itself).

    `step` is what it does, `result` how it was when it has `ended`.
    """

    run: str
    what: str = "install"
    release: str | None = None
    from_release: str | None = _from_release()
    step: str | None = None
    notes: tuple[str, ...] = ()
    started: str = ""
    ended: str | None = None
    result: str | None = None
    why: str | None = None


@dataclass(frozen=True)
class DeploymentRecord(DeploymentSummary):
    """deployment.json; history.jsonl has the same without `step` and `details`."""

    details: str = ""


@dataclass(frozen=True)
class Trial:
    """trial.json: the release that is being tried, and the one to go back to."""

    to: str | None = None
    from_release: str | None = _from_release()


@dataclass(frozen=True)
class Health:
    """How the service is: `running` with its process id, `ready` once it said so, restarts since it was started.

    `results` counts what the stream has given, None before it said; `text` is its status line. Also the supervisor's
    health.json.
    """

    running: bool
    ready: bool = False
    restarts: int = 0
    results: int | None = None
    text: str = ""
    pid: int = 0
