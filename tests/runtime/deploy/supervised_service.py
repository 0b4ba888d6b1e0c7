"""A release under a supervisor of its own, and what its health says."""

import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from segrt.runtime.deploy.device.folders import ServiceFolders, write_record
from segrt.runtime.deploy.device.kept_records import ReleaseRecord
from segrt.runtime.deploy.ssh import device_program

# What a release runs here: says what it was given, then feeds the watchdog.
SERVICE = """#!/bin/sh
exec {python} -I -c '
import os, socket, time
print("own words of {name}:", os.environ.get("CAMERA"), flush=True)
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
for number in range(1, 600):
    s.sendto(b"READY=1\\nWATCHDOG=1\\nSTATUS=%d results" % number, os.environ["NOTIFY_SOCKET"])
    time.sleep(0.1)
'
"""


def with_one_release(root: Path) -> ServiceFolders:
    """The folders of the service "cam", whose release "one" is the current one."""
    made = ServiceFolders(root / "segrt", "cam")
    made.make()
    (made.root / "segrt-device").write_bytes(device_program())
    add_release(made, "one")
    made.current.symlink_to("releases/one")
    return made


def add_release(folders: ServiceFolders, name: str, script: str = SERVICE) -> None:
    (folders.releases / name).mkdir()
    (folders.releases / name / "run").write_text(script.format(python=sys.executable, name=name))
    write_record(folders.releases / name / "release.json", ReleaseRecord(name, "0", stream=("x",)))


@contextlib.contextmanager
def supervised(folders: ServiceFolders) -> Iterator["subprocess.Popen[bytes]"]:
    """A supervisor of its own, as cron would start it."""
    command = [sys.executable, "-I", str(folders.root / "segrt-device"), "supervise", "cam"]
    with (folders.folder / "supervisor.log").open("ab") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, cwd="/")
    try:
        yield process
    finally:
        process.terminate()
        process.wait(20)


def health(folders: ServiceFolders) -> dict[str, object]:
    try:
        return dict(json.loads(folders.health.read_text()))
    except (OSError, ValueError):
        return {}


def wait_until(true, what: str, seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, f"not {what}"
        time.sleep(0.02)


def has_results(folders: ServiceFolders) -> bool:
    return bool(health(folders).get("results"))
