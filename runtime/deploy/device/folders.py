"""Where a device keeps what: plain files, to be read and mended by hand.

ROOT/
  segrt-device                 this program: `python3 segrt-device status`
  key.json                     the pinned key, if there is one; see `trust`
  envs/KEY/                    a Python environment with segrt in it; whole when it holds `complete`
  incoming/SHA256(.part)       packs and wheels on their way; .part grows
  SERVICE/
    current -> releases/ID     what runs; changed by renaming a link over it
    previous -> releases/ID    what `rollback` goes back to
    trial.json                 only while a new release is tried: {"to", "from"}; see `activation`
    deployment.json            the last deployment: its steps, how it ended
    history.jsonl              every deployment that ended, and every return of the device's own, one line each
    counter.json               how far signed releases have come
    environment                variables of the service, NAME=value in lines; yours, never written by segrt
    releases/ID/               whole as soon as it has this name
      bundle/  env -> ../../../envs/KEY  run  release.json  verify.txt  service.unit  index.signed
    cache/  work/              segrt's cache (engines, checked hashes); the service's working folder
    log, health.json, log-start.json, notify    of the supervisor, where no systemd is
"""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from segrt.runtime.deploy.device.durable_files import sync_folder, write_file
from segrt.runtime.deploy.device.failure import Failure
from segrt.runtime.deploy.device.json_conversion import from_json, load_json, to_json
from segrt.runtime.deploy.device.kept_records import ReleaseRecord
from segrt.runtime.deploy.device.regular_files import read_regular

Record = TypeVar("Record")


class ServiceFolders:
    """The paths of a service below a root folder."""

    def __init__(self, root: Path, service: str) -> None:
        self.root, self.service = root, service
        self.folder = root / service
        self.environments, self.incoming = root / "envs", root / "incoming"
        self.releases = self.folder / "releases"
        self.current, self.previous = self.folder / "current", self.folder / "previous"
        self.trial, self.deployment = self.folder / "trial.json", self.folder / "deployment.json"
        self.history, self.variables = self.folder / "history.jsonl", self.folder / "environment"
        self.cache, self.work = self.folder / "cache", self.folder / "work"
        self.log, self.health = self.folder / "log", self.folder / "health.json"
        self.supervisor_lock = self.folder / "supervisor.lock"
        self.log_start, self.notify = self.folder / "log-start.json", self.folder / "notify"
        self.key, self.counter = root / "key.json", self.folder / "counter.json"

    def make(self) -> None:
        """Create the folders."""
        try:
            for folder in (self.environments, self.incoming, self.releases, self.cache, self.work):
                folder.mkdir(parents=True, exist_ok=True)
            for folder in (self.folder, self.root, self.root.parent):
                sync_folder(folder)
        except OSError as error:
            raise Failure(
                f"{error.filename}: cannot be written ({error.strerror}); choose another folder with --root, or --sudo"
            ) from None

    def linked(self, link: Path) -> str | None:
        """Return the name of the release that `link` points to, if it is whole."""
        try:
            name = Path(os.readlink(link)).name  # noqa: PTH115
        except OSError:
            return None
        return name if self.is_whole(name) else None

    def is_whole(self, release: str) -> bool:
        """Whether a release is there; it has its name only since it was whole and verified."""
        return (self.releases / release / "release.json").is_file()

    def record_of(self, release: str | None) -> ReleaseRecord | None:
        """Return the release.json of a release; raise Failure when it cannot be read as one."""
        return read_record(ReleaseRecord, self.releases / release / "release.json") if release else None

    @contextmanager
    def locked(self) -> Iterator[bool]:
        """Hold the service's lock; yields False when another process has it. It ends with its process."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with locked_file(self.folder / "lock") as held:
            yield held


@contextmanager
def locked_file(path: Path) -> Iterator[bool]:
    """Hold a lock on the file at `path`; yields False when another process has it."""
    with path.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            yield False
        else:
            yield True


def read_record(kind: type[Record], path: Path) -> Record | None:
    """Return the record in a JSON file, None where there is no file or no JSON object in it.

    Raises Failure, naming the file, for a value that is not of its field's type.
    """
    try:
        content = load_json(read_regular(path))
    except (OSError, ValueError):
        return None
    if not isinstance(content, dict):
        return None
    return from_json(kind, content, str(path), "mend the file on the device, or remove it")


def write_record(path: Path, record: object, mode: int = 0o644) -> None:
    """Write a record (a dataclass) as JSON, whole or not at all."""
    write_file(path, (json.dumps(to_json(record), indent=1, ensure_ascii=False) + "\n").encode(), mode)
