"""The Python environments on the device: one for each wheel, made beside the others and removed when none needs it."""

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

from segrt.runtime.deploy.device.durable_files import remove_tree, write_file
from segrt.runtime.deploy.device.failure import Failure
from segrt.runtime.deploy.device.folders import Place
from segrt.runtime.deploy.device.incoming import need_space
from segrt.runtime.deploy.device.managers import python, shorten

_COMPLETE = "complete"
_NEEDED = 600 << 20
_PATIENCE = 1800


def is_complete(place: Place, key: str) -> bool:
    """Whether the environment of that key was installed to its end."""
    return (place.environments / key / _COMPLETE).is_file()


def ensure(place: Place, wanted: dict[str, Any]) -> Path:
    """Return the folder of the environment that a request wants, installing it where it is not there.

    `wanted` has `path`, an environment that the device has already, or `key`, `requirement` for pip, `wheels`
    ({file name: SHA-256} of what arrived) and `system_site_packages`.
    """
    if wanted.get("path"):
        given = Path(wanted["path"]).expanduser()
        if not (given / "bin/segrt").is_file():
            raise Failure(f"{given}: has no bin/segrt; give another --environment, or leave it out to have one made")
        return given
    folder: Path = place.environments / wanted["key"]
    if is_complete(place, folder.name):
        return folder
    remove_tree(folder)
    need_space(place.root, _NEEDED)
    options = ["--system-site-packages"] if wanted.get("system_site_packages") else []
    _run([python(), "-m", "venv", *options, str(folder)], "a Python environment cannot be made", _venv_remedy)
    wheels = folder / "wheels"
    wheels.mkdir()
    for name, sha256 in wanted["wheels"].items():
        shutil.copyfile(place.incoming / sha256, wheels / name)
    requirement = wanted["requirement"].replace("WHEELS", str(wheels))
    offline = ["--no-index"] if wanted.get("offline") else []
    _run(
        [
            str(folder / "bin/python"),
            "-m",
            "pip",
            "install",
            "--quiet",
            "--no-input",
            "--disable-pip-version-check",
            *offline,
            "--find-links",
            str(wheels),
            requirement,
        ],
        "segrt cannot be installed",
        lambda _: "",
    )
    shutil.rmtree(wheels)
    os.sync()  # thousands of files at once
    write_file(folder / _COMPLETE, f"{wanted['requirement']}\n".encode())
    return folder


def remove_unused(place: Place) -> None:
    """Remove the environments that no release of any service uses."""
    used = {link.resolve() for link in place.root.glob("*/releases/*/env")}
    for folder in place.environments.iterdir():
        if folder.is_dir() and folder.resolve() not in used:
            remove_tree(folder)


def _run(command: list[str], failed: str, remedy: Callable[[str], str]) -> None:
    try:
        done = subprocess.run(
            ["nice", "-n", "19", *command], capture_output=True, text=True, timeout=_PATIENCE, check=False
        )
    except subprocess.TimeoutExpired:
        raise Failure(f"{failed}: it took more than {_PATIENCE // 60} minutes") from None
    if done.returncode:
        said = done.stderr + done.stdout
        raise Failure(f"{failed}: {shorten(_errors(said)) or f'exit code {done.returncode}'}{remedy(said)}", said)


def _errors(said: str) -> str:
    errors = [line for line in said.splitlines() if line.startswith("ERROR:")]
    return "\n".join(errors[-1:]) or said


def _venv_remedy(said: str) -> str:
    return "; apt-get install python3-venv" if "ensurepip" in said else ""
