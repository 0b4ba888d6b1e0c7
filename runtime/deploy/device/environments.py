"""The Python environments on the device: one for each wheel, made beside the others and removed when none needs it."""

import itertools
import os
import shutil
import subprocess
import sys
from pathlib import Path

from segrt.runtime.deploy.device.durable_files import remove_tree, write_file
from segrt.runtime.deploy.device.failure import Failure
from segrt.runtime.deploy.device.file_hashes import difference, files_of, sha256_of
from segrt.runtime.deploy.device.folders import ServiceFolders, read_record, write_record
from segrt.runtime.deploy.device.incoming import need_space
from segrt.runtime.deploy.device.kept_records import EnvironmentFiles
from segrt.runtime.deploy.device.plain_names import check_file_name, check_sha256
from segrt.runtime.deploy.device.program_output import shorten
from segrt.runtime.deploy.device.protocol import EnvironmentRequest
from segrt.runtime.deploy.device.recheck import COMPLETE, FILES
from segrt.runtime.deploy.device.segrt_program import clean_environment

_SIGNED = "signed-"
_BYTES_NEEDED = 600 << 20
_LONGEST_SECONDS = 1800
_REMEDIES = {
    "ensurepip": "; apt-get install python3-venv",
    "No matching distribution found for segrt": "; give the folder of a wheel that fits with --wheels",
}


def ensure(folders: ServiceFolders, request: EnvironmentRequest) -> Path:
    """Return the folder of the environment that a request asks for, making it where it is not there, or was changed.

    Raises Failure for a `path` without segrt, and when the environment cannot be made.
    """
    if request.path:
        given = Path(request.path).expanduser()
        if not (given / "bin/segrt").is_file():
            raise Failure(f"{given}: has no bin/segrt; give another --environment, or leave it out to have one made")
        return given
    if not request.key:
        raise Failure("the request names no environment; deploy again with --wheels or --environment")
    check_file_name(request.key)
    for name, sha256 in request.wheels.items():
        check_file_name(name)
        check_sha256(sha256)
    if request.key.startswith(_SIGNED) != bool(request.pinned):
        raise Failure(f"an environment's name begins with {_SIGNED!r} when an index names its packages, and then only")
    folder = _place(folders, request)
    if not (folder / COMPLETE).is_file():
        remove_tree(folder)
        _make(folders, request, folder)
    return folder


def files_digest(environment: Path) -> str | None:
    """Return the SHA-256 of the list of an environment's files, None where there is none."""
    return sha256_of(environment / FILES) if (environment / FILES).is_file() else None


def is_unchanged(folder: Path) -> bool:
    """Whether an environment that was made for an index has the files that it had then."""
    known = read_record(EnvironmentFiles, folder / FILES)
    return known is not None and difference(folder, known.files, but_for=(COMPLETE, FILES)) is None


def _place(folders: ServiceFolders, request: EnvironmentRequest) -> Path:
    """Return where the environment is or may be made; one that was changed keeps its place, for what runs from it."""
    folder = folders.environments / request.key
    for number in itertools.count(2):
        if not request.pinned or not (folder / COMPLETE).is_file() or is_unchanged(folder):
            break
        folder = folders.environments / f"{request.key}-{number}"
    return folder


def _make(folders: ServiceFolders, request: EnvironmentRequest, folder: Path) -> None:
    need_space(folders.root, _BYTES_NEEDED)
    options = ["--system-site-packages"] if request.system_site_packages else []
    _run([sys.executable, "-I", "-m", "venv", *options, str(folder)], "a Python environment cannot be made")
    wheels = folder / "wheels"
    wheels.mkdir()
    for name, sha256 in request.wheels.items():
        if not (folders.incoming / sha256).is_file():
            raise Failure(f"{name}: is not on the device any more; run with --resume to copy it again")
        shutil.copyfile(folders.incoming / sha256, wheels / name)
    _run(_pip(request, folder, wheels), "segrt cannot be installed")
    shutil.rmtree(wheels)
    if request.pinned:
        write_record(folder / FILES, EnvironmentFiles(files_of(folder)))
    os.sync()  # thousands of files at once
    write_file(folder / COMPLETE, f"{request.requirement}\n".encode())


def _pip(request: EnvironmentRequest, folder: Path, wheels: Path) -> list[str]:
    command = [str(folder / "bin/python"), "-I", "-m", "pip", "install", "--quiet", "--no-input"]
    command += ["--disable-pip-version-check", "--find-links", str(wheels)]
    if not request.pinned:
        offline = ["--no-index"] if request.offline else []
        return [*command, *offline, request.requirement.replace("WHEELS", str(wheels))]
    lines = wheels / "requirements.txt"
    lines.write_text("\n".join(request.pinned) + "\n")
    # Of the device's own settings of pip none counts, and of its system packages none in the place of a hashed wheel.
    command += ["--isolated", "--ignore-installed", "--no-index", "--no-deps", "--only-binary", ":all:"]
    return [*command, "--require-hashes", "-r", str(lines)]


def remove_unused(folders: ServiceFolders) -> None:
    """Remove the environments that no release of any service uses."""
    used = {link.resolve() for link in folders.root.glob("*/releases/*/env")}
    for folder in folders.environments.iterdir():
        if folder.is_dir() and folder.resolve() not in used:
            remove_tree(folder)


def _run(command: list[str], failed: str) -> None:
    try:
        done = subprocess.run(
            ["nice", "-n", "19", *command], capture_output=True, text=True, errors="replace", timeout=_LONGEST_SECONDS,
            check=False, env=clean_environment(), cwd="/", stdin=subprocess.DEVNULL,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise Failure(f"{failed}: it took more than {_LONGEST_SECONDS // 60} minutes") from None
    if done.returncode:
        output = done.stderr + done.stdout
        remedy = next((remedy for word, remedy in _REMEDIES.items() if word in output), "")
        why = shorten(_errors(output)) or f"exit code {done.returncode}"
        raise Failure(f"{failed}: {why}{remedy}", output)


def _errors(output: str) -> str:
    errors = [line for line in output.splitlines() if line.startswith("ERROR:")]
    return "\n".join(errors[-1:]) or output
