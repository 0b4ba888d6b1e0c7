"""What desk and device tell each other: a dataclass for each line of JSON, used at both ends.

The names of the fields are the keys of the JSON; what `kept_records` says of them holds here, too. Paths are text,
sizes bytes, hashes SHA-256 in hexadecimal digits.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from segrt.runtime.deploy.device.file_hashes import IndexedFile
from segrt.runtime.deploy.device.kept_records import (
    DeploymentSummary,
    Health,
    InstallOptions,
    ReleaseRecord,
    WatchOptions,
)


@dataclass(frozen=True, kw_only=True)
class Request:
    """What every request says: the root folder ("auto": chosen there), the service, and its manager."""

    root: str = "auto"
    service: str | None = None
    manager: str = "auto"


@dataclass(frozen=True, kw_only=True)
class StatusRequest(Request):
    """How is the device, and what does it have of `files` (SHA-256)? Without a service: how are all of them?

    Of the environments with the names in `recheck` those that were changed are left out of the answer.
    """

    command: str = field(default="status", init=False)
    files: tuple[str, ...] = ()
    recheck: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class ReceiveRequest(Request):
    """Take a file of `size` bytes in; its content from `offset` on follows the request."""

    command: str = field(default="receive", init=False)
    sha256: str
    size: int
    offset: int


@dataclass(frozen=True)
class PackContent:
    """A pack's SHA-256, the bundle and precisions in it, and its files."""

    sha256: str
    bundle: str
    variants: tuple[str, ...] = ()
    files: tuple[IndexedFile, ...] = ()


@dataclass(frozen=True)
class EnvironmentRequest:
    """The Python environment of a release: `path` of one that the device has, or `key` of one to be made by pip.

    `requirement` is what pip installs, WHEELS in it being the folder of `wheels` (file name → SHA-256 of what arrived).
    `pinned` are the lines of a requirements file with hashes instead, of which nothing else is installed. `extras` are
    those of segrt in it.
    """

    path: str | None = None
    key: str = ""
    requirement: str = ""
    wheels: Mapping[str, str] = field(default_factory=dict)
    system_site_packages: bool = False
    offline: bool = False
    pinned: tuple[str, ...] = ()
    extras: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Trust:
    """What a deployment says of keys, each as the text of its file.

    `index` is the signed statement of the release, `rotation` that of a key's successor; `pin_key` is a public key (64
    hexadecimal digits) to be pinned where none is; `allow_downgrade` takes a smaller counter than the device has seen.
    """

    index: str | None = None
    pin_key: str | None = None
    rotation: str | None = None
    allow_downgrade: bool = False


@dataclass(frozen=True, kw_only=True)
class InstallRequest(Request):
    """Make a release of a pack that arrived and let it run.

    `stream` are the arguments after the bundle, None to keep those of the release before; `unit` is the text of a
    systemd unit; `verify_key` that of a key; `again` says that the connection of the same `run` was lost.
    """

    command: str = field(default="install", init=False)
    run: str
    verify_key: str | None = None
    environment: EnvironmentRequest
    pack: PackContent
    stream: tuple[str, ...] | None = None
    unit: str | None = None
    options: InstallOptions
    again: bool = False
    trust: Trust = field(default_factory=Trust)


@dataclass(frozen=True, kw_only=True)
class RollbackRequest(Request):
    """Go back to the release before the current one."""

    command: str = field(default="rollback", init=False)
    run: str
    options: WatchOptions


@dataclass(frozen=True)
class Step:
    """A step begins."""

    step: str


@dataclass(frozen=True)
class Note:
    """Something that the operator should know and that stops nothing."""

    note: str


@dataclass(frozen=True)
class ServiceStatus:
    """A service: its releases, whether one is on trial, its health (None: no stream), whether it is being deployed."""

    service: str
    current: str | None = None
    previous: str | None = None
    trial: bool = False
    release: ReleaseRecord | None = None
    health: Health | None = None
    busy: bool = False
    deployment: DeploymentSummary | None = None


@dataclass(frozen=True)
class DeviceFacts:
    """A device and its Python.

    `glibc` is None with another C library; `free` bytes are left where `root` is; `environments` are the keys of whole
    ones; `tensorrt` says whether the system's Python has it; `key` is the one that is pinned.
    """

    machine: str
    python: str
    executable: str
    implementation: str
    glibc: str | None
    system: str
    user: str
    uid: int
    root: str
    writable: bool
    free: int
    manager: str
    environments: tuple[str, ...] = ()
    tensorrt: bool = False
    key: str | None = None


@dataclass(frozen=True)
class DeviceStatus(DeviceFacts):
    """A device, what it has of the files that were asked for, and its services.

    `arrived` has the number of bytes that are there, None for a whole file; `known` whether a release was made of it.
    """

    arrived: Mapping[str, int | None] = field(default_factory=dict)
    known: Mapping[str, bool] = field(default_factory=dict)
    services: tuple[ServiceStatus, ...] = ()


@dataclass(frozen=True)
class Answer:
    """The last line of an exchange: `result` is "done", "unchanged" or "failed", `why` and `details` say why."""

    result: str
    why: str | None = None
    details: str = ""


@dataclass(frozen=True)
class StatusAnswer(Answer):
    """Answers a StatusRequest."""

    status: DeviceStatus | None = None


@dataclass(frozen=True)
class ReceiveAnswer(Answer):
    """Answers a ReceiveRequest: how many bytes are there now, None for all of them."""

    arrived: int | None = None


@dataclass(frozen=True)
class DeploymentAnswer(Answer):
    """Answers an InstallRequest or RollbackRequest."""

    release: str | None = None
    notes: tuple[str, ...] = ()
