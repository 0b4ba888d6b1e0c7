"""How a device is: what it has for a deployment, what it runs, how that is."""

import importlib.util
import os
import platform
import pwd
import shutil
import sys
from dataclasses import replace
from pathlib import Path

from segrt.runtime.deploy.device import environments
from segrt.runtime.deploy.device.failure import Failure
from segrt.runtime.deploy.device.folders import ServiceFolders, read_record
from segrt.runtime.deploy.device.incoming import bytes_here
from segrt.runtime.deploy.device.kept_records import DeploymentSummary, Health
from segrt.runtime.deploy.device.managers import choose, detect
from segrt.runtime.deploy.device.protocol import DeviceStatus, ServiceStatus, StatusRequest
from segrt.runtime.deploy.device.release import release_of_pack
from segrt.runtime.deploy.device.trust import trusted_key


def status(folders: ServiceFolders, request: StatusRequest) -> DeviceStatus:
    """Return what the desk needs to know; writes nothing."""
    libc, version = platform.libc_ver()
    trusted = trusted_key(folders)
    above = next(folder for folder in (folders.root, *folders.root.parents) if folder.is_dir())
    return DeviceStatus(
        machine=platform.machine(),
        python=platform.python_version(),
        executable=sys.executable,
        implementation=platform.python_implementation(),
        glibc=version if libc == "glibc" else None,
        system=_system(),
        user=_user(),
        uid=os.getuid(),
        root=str(folders.root),
        writable=os.access(above, os.W_OK | os.X_OK),
        free=shutil.disk_usage(above).free,
        manager=request.manager if request.manager != "auto" else detect(),
        environments=tuple(
            name
            for name in sorted(path.parent.name for path in folders.environments.glob("*/complete"))
            if name not in request.recheck or environments.is_unchanged(folders.environments / name)
        ),
        tensorrt=importlib.util.find_spec("tensorrt") is not None,
        key=trusted.key if trusted else None,
        arrived={sha256: bytes_here(folders, sha256) for sha256 in request.files},
        known={sha256: release_of_pack(folders, sha256) is not None for sha256 in request.files},
        services=services(folders, request),
    )


def services(folders: ServiceFolders, request: StatusRequest) -> tuple[ServiceStatus, ...]:
    """Return how the service of a request is; without one, how all services below the root are."""
    if request.service:
        return (_service(folders, request.manager),) if folders.folder.is_dir() else ()
    names = sorted(path.parent.name for path in folders.root.glob("*/releases"))
    return tuple(_service(ServiceFolders(folders.root, name), request.manager) for name in names)


def _service(folders: ServiceFolders, manager: str) -> ServiceStatus:
    current = folders.linked(folders.current)
    release = folders.record_of(current)
    with folders.locked() as free:
        busy = not free
    health = None
    if release and release.stream is not None:
        try:
            health = choose(folders, manager).health()
        except Failure as failure:
            health = Health(running=False, text=str(failure))
    return ServiceStatus(
        service=folders.service,
        current=current,
        previous=folders.linked(folders.previous),
        trial=folders.trial.exists(),
        release=replace(release, files=()) if release else None,  # a list as long as the bundle, which no desk needs
        health=health,
        busy=busy,
        deployment=read_record(DeploymentSummary, folders.deployment),
    )


def _user() -> str:
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())


def _system() -> str:
    try:
        lines = Path("/etc/os-release").read_text(errors="replace").splitlines()
    except OSError:
        return platform.system()
    return next((line[13:-1] for line in lines if line.startswith('PRETTY_NAME="')), platform.system())
