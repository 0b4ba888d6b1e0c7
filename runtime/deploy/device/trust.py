"""Whose releases a device takes.

A device without a pinned key takes what whoever can log in gives it. With one, it takes a release only by a statement
that is signed with that key and names all that is executed: pack, segrt and its packages. The key is pinned at a first
deployment, and changed by a statement of the key before. Keys belong to the device, counters to its services.
"""

import hashlib
import platform
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace

from segrt.runtime.deploy.device.ed25519 import is_key
from segrt.runtime.deploy.device.failure import Failure
from segrt.runtime.deploy.device.folders import ServiceFolders, read_record, write_record
from segrt.runtime.deploy.device.journal import now
from segrt.runtime.deploy.device.kept_records import PassedCounter, TrustedKey
from segrt.runtime.deploy.device.plain_names import check_file_name, check_sha256
from segrt.runtime.deploy.device.protocol import EnvironmentRequest, InstallRequest, PackContent, Trust
from segrt.runtime.deploy.device.statements import KeyRotation, ReleaseIndex, open_statement, short_key

UNSIGNED = "no key is pinned: pack, segrt and its packages were taken unsigned; --sign and --pin-key change that"
NEEDS_KEY = "has no pinned key to check the index with; add --pin-key KEY"
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
_KEY = re.compile(r"[0-9a-f]{64}")
_MACHINES = {"arm64": "aarch64", "amd64": "x86_64"}


@dataclass(frozen=True)
class Admission:
    """A signed release that may run here: its index, the text of that, the SHA-256 of the text, and the key."""

    index: ReleaseIndex
    text: str
    digest: str
    key: str


def trusted_key(folders: ServiceFolders) -> TrustedKey | None:
    """Return the key that is pinned; raise Failure for a file that does not hold one, which never counts as none."""
    if not folders.key.exists():
        return None
    trusted = read_record(TrustedKey, folders.key)
    if trusted is None or not all(_KEY.fullmatch(key) for key in (trusted.key, *trusted.before)):
        raise Failure(f"{folders.key}: holds no key; put the pinned key back, or remove the file to pin one anew")
    return trusted


def admit(folders: ServiceFolders, request: InstallRequest, note: Callable[[str], None]) -> Admission | None:
    """Return what a request is admitted by, None where no key is pinned; pins and rotates keys as the request asks.

    Calls `note` with what the operator should know. Raises Failure, with nothing executed, for a release that the
    device's key does not cover.
    """
    trust = request.trust
    trusted = _rotated(folders, trusted_key(folders), trust, note)
    if trusted is None and trust.pin_key is None:
        if trust.index is not None:
            raise Failure(NEEDS_KEY)
        note(UNSIGNED)
        return None
    key = trusted.key if trusted else _checked_key(str(trust.pin_key))
    if trust.pin_key not in (None, key):
        raise Failure(f"the key {short_key(key)} is pinned already; change it with --rotate-key and a statement of it")
    if trust.index is None:
        raise Failure(needs_index(key))
    index = open_statement(ReleaseIndex, trust.index.encode(), [key], "the index")
    _check_target(folders, index, request)
    admission = Admission(index, trust.index, hashlib.sha256(trust.index.encode()).hexdigest(), key)
    _check_counter(folders, admission, trust, note)
    if trusted is None:
        write_record(folders.key, TrustedKey(key, pinned=now()))
        note(f"pinned the key {short_key(key)}: from now on only releases signed with it are taken")
    return admission


def needs_index(key: str) -> str:
    """Return what a device with a pinned key says to a release without an index."""
    return (
        f"takes only releases that are signed with the pinned key {short_key(key)}; add --sign KEY, or make an index "
        "with `segrt sign` and give it with --index"
    )


def admitted_request(request: InstallRequest, index: ReleaseIndex) -> InstallRequest:
    """Return a request in which pack and environment are what the index says."""
    pack = index.pack
    content = PackContent(pack.sha256, pack.bundle, pack.variants, pack.files)
    return replace(
        request, pack=content, environment=signed_environment(index, request.environment.system_site_packages)
    )


def signed_environment(index: ReleaseIndex, system_site_packages: bool) -> EnvironmentRequest:
    """Return the environment of an index's packages; raise Failure for names that are no names."""
    if not index.packages:
        return EnvironmentRequest(path=index.environment, extras=index.extras)
    for package in index.packages:
        for name in (package.name, package.version, package.file.path):
            check_file_name(name)
        check_sha256(package.file.sha256)
    lines = tuple(
        f"{package.name}=={package.version} --hash=sha256:{package.file.sha256}" for package in index.packages
    )
    content = "\n".join([*lines, str(index.python), str(system_site_packages)])
    return EnvironmentRequest(
        key=f"signed-{hashlib.sha256(content.encode()).hexdigest()[:16]}",
        wheels={package.file.path: package.file.sha256 for package in index.packages},
        system_site_packages=system_site_packages,
        offline=True,
        pinned=lines,
        extras=index.extras,
    )


def note_passed(folders: ServiceFolders, admission: Admission) -> None:
    """Raise the service's counter to that of a release which has proved itself; it never falls."""
    passed = _passed(folders, admission.key)
    if passed is None or admission.index.counter > passed.counter:
        write_record(folders.counter, PassedCounter(admission.index.counter, admission.digest, admission.key))


def target_differs(index: ReleaseIndex, service: str, machine: str, python: str) -> str | None:
    """Return in words why an index is for another service, architecture or Python (major.minor), None if it is not."""
    if index.service != service:
        return f"is for the service {index.service!r}, not {service!r}"
    if _MACHINES.get(index.machine, index.machine) != _MACHINES.get(machine, machine):
        return f"is for {index.machine}, not {machine}"
    if index.packages and index.python != python:
        return f"is for Python {index.python}, not {python}"
    return None


def _rotated(
    folders: ServiceFolders, trusted: TrustedKey | None, trust: Trust, note: Callable[[str], None]
) -> TrustedKey | None:
    if trust.rotation is None:
        return trusted
    if trusted is None:
        raise Failure("has no pinned key that --rotate-key could change; pin one with --pin-key")
    where = "the statement of --rotate-key"
    rotation = open_statement(KeyRotation, trust.rotation.encode(), [trusted.key, *trusted.before], where)
    if rotation.new == trusted.key:
        return trusted
    if rotation.old != trusted.key:
        raise Failure(f"{where}: is of the key {short_key(rotation.old)}, but {short_key(trusted.key)} is pinned")
    open_statement(KeyRotation, trust.rotation.encode(), [trusted.key], where)
    if rotation.new in trusted.before:
        raise Failure(f"{where}: the key {short_key(rotation.new)} was given up on this device; make a new one")
    new = TrustedKey(_checked_key(rotation.new), (trusted.key, *trusted.before), now())
    write_record(folders.key, new)
    note(f"the key {short_key(new.key)} took the place of {short_key(trusted.key)}")
    return new


def _checked_key(key: str) -> str:
    if not _KEY.fullmatch(key) or not is_key(bytes.fromhex(key)):
        raise Failure(f"a key must be an Ed25519 public key, 64 hexadecimal digits, but got {key[:80]!r}")
    return key


def _check_target(folders: ServiceFolders, index: ReleaseIndex, request: InstallRequest) -> None:
    differs = target_differs(index, folders.service, platform.machine(), "{}.{}".format(*sys.version_info))
    if differs:
        raise Failure(f"the index {differs}; sign one for this device")
    if index.pack.sha256 != request.pack.sha256:
        raise Failure("the index is of another pack; give the pack that it was made for")
    if bool(index.packages) == bool(index.environment):
        raise Failure("the index names no environment, or two; sign one with --wheels or --environment")
    if index.expires is not None and (not _TIME.fullmatch(index.expires) or index.expires < now()):
        raise Failure(f"the index expired at {index.expires}, and it is {now()} here; sign a new one")


def _check_counter(folders: ServiceFolders, admission: Admission, trust: Trust, note: Callable[[str], None]) -> None:
    passed, counter = _passed(folders, admission.key), admission.index.counter
    if passed is None or counter > passed.counter or admission.digest == passed.index:
        return
    what = "below" if counter < passed.counter else "that of another index,"
    line = f"the index has the counter {counter}, {what} {passed.counter}, which a release here has passed"
    if not trust.allow_downgrade:
        raise Failure(f"{line}; sign one with a higher --counter, or add --allow-downgrade")
    note(f"downgrade: {line} (--allow-downgrade)")


def _passed(folders: ServiceFolders, key: str) -> PassedCounter | None:
    """Return the counter that releases signed with `key` have come to; those of an earlier key do not count."""
    if not folders.counter.exists():
        return None
    passed = read_record(PassedCounter, folders.counter)
    if passed is None:
        raise Failure(f"{folders.counter}: is damaged; mend it, or remove it and add --allow-downgrade")
    return passed if passed.key == key else None
