"""Other users of a device: none speaks for the service, none reads its log, history, environment or credentials."""

import os
import socket
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest
from supervised_service import has_results, health, supervised, wait_until, with_one_release

from segrt.runtime.deploy.device.folders import ServiceFolders
from segrt.runtime.deploy.device.history import add_to_history
from segrt.runtime.deploy.device.kept_records import DeploymentSummary
from segrt.runtime.deploy.device.notify_socket import NotifySocket
from segrt.runtime.deploy.device.variables import check_variables

pytestmark = pytest.mark.timeout(60)
NOBODY = 65534
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to be another user")


@pytest.fixture
def folders(tmp_path: Path) -> ServiceFolders:
    return with_one_release(tmp_path)


def as_nobody(program: str, *arguments: object) -> "subprocess.CompletedProcess[str]":
    """Run a Python program as another user of the device."""
    return subprocess.run(
        ["/usr/bin/env", "python3", "-I", "-c", program, *map(str, arguments)],
        capture_output=True, text=True, timeout=20, check=False, cwd="/", preexec_fn=become_nobody,
    )  # fmt: skip


def become_nobody() -> None:
    os.setgroups([])
    os.setgid(NOBODY)
    os.setuid(NOBODY)


def open_to_all(path: Path) -> None:
    """Let other users walk to `path`, as they can to /opt or a home."""
    for folder in (path, *path.parents):
        if folder.stat().st_mode & 0o055 != 0o055 and folder.stat().st_uid == os.geteuid():
            folder.chmod(folder.stat().st_mode | 0o055)


@needs_root
def test_another_user_reads_neither_log_nor_history_nor_environment_and_speaks_for_nobody(
    folders: ServiceFolders,
) -> None:
    open_to_all(folders.folder)
    folders.variables.write_text("CAMERA=rtsp://user:secret@h/a\n")
    check_variables(folders, lambda _: None)
    add_to_history(folders, DeploymentSummary("1"))
    with supervised(folders):
        wait_until(lambda: has_results(folders), "streaming")
        pid = health(folders)["pid"]
        address = (Path(f"/proc/{pid}/environ").read_bytes().split(b"NOTIFY_SOCKET=")[1]).split(b"\0")[0].decode()
        for path in (folders.log, folders.history, folders.variables):
            done = as_nobody("import sys; open(sys.argv[1]).read()", path)
            assert "PermissionError" in done.stderr, path
        send = (
            "import socket, sys\ns = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)\n"
            "s.sendto(b'STATUS=666666 results', sys.argv[1].replace('@', chr(0), 1))"
        )
        done = as_nobody(send, address)
        assert "PermissionError" in done.stderr, "another user can write to the socket"
        subprocess.run([sys.executable, "-I", "-c", send, address], check=True)  # of the same user, but not the service
        time.sleep(0.5)
        assert 0 < health(folders)["results"] < 600
    assert stat.S_IMODE(folders.log.stat().st_mode) == 0o640
    assert stat.S_IMODE(folders.history.stat().st_mode) == 0o640


@needs_root
def test_another_user_finds_no_credentials_among_the_arguments(fleet, deploy, make_pack) -> None:
    camera = fleet.add("cam1")
    camera.service.mkdir(parents=True)
    (camera.service / "environment").write_text("CAMERA=rtsp://user:sesame@10.0.0.7/a\n")
    done = deploy(make_pack("cam-1"), "cam1", "--stream", "${CAMERA} --sink null")
    assert done.code == 0, done
    assert "could be read by others (mode 0644)" in " ".join(done.out.split())
    pid = camera.health()["pid"]
    read = "import sys; print(open(f'/proc/{sys.argv[1]}/cmdline').read())"
    assert "${CAMERA}" in as_nobody(read, pid).stdout
    found = [
        path
        for path in Path("/proc").glob("[0-9]*/cmdline")
        if b"sesame" in (path.read_bytes() if path.exists() else b"")
    ]
    assert found == []
    assert b"sesame" in Path(f"/proc/{pid}/environ").read_bytes(), "the service has it"


def test_only_the_one_process_is_listened_to(tmp_path: Path) -> None:
    for path in (tmp_path / "notify", tmp_path / ("long" * 40) / "notify"):
        path.parent.mkdir(exist_ok=True)
        listener = NotifySocket(path)
        assert stat.S_IMODE(Path(listener.address).stat().st_mode) == 0o600
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as own:
            own.sendto(b"READY=1", listener.address)
            assert listener.lines() == [], "nobody is listened to yet"
            listener.listen_to(os.getpid())
            own.sendto(b"READY=1\nSTATUS=1 results", listener.address)
            assert listener.lines() == ["READY=1", "STATUS=1 results"]
        listener.close()
        assert not os.path.lexists(listener.address)
