"""The systemd unit of a stream: watchdog, restart, a user of its own, a read-only system, a limit on memory."""

import re
from dataclasses import dataclass
from pathlib import Path

from segrt.runtime.deploy.device.failure import Failure
from segrt.runtime.deploy.device.plain_names import check_service
from segrt.runtime.errors import SegrtError
from segrt.runtime.files.reading import read_bytes

_MEMORY = re.compile(r"[1-9][0-9]*[KMGT]?|[1-9][0-9]?%|infinity")
_NEEDS_NO_QUOTES = re.compile(r"[A-Za-z0-9_@%+=:,./${}?&~-]+")
STOP_SECONDS = 10
_MARK = "# The watchdog is fed for as long as frames move, or the source tries to connect again."


@dataclass(frozen=True)
class UnitOptions:
    """What differs from unit to unit.

    `user`: who the service is; None lets systemd make up a user for it. `for_user` writes a unit for the user's own
    systemd instead of the system's. `environment_file` holds its variables, NAME=value, and may be missing; it and
    `cache`, segrt's cache folder, may hold systemd's specifiers (%S, %h). `folder` is where the service works; None is
    a folder of its own below /var/lib (for a user's: below the user's state) that systemd makes. It may write to
    `writable`, which must be there, and to `outputs`, which may be missing.
    """

    name: str = "segrt-stream"
    description: str = "Segmentation of live video"
    user: str | None = None
    for_user: bool = False
    groups: tuple[str, ...] = ("video",)
    memory: str = "2G"
    watchdog: float = 90.0
    environment_file: str | None = None
    writable: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    cache: str | None = None
    folder: str | None = None


def unit_text(options: UnitOptions, command: list[str], *, before: list[str] | None = None) -> str:
    """Return the unit that runs `command`, after `before` with full rights.

    The words of `command` are taken literally: ${NAME} in them is filled in by `segrt stream`, so that no value of a
    variable is among the arguments of a process, which everybody on the device may read. Raises SegrtError for a name,
    memory limit or path that systemd would not take.
    """
    _check(options, command)
    lines = ["[Unit]", f"Description={options.description}"]
    if not options.for_user:
        lines += ["Wants=network-online.target", "After=network-online.target"]
    lines += ["StartLimitIntervalSec=0", "", "[Service]", "Type=notify", "NotifyAccess=main"]
    if options.environment_file:
        lines.append(f"EnvironmentFile=-{options.environment_file}")
    if options.cache:
        lines.append(f"Environment=SEGRT_CACHE={options.cache}")
    if before:
        lines.append(f"ExecStartPre={'' if options.for_user else '+'}{' '.join(map(_word, before))}")
    lines += [
        "ExecStart=" + " ".join(map(_word, command)),
        _MARK,
        f"WatchdogSec={options.watchdog:g}",
        "Restart=always",
        "RestartSec=2",
        "# What SIGTERM ends with, after all files are closed.",
        "SuccessExitStatus=143",
        "TimeoutStartSec=300",
        f"TimeoutStopSec={STOP_SECONDS}",
        f"MemoryMax={options.memory}",
        "OOMPolicy=stop",
        *_identity(options),
        *_folder(options),
        "UMask=0027",
        "NoNewPrivileges=yes",
        "ProtectSystem=strict",
        *_writable(options),
        *_sandbox(options),
        "",
        "[Install]",
        f"WantedBy={'default' if options.for_user else 'multi-user'}.target",
    ]
    return "\n".join(lines) + "\n"


def is_unit(path: Path) -> bool:
    """Say whether the file at `path` is a unit that `unit_text` gave."""
    try:
        return _MARK in read_bytes(path).decode().splitlines()
    except (OSError, ValueError):
        return False


def _identity(options: UnitOptions) -> list[str]:
    if options.for_user:
        return []
    lines = ["DynamicUser=yes"] if options.user is None else [f"User={options.user}"]
    if options.groups:
        lines.append(f"SupplementaryGroups={' '.join(options.groups)}")
    return lines


def _folder(options: UnitOptions) -> list[str]:
    if options.folder is not None:
        return [f"WorkingDirectory={_literal(options.folder)}"]
    return [f"StateDirectory={options.name}", f"WorkingDirectory=%S/{options.name}"]


def _writable(options: UnitOptions) -> list[str]:
    paths = [*options.writable, *(f"-{folder}" for folder in options.outputs)]
    return ["ReadWritePaths=" + " ".join(map(_quoted, paths))] if paths else []


def _sandbox(options: UnitOptions) -> list[str]:
    if options.for_user:
        return ["PrivateUsers=yes"]  # what lets a user's systemd make the rest read-only
    return [
        "ProtectHome=read-only",
        "PrivateTmp=yes",
        "ProtectKernelTunables=yes",
        "ProtectKernelModules=yes",
        "ProtectControlGroups=yes",
        "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK",
        "RestrictSUIDSGID=yes",
        "RestrictRealtime=yes",
        "LockPersonality=yes",
        "CapabilityBoundingSet=",
        "SystemCallArchitectures=native",
    ]


def _check(options: UnitOptions, command: list[str]) -> None:
    try:
        check_service(options.name)
    except Failure as failure:
        raise SegrtError(str(failure)) from None
    if not _MEMORY.fullmatch(options.memory):
        raise SegrtError(f"the memory limit must be as 800M, 2G, 50% or infinity, but got {options.memory!r}")
    for text in (
        options.description,
        options.environment_file or "",
        options.cache or "",
        *options.writable,
        *options.outputs,
        *command,
    ):
        if any(ord(character) < 32 for character in text):
            raise SegrtError(f"{text!r} holds a control character, which a unit cannot")
    for name in (*([options.user] if options.user else []), *options.groups):
        if not re.fullmatch(r"[a-z_][a-z0-9_-]*", name):
            raise SegrtError(f"a user or group must be a name as in /etc/passwd, but got {name!r}")
    for path in (
        *options.writable,
        *options.outputs,
        *([options.environment_file] if options.environment_file else []),
    ):
        if not path.startswith(("/", "%")):
            raise SegrtError(f"{path}: must be an absolute path in a unit")


def _word(text: str) -> str:
    """Return `text` as a word of a command line in a unit (systemd.service(5))."""
    return _quoted(text.replace("$", "$$"))


def _quoted(text: str) -> str:
    """Return `text` as a word of a list in a unit."""
    word = _literal(text)
    return word if text and _NEEDS_NO_QUOTES.fullmatch(word) else f'"{word}"'


def _literal(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
