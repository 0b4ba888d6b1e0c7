"""How a device is: what it has for a deployment, what it runs, how that is."""

import importlib.util
import os
import platform
import pwd
import shutil
from pathlib import Path
from typing import Any

from segrt.runtime.deploy.device import release
from segrt.runtime.deploy.device.failure import Failure
from segrt.runtime.deploy.device.folders import Place, read_json
from segrt.runtime.deploy.device.incoming import arrived
from segrt.runtime.deploy.device.managers import choose, detect, python


def status(place: Place, request: dict[str, Any]) -> dict[str, Any]:
    """Return what the desk needs to know; writes nothing."""
    libc, version = platform.libc_ver()
    above = next(folder for folder in (place.root, *place.root.parents) if folder.is_dir())
    complete = sorted(path.parent.name for path in place.environments.glob("*/complete"))
    return {
        "machine": platform.machine(), "python": platform.python_version(), "executable": python(),
        "implementation": platform.python_implementation(), "glibc": version if libc == "glibc" else None,
        "system": _system(), "user": _user(), "uid": os.getuid(), "root": str(place.root),
        "writable": os.access(above, os.W_OK | os.X_OK), "free": shutil.disk_usage(above).free,
        "manager": request.get("manager") if request.get("manager", "auto") != "auto" else detect(),
        "environments": complete, "tensorrt": importlib.util.find_spec("tensorrt") is not None,
        "arrived": {sha256: arrived(place, sha256) for sha256 in request.get("files", [])},
        "known": {sha256: release.pack_is_known(place, sha256) is not None for sha256 in request.get("files", [])},
        "services": [_service(Place(place.root, name), request) for name in _services(place, request)],
    }  # fmt: skip


def _services(place: Place, request: dict[str, Any]) -> list[str]:
    if request.get("service"):
        return [request["service"]] if place.folder.is_dir() else []
    return sorted(path.parent.name for path in place.root.glob("*/releases"))


def _service(place: Place, request: dict[str, Any]) -> dict[str, Any]:
    current = place.linked(place.current)
    found = read_json(place.deployment)
    described = place.describe(current)
    with place.locked() as free:
        busy = not free
    health = None
    if described and described.get("stream") is not None:
        try:
            health = choose(place, request.get("manager", "auto")).health()._asdict()
        except Failure as failure:
            health = {"running": False, "text": str(failure)}
    return {
        "service": place.service, "current": current, "previous": place.linked(place.previous),
        "trial": place.trial.exists(), "release": described, "health": health, "busy": busy,
        "deployment": {name: value for name, value in found.items() if name != "details"} if found else None,
    }  # fmt: skip


def _user() -> str:
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())


def _system() -> str:
    try:
        lines = Path("/etc/os-release").read_text().splitlines()
    except OSError:
        return platform.system()
    return next((line[13:-1] for line in lines if line.startswith('PRETTY_NAME="')), platform.system())
