"""Which wheel of segrt fits a device, by the tags in its name (PEP 425, 600)."""

import hashlib
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from importlib import metadata
from pathlib import Path

from segrt.runtime.deploy.device.protocol import DeviceFacts
from segrt.runtime.errors import SegrtError
from segrt.runtime.files.reading import is_regular

_WHEEL = re.compile(r"segrt-([^-]+)(?:-\d[^-]*)?-([^-]+)-([^-]+)-([^-]+)\.whl")
_MANYLINUX = re.compile(r"manylinux_(\d+)_(\d+)_(.+)|manylinux(1|2010|2014)_(.+)|linux_(.+)")
_OLD_NAMES = {"1": (2, 5), "2010": (2, 12), "2014": (2, 17)}
_MACHINES = {"arm64": "aarch64", "amd64": "x86_64"}


@dataclass(frozen=True)
class Environment:
    """A Python environment for a device: a key that names it, and what pip installs into it.

    `wheel` is segrt's own, None where the device takes it from its package index. `files` are those to be copied
    (SHA-256 → file): the wheel and, with `offline`, every package that it needs.
    """

    key: str
    requirement: str
    wheel: Path | None = None
    files: Mapping[str, Path] = field(default_factory=dict)
    offline: bool = False


def choose(folder: Path | None, device: DeviceFacts, extras: tuple[str, ...]) -> Environment:
    """Return an environment with the newest wheel in `folder` that fits, or, without a folder, with what an index has.

    Raises SegrtError when no wheel fits, naming those that are there.
    """
    names = ",".join(sorted({"deploy", *extras}))
    if folder is None:
        version = metadata.version("segrt")
        return Environment(f"segrt-{version}-index-{names.replace(',', '-')}", f"segrt[{names}]=={version}")
    wheels = sorted(path for path in folder.glob("segrt-*.whl") if is_regular(path))
    fitting = [path for path in wheels if fits(path.name, device)]
    if not fitting:
        there = ", ".join(path.name for path in wheels) or "none"
        needs = f"Python {device.python} on {device.machine} (glibc {device.glibc or 'none'})"
        raise SegrtError(f"no wheel for {needs} in {folder}, which has {there}; make one with `make wheels`")
    wheel = max(fitting, key=lambda path: (version_key(path.name.split("-")[1]), path.stat().st_mtime))
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    key = f"segrt-{wheel.name.split('-')[1]}-{digest[:8]}-{names.replace(',', '-')}"
    return Environment(key, f"segrt[{names}] @ file://WHEELS/{wheel.name}", wheel, {digest: wheel})


def with_packages(environment: Environment, device: DeviceFacts, cache: Path) -> Environment:
    """Return `environment` with every package that it needs on the device, fetched into `cache` by the desk's own pip.

    Raises SegrtError when pip finds no package for the device.
    """
    if environment.wheel is None:
        raise SegrtError("--offline needs a wheel of segrt; give --wheels DIR")
    folder = cache / environment.key
    command = download_command(environment, device, folder)
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    if done.returncode:
        errors = [line for line in done.stderr.splitlines() if line.startswith("ERROR:")] or ["pip failed"]
        raise SegrtError(f"what segrt needs on {device.machine} cannot be fetched here: {errors[-1]}")
    files = {hashlib.sha256(path.read_bytes()).hexdigest(): path for path in sorted(folder.glob("*.whl"))}
    return replace(environment, files={**files, **environment.files}, offline=True)


def download_command(environment: Environment, device: DeviceFacts, folder: Path) -> list[str]:
    """Return pip's command that fetches what an environment with a wheel needs on a device into `folder`."""
    parent = environment.wheel.parent if environment.wheel else ""
    command = [sys.executable, "-I", "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
    command += ["--only-binary", ":all:"]
    command += ["--implementation", "cp", "--python-version", ".".join(device.python.split(".")[:2])]
    command += [word for platform in _platforms(device) for word in ("--platform", platform)]
    return [*command, "--dest", str(folder), environment.requirement.replace("WHEELS/", f"{parent}/")]


def _platforms(device: DeviceFacts) -> list[str]:
    machine = _MACHINES.get(device.machine, device.machine)
    newest = int((device.glibc or "2.17").split(".")[1])
    return [
        *(f"manylinux_2_{minor}_{machine}" for minor in range(newest, 4, -1)),
        f"manylinux2014_{machine}",
        f"linux_{machine}",
    ]


def fits(name: str, device: DeviceFacts) -> bool:
    """Whether the wheel of that file name can be installed on the device."""
    match = _WHEEL.fullmatch(name)
    if match is None:
        return False
    pythons, abis, platforms = (match.group(number).split(".") for number in (2, 3, 4))
    major, minor = (int(part) for part in device.python.split(".")[:2])
    interpreter = f"cp{major}{minor}"
    if "abi3" in abis:
        if not any(re.fullmatch(rf"cp{major}(\d+)", tag) and int(tag[3:]) <= minor for tag in pythons):
            return False
    elif interpreter not in pythons or interpreter not in abis:
        return False
    return any(_platform_fits(platform, device) for platform in platforms)


def _platform_fits(platform: str, device: DeviceFacts) -> bool:
    match = _MANYLINUX.fullmatch(platform)
    if match is None:
        return False
    major, minor, new, old, old_machine, plain = match.groups()
    machine = _MACHINES.get(device.machine, device.machine)
    if machine != (new or old_machine or plain):
        return False
    if plain:
        return True
    if not device.glibc:
        return False
    needed = (int(major), int(minor)) if new else _OLD_NAMES[old]
    return tuple(int(part) for part in device.glibc.split(".")[:2]) >= needed


def version_key(version: str) -> tuple[int, ...]:
    """Return the numbers of a version, for comparing; a pre-release counts as its release."""
    return tuple(int(part[:9]) for part in re.findall(r"\d+", version.split("+")[0])[:3])
