"""The Python environments on the device: one for each wheel, made beside the others and removed when none needs it."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from segrt.runtime.deploy.device.durable_files import remove_tree, write_file
from segrt.runtime.deploy.device.failure import Failure
from segrt.runtime.deploy.device.folders import ServiceFolders
from segrt.runtime.deploy.device.incoming import need_space
from segrt.runtime.deploy.device.program_output import shorten
from segrt.runtime.deploy.device.protocol import EnvironmentRequest

_COMPLETE = "complete"
_BYTES_NEEDED = 600 << 20
_LONGEST_SECONDS = 1800


def ensure(folders: ServiceFolders, request: EnvironmentRequest) -> Path:
    """Return the folder of the environment that a request asks for, making it where it is not there.

    Raises Failure for a `path` without segrt, and when the environment cannot be made.
    """
    if request.path:
        given = Path(request.path).expanduser()
        if not (given / "bin/segrt").is_file():
            raise Failure(f"{given}: has no bin/segrt; give another --environment, or leave it out to have one made")
        return given
    if not request.key:
        raise Failure("the request names no environment; deploy again with --wheels or --environment")
    folder = folders.environments / request.key
    if not (folder / _COMPLETE).is_file():
        remove_tree(folder)
        _make(folders, request, folder)
    return folder


def _make(folders: ServiceFolders, request: EnvironmentRequest, folder: Path) -> None:
    need_space(folders.root, _BYTES_NEEDED)
    options = ["--system-site-packages"] if request.system_site_packages else []
    _run([sys.executable, "-m", "venv", *options, str(folder)], "a Python environment cannot be made")
    wheels = folder / "wheels"
    wheels.mkdir()
    for name, sha256 in request.wheels.items():
        shutil.copyfile(folders.incoming / sha256, wheels / name)
    requirement = request.requirement.replace("WHEELS", str(wheels))
    offline = ["--no-index"] if request.offline else []
    pip = [str(folder / "bin/python"), "-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check"]
    _run([*pip, *offline, "--find-links", str(wheels), requirement], "segrt cannot be installed")
    shutil.rmtree(wheels)
    os.sync()  # thousands of files at once
    write_file(folder / _COMPLETE, f"{request.requirement}\n".encode())


def remove_unused(folders: ServiceFolders) -> None:
    """Remove the environments that no release of any service uses."""
    used = {link.resolve() for link in folders.root.glob("*/releases/*/env")}
    for folder in folders.environments.iterdir():
        if folder.is_dir() and folder.resolve() not in used:
            remove_tree(folder)


def _run(command: list[str], failed: str) -> None:
    try:
        done = subprocess.run(
            ["nice", "-n", "19", *command], capture_output=True, text=True, timeout=_LONGEST_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        raise Failure(f"{failed}: it took more than {_LONGEST_SECONDS // 60} minutes") from None
    if done.returncode:
        output = done.stderr + done.stdout
        remedy = "; apt-get install python3-venv" if "ensurepip" in output else ""
        why = shorten(_errors(output)) or f"exit code {done.returncode}"
        raise Failure(f"{failed}: {why}{remedy}", output)


def _errors(output: str) -> str:
    errors = [line for line in output.splitlines() if line.startswith("ERROR:")]
    return "\n".join(errors[-1:]) or output
