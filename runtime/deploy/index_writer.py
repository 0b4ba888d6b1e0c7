"""Makes the statements that devices with a pinned key ask for: what a release executes, and which key comes next."""

import datetime
import re
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from segrt.runtime.bundle.pack.reader import Pack
from segrt.runtime.bundle.pack.signing import raw_key_of, raw_public_key, read_private_key
from segrt.runtime.bundle.pack.signing import sign as signature_of
from segrt.runtime.deploy.device.file_hashes import IndexedFile, sha256_of
from segrt.runtime.deploy.device.protocol import DeviceFacts
from segrt.runtime.deploy.device.statements import (
    IndexedPack,
    IndexedPackage,
    KeyRotation,
    ReleaseIndex,
    statement_file,
    statement_line,
)
from segrt.runtime.deploy.release_trust import content_of
from segrt.runtime.deploy.wheels import choose, download_command
from segrt.runtime.errors import SegrtError

_DATE = re.compile(r"(\d{4}-\d\d-\d\d)(?:T(\d\d:\d\d:\d\d)Z)?")


@dataclass(frozen=True)
class Target:
    """What a release is for: a service, an architecture, a Python (major.minor) and the oldest C library it meets."""

    service: str = "segrt-stream"
    machine: str = "x86_64"
    python: str = "3.11"
    glibc: str = "2.35"


@dataclass(frozen=True)
class Packages:
    """Wheels for a target: segrt's version, its extras, and every wheel to be installed."""

    segrt: str
    extras: tuple[str, ...]
    wheels: tuple[IndexedPackage, ...]


def release_index(path: Path, target: Target, counter: int, expires: str | None) -> ReleaseIndex:
    """Return the index of the pack at `path`, its environment left open.

    `expires` is a date, or a time as 2027-01-31T00:00:00Z. Raises SegrtError for a pack or date that is none.
    """
    with Pack(path) as pack:
        pack.check()
        content = content_of(pack)
    return ReleaseIndex(
        counter=counter,
        service=target.service,
        machine=target.machine,
        segrt="",
        pack=IndexedPack(content.sha256, path.stat().st_size, content.bundle, content.variants, content.files),
        expires=_time(expires) if expires else None,
    )


def with_packages_of(index: ReleaseIndex, packages: Packages, target: Target) -> ReleaseIndex:
    """Return `index` with an environment that is made of packages."""
    return replace(index, segrt=packages.segrt, extras=packages.extras, packages=packages.wheels, python=target.python)


def find_packages(
    folder: Path, target: Target, extras: Sequence[str], *, fetch: bool, remedy: str = "put it there, or add --fetch"
) -> Packages:
    """Return the packages in `folder` that segrt needs on a target, as pip chooses them.

    With `fetch` those that are missing come from the desk's package index into `folder`, else nothing is asked for.
    Raises SegrtError, which ends in `remedy` where nothing was fetched, when one cannot be had.
    """
    facts = DeviceFacts(
        machine=target.machine, python=target.python, executable="", implementation="CPython", glibc=target.glibc,
        system="", user="", uid=0, root="", writable=True, free=0, manager="",
    )  # fmt: skip
    environment = choose(folder, facts, tuple(extras))
    assert environment.wheel is not None  # it was chosen from a folder
    with tempfile.TemporaryDirectory(prefix="segrt-sign-") as chosen:
        command = download_command(environment, facts, Path(chosen))
        command += ["--find-links", str(folder), *([] if fetch else ["--no-index"])]
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
        if done.returncode:
            errors = [line for line in done.stderr.splitlines() if line.startswith("ERROR:")] or ["pip failed"]
            ending = "" if fetch else f"; {remedy}"
            raise SegrtError(f"{folder}: lacks what segrt needs on {target.machine}: {errors[-1]}{ending}")
        names = sorted({path.name for path in Path(chosen).glob("*.whl")} | {environment.wheel.name})
        for name in names:
            if not (folder / name).is_file():
                shutil.copyfile(Path(chosen) / name, folder / name)
    wheels = tuple(_package(folder / name) for name in names)
    version = environment.wheel.name.split("-")[1]
    return Packages(version, tuple(sorted({"deploy", *extras})), wheels)


def signed_release(index: ReleaseIndex, key: Path, password: str | None) -> bytes:
    """Return the file of an index, signed with the private key in the file `key`."""
    line = statement_line(index)
    return statement_file(line, signature_of(line, read_private_key(key, password)))


def signed_rotation(new_key: Path, key: Path, password: str | None) -> bytes:
    """Return the file of a statement by the holder of `key` (private) that `new_key` (public) takes its place."""
    private = read_private_key(key, password)
    rotation = KeyRotation(old=raw_key_of(private), new=raw_public_key(new_key))
    if rotation.old == rotation.new:
        raise SegrtError(f"{new_key}: is the same key as {key}; give the public part of another")
    line = statement_line(rotation)
    return statement_file(line, signature_of(line, private))


def _package(path: Path) -> IndexedPackage:
    name, version = path.name.split("-")[:2]
    return IndexedPackage(name.replace("_", "-"), version, IndexedFile(path.name, path.stat().st_size, sha256_of(path)))


def _time(text: str) -> str:
    match = _DATE.fullmatch(text)
    if match is not None:
        try:
            time = datetime.datetime.fromisoformat(f"{match.group(1)}T{match.group(2) or '00:00:00'}")
            return f"{time.isoformat()}Z"
        except ValueError:
            pass
    raise SegrtError(f"--expires: must be a date as 2027-01-31, or a time as 2027-01-31T12:00:00Z, but got {text!r}")
