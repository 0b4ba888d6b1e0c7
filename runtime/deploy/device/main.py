"""The device's side of `segrt deploy`: one request from standard input, or a command by hand.

segrt-device status [SERVICE]        what runs here, and how it is
segrt-device rollback SERVICE        back to the release before
segrt-device recover SERVICE         what is done before each start: take back a release that was being tried when the
                                     power went, and one that is not what was signed
segrt-device supervise SERVICE       start and watch the service where no systemd is (cron: @reboot)
"""

import argparse
import json
import os
import sys
import traceback
from pathlib import Path
from typing import BinaryIO

from segrt.runtime.deploy.device import activation, incoming, install, status, supervision
from segrt.runtime.deploy.device.failure import Failure
from segrt.runtime.deploy.device.folders import ServiceFolders
from segrt.runtime.deploy.device.journal import tell
from segrt.runtime.deploy.device.json_conversion import from_json, load_json, to_json
from segrt.runtime.deploy.device.kept_records import WatchOptions
from segrt.runtime.deploy.device.managers import detect
from segrt.runtime.deploy.device.plain_names import check_root, check_service, check_sha256
from segrt.runtime.deploy.device.protocol import (
    Answer,
    InstallRequest,
    ReceiveAnswer,
    ReceiveRequest,
    Request,
    RollbackRequest,
    StatusAnswer,
    StatusRequest,
)

_REQUESTS: dict[str, type[Request]] = {
    "status": StatusRequest,
    "receive": ReceiveRequest,
    "install": InstallRequest,
    "rollback": RollbackRequest,
}
_OTHER_TIME = "this is a segrt of another time"


def serve(source: BinaryIO, archive: Path, size: int) -> int:
    """Answer one request of the desk: `size` bytes of JSON at the head of `source`, for `receive` content behind it."""
    root = None
    try:
        request = _request(source.read(size))
        folders = _folders(request)
        root = folders.root
        _answer(folders, request, source, archive)
    except Failure as failure:
        tell(Answer("failed", str(failure), failure.details))
    except OSError as error:
        tell(Answer("failed", f"{error.filename or root}: {error.strerror} on the device"))
    except Exception as error:  # a line for the desk, and what stands behind it, instead of a silent end
        tell(Answer("failed", f"{type(error).__name__} on the device: {error}", traceback.format_exc()))
    return 0


def _request(text: bytes) -> Request:
    try:
        content = load_json(text)
        command = content["command"]
        kind = _REQUESTS[command]
    except KeyError:
        raise Failure(f"the device does not know {content.get('command')!r}; {_OTHER_TIME}") from None
    except (ValueError, TypeError):
        raise Failure(f"the desk's request is no JSON object; {_OTHER_TIME}") from None
    return from_json(kind, content, f"the desk's request {command!r}", _OTHER_TIME)


def _folders(request: Request) -> ServiceFolders:
    root = request.root
    check_root(root)
    if request.service is not None:
        check_service(request.service)
    if root == "auto":
        root = "/opt/segrt" if detect() == "systemd" else "~/segrt"
    path = os.path.abspath(os.path.expanduser(root))  # noqa: PTH100, PTH111 (its HOME, as a shell sees it)
    return ServiceFolders(Path(path), request.service or "segrt")


def _answer(folders: ServiceFolders, request: Request, source: BinaryIO, archive: Path) -> None:
    if isinstance(request, StatusRequest):
        tell(StatusAnswer("done", status=status.status(folders, request)))
    elif isinstance(request, ReceiveRequest):
        check_sha256(request.sha256)
        if not 0 <= request.offset <= request.size:
            raise Failure(f"a file of {request.size} bytes has no byte {request.offset}; {_OTHER_TIME}")
        incoming.receive(folders, request.sha256, request.size, request.offset, source)
        tell(ReceiveAnswer("done", arrived=incoming.bytes_here(folders, request.sha256)))
    elif isinstance(request, InstallRequest):
        install.install(folders, request, install.program_bytes(archive))
    elif isinstance(request, RollbackRequest):
        install.roll_back(folders, request, install.program_bytes(archive))


def main() -> int:
    """Serve the desk, or run a command by hand."""
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
    try:
        if given.service is not None:
            check_service(given.service)
    except Failure as failure:
        parser.error(str(failure))
    folders = ServiceFolders(given.root, given.service or "segrt")
    if given.command != "status" and (not given.service or not folders.folder.is_dir()):
        parser.error(f"give a service that is below {given.root}")
    try:
        return _by_hand(folders, given, archive)
    except Failure as failure:
        print(f"segrt-device: {failure}", file=sys.stderr)
        return 1


def _by_hand(folders: ServiceFolders, given: argparse.Namespace, archive: Path) -> int:
    if given.command == "status":
        request = StatusRequest(service=given.service, manager=given.manager)
        print(json.dumps(to_json(status.services(folders, request)), indent=1))
    elif given.command == "recover":
        back = activation.before_start(folders)
        if back:
            print(f"went back to {back}, for the release after it had not proved healthy, or was changed")
    elif given.command == "supervise":
        return supervision.supervise(folders)
    else:
        rollback = RollbackRequest(run="by-hand", manager=given.manager, options=WatchOptions(given.grace))
        install.roll_back(folders, rollback, install.program_bytes(archive))
    return 0
