"""The device's side of `segrt deploy`: one request from standard input, or a command by hand.

segrt-device status [SERVICE]        what runs here, and how it is
segrt-device rollback SERVICE        back to the release before
segrt-device recover SERVICE         take back a release that was being tried when the power went
segrt-device supervise SERVICE       start and watch the service where no systemd is (cron: @reboot)
"""

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any, BinaryIO

from segrt.runtime.deploy.device import activation, incoming, install, status, supervisor
from segrt.runtime.deploy.device.failure import Failure
from segrt.runtime.deploy.device.folders import Place
from segrt.runtime.deploy.device.journal import tell
from segrt.runtime.deploy.device.managers import detect


def serve(source: BinaryIO, archive: Path, size: int) -> int:
    """Answer one request of the desk: `size` bytes of JSON at the head of `source`, for `receive` content behind it."""
    request = json.loads(source.read(size))
    wanted = request["root"]
    if wanted == "auto":
        wanted = "/opt/segrt" if detect() == "systemd" else "~/segrt"
    root = Path(os.path.expanduser(wanted))  # noqa: PTH111 (its HOME, as a shell sees it)
    place = Place(Path(os.path.abspath(root)), request.get("service") or "segrt")  # noqa: PTH100
    try:
        return _answer(place, request, source, archive)
    except Failure as failure:
        tell(result="failed", why=str(failure), details=failure.details)
    except OSError as error:
        tell(result="failed", why=f"{error.filename or place.root}: {error.strerror} on the device", details="")
    return 0


def _answer(place: Place, request: dict[str, Any], source: BinaryIO, archive: Path) -> int:
    command = request["command"]
    if command == "status":
        tell(result="done", status=status.status(place, request))
    elif command == "receive":
        incoming.receive(place, request["sha256"], request["size"], request["offset"], source)
        tell(result="done", arrived=incoming.arrived(place, request["sha256"]))
    elif command == "install":
        install.install(place, request, install.program_bytes(archive))
    elif command == "rollback":
        install.roll_back(place, request, install.program_bytes(archive))
    else:
        raise Failure(f"the device does not know {command!r}; this is a segrt of another time")
    return 0


def main() -> int:
    """Run a command by hand, or serve the desk."""
    archive = Path(sys.argv[0])
    os.umask(0o022)  # the service's user reads what is written here
    if len(sys.argv) == 3 and sys.argv[1] == "serve":
        return serve(sys.stdin.buffer, archive, int(sys.argv[2]))
    parser = argparse.ArgumentParser("segrt-device", description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("command", choices=("status", "rollback", "recover", "supervise"))
    parser.add_argument("service", nargs="?")
    parser.add_argument("--root", type=Path, default=archive.resolve().parent)
    parser.add_argument("--grace", type=float, default=60.0)
    parser.add_argument("--manager", default="auto")
    given = parser.parse_args()
    place = Place(given.root, given.service or "segrt")
    if given.command == "status":
        request = {"service": given.service, "manager": given.manager}
        print(json.dumps(status.status(place, request)["services"], indent=1))
        return 0
    if not given.service or not place.folder.is_dir():
        parser.error(f"give a service that is below {given.root}")
    if given.command == "recover":
        back = activation.recover(place)
        if back:
            print(f"went back to {back}, for the release after it had not proved healthy")
        return 0
    if given.command == "supervise":
        return supervisor.supervise(place)
    options = {"grace": given.grace, "health": "frames"}
    request = {"run": "by-hand", "manager": given.manager, "options": options}
    try:
        install.roll_back(place, request, install.program_bytes(archive))
    except Failure as failure:
        print(f"segrt-device: {failure}", file=sys.stderr)
        return 1
    return 0
