"""Which service manager a device has: systemd of the system or of the user, or segrt's own supervisor."""

import os
import shutil
import subprocess
from pathlib import Path

from segrt.runtime.deploy.device.failure import Failure
from segrt.runtime.deploy.device.folders import ServiceFolders
from segrt.runtime.deploy.device.manager import Manager
from segrt.runtime.deploy.device.supervisor import Supervisor
from segrt.runtime.deploy.device.systemd import Systemd

KINDS = ("systemd", "systemd-user", "supervisor")


def choose(folders: ServiceFolders, kind: str) -> Manager:
    """Return the manager of `kind`, or for "auto" the one that this device and user have."""
    if kind == "auto":
        kind = detect()
    if kind not in KINDS:
        raise Failure(f"the service manager must be auto or one of {', '.join(KINDS)}, but got {kind!r}")
    if kind == "supervisor":
        return Supervisor(folders)
    return Systemd(folders, user=kind == "systemd-user")


def detect() -> str:
    """Return which manager this device and user have."""
    if not shutil.which("systemctl") or not Path("/run/systemd/system").is_dir():
        return "supervisor"
    if os.geteuid() == 0:
        return "systemd"
    answered = subprocess.run(["systemctl", "--user", "show-environment"], capture_output=True, check=False)
    return "systemd-user" if answered.returncode == 0 else "supervisor"
