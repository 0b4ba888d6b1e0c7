"""The index that `segrt deploy --sign` makes by itself, for devices that have a pinned key or get one."""

import hashlib
import platform
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path

from segrt.runtime.deploy.device.failure import Failure
from segrt.runtime.deploy.device.protocol import DeviceStatus
from segrt.runtime.deploy.device.statements import ReleaseIndex, read_statement
from segrt.runtime.deploy.index_writer import Target, find_packages, release_index, signed_release, with_packages_of
from segrt.runtime.deploy.plan import NeedsOf, Options, extras_wanted
from segrt.runtime.errors import SegrtError
from segrt.runtime.files.atomic import make_folder, write_atomic
from segrt.runtime.files.cache import cache_folder

_FOLDER = "indices"


@dataclass(frozen=True)
class SigningKey:
    """The file of an Ed25519 private key, and its password."""

    path: Path
    password: str | None


def with_own_index(
    options: Options, key: SigningKey, statuses: Sequence[DeviceStatus], needs_of: NeedsOf
) -> Options | None:
    """Return options whose index is made and signed with `key`, None where no device would look at one.

    It has the extras that `options` ask for and those that the streams of devices need which go on, as `needs_of` says.

    The index is kept in segrt's cache, where `--resume` finds it. Its counter is the time, in seconds since 1970, and
    above that of the index before; what was signed last serves again while it says the same. Raises SegrtError for
    devices that differ in what an index names, and for packages that cannot be had.
    """
    if options.pin_key is None and all(status.key is None for status in statuses):
        return None
    extras = frozenset(options.extras).union(*(extras_wanted(options, status, needs_of) for status in statuses))
    index = _index(replace(options, extras=tuple(sorted(extras))), _target(options, statuses))
    path = _kept(index, key)
    return replace(options, index=str(path.absolute()), environment=None)


def _target(options: Options, statuses: Sequence[DeviceStatus]) -> Target:
    """Return what the devices have in common."""
    machines = sorted({status.machine for status in statuses}) or [platform.machine()]
    pythons = sorted({".".join(status.python.split(".")[:2]) for status in statuses}) or [Target.python]
    for what, values in (("machines", machines), ("versions of Python", pythons)):
        if len(values) > 1 and (what == "machines" or options.environment is None):
            raise SegrtError(f"--sign: the devices have different {what}, {', '.join(values)}; deploy to each apart")
    libraries = [status.glibc for status in statuses if status.glibc]
    oldest = min(libraries, key=lambda text: [int(part) for part in text.split(".") if part.isdecimal()], default=None)
    return Target(options.service, machines[0], pythons[0], oldest or Target.glibc)


def _index(options: Options, target: Target) -> ReleaseIndex:
    """Return the index of the pack, its counter left open."""
    index = release_index(Path(options.pack), target, 0, None)
    if options.environment is not None:
        version = metadata.version("segrt")
        return replace(index, segrt=version, environment=options.environment, extras=options.extras)
    if options.wheels is None:
        raise SegrtError(
            "--sign: a device with a pinned key takes packages by their signed hashes alone; give segrt's with "
            "--wheels DIR, or --environment DIR for what the device has"
        )
    remedy = "put it there, or add --offline, which fetches it here"
    return with_packages_of(
        index,
        find_packages(Path(options.wheels), target, options.extras, fetch=options.offline, remedy=remedy),
        target,
    )


def _kept(index: ReleaseIndex, key: SigningKey) -> Path:
    """Return the file of the signed index: the one that was signed last for the service, or a new one."""
    folder = make_folder(cache_folder() / _FOLDER)
    before = max(folder.glob(f"{index.service}-*.index"), key=lambda path: path.stat().st_mtime_ns, default=None)
    last = _counter(before) if before is not None else None
    if before is not None and last is not None:
        again = signed_release(replace(index, counter=last), key.path, key.password)
        if again == before.read_bytes():
            return before
    counter = max(int(time.time()), (last or 0) + 1)
    text = signed_release(replace(index, counter=counter), key.path, key.password)
    path = folder / f"{index.service}-{hashlib.sha256(text).hexdigest()[:16]}.index"
    write_atomic(path, text)
    return path


def _counter(path: Path) -> int | None:
    try:
        return read_statement(ReleaseIndex, path.read_bytes(), str(path)).counter
    except (Failure, OSError):  # of another version, or damaged: a new one is made
        return None
