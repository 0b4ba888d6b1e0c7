"""The supervisor on a device: no file stops it, nobody else speaks for its service, no other user reads its log."""

import contextlib
import io
import json
import os
import signal
import socket
import stat
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from segrt.runtime.deploy.device.failure import Failure
from segrt.runtime.deploy.device.folders import ServiceFolders, write_record
from segrt.runtime.deploy.device.history import add_to_history
from segrt.runtime.deploy.device.kept_records import DeploymentSummary, LogStart, ReleaseRecord
from segrt.runtime.deploy.device.notify_socket import NotifySocket
from segrt.runtime.deploy.device.supervisor import Supervisor
from segrt.runtime.deploy.device.variables import check_variables, read_variables
from segrt.runtime.deploy.ssh import device_program

pytestmark = pytest.mark.timeout(60)
NOBODY = 65534
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to be another user")

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


@pytest.fixture
def folders(tmp_path: Path) -> ServiceFolders:
    made = ServiceFolders(tmp_path / "segrt", "cam")
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


# -- the environment file -------------------------------------------------------------------------------------------


def test_a_line_that_cannot_be_read_is_named_and_the_others_count(tmp_path: Path) -> None:
    path = tmp_path / "environment"
    path.write_bytes(b"A=1\nCAMERA=caf\xe9\n# comment\nB='two words'\nC=x\0y\nnot a variable\nD=\n")
    variables, troubles = read_variables(path)
    assert variables == {"A": "1", "B": "two words", "D": ""}
    assert troubles == [
        f"{path}:2: byte 11 of it (0xe9) is no UTF-8; mend the line",
        f"{path}:5: holds a NUL byte; mend the line",
    ]
    assert read_variables(tmp_path / "absent") == ({}, [])


def test_a_file_that_is_none_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "folder").mkdir()
    (tmp_path / "large").write_bytes(b"A=" + bytes(2 << 20))
    for name, why in (("fifo", "is no regular file"), ("folder", "is no regular file"), ("large", "more than")):
        variables, (trouble,) = read_variables(tmp_path / name)
        assert variables == {}
        assert why in trouble


@pytest.mark.parametrize("bad", [b"CAMERA=caf\xe9", b"X=a\0b"], ids=["not UTF-8", "NUL"])
def test_a_bad_byte_in_the_environment_does_not_stop_the_supervisor(folders: ServiceFolders, bad: bytes) -> None:
    folders.variables.write_bytes(b"CAMERA=first\n" + bad + b"\n")
    with supervised(folders) as process:
        wait_until(lambda: has_results(folders), "streaming")
        assert process.poll() is None
    assert "environment:2: " in (folders.folder / "supervisor.log").read_text()
    log = folders.log.read_text()
    assert "environment:2: " in log
    assert "own words of one: first" in log


def test_a_deployment_with_such_a_line_ends_before_anything_is_switched(fleet, deploy, make_pack) -> None:
    camera = fleet.add("cam1")
    stream = ("--stream", "street://?seed=1 --sink null")
    assert deploy(make_pack("cam-1"), "cam1", *stream).code == 0
    pid = camera.health()["pid"]
    (camera.service / "environment").write_bytes(b"CAMERA=caf\xe9\n")
    done = deploy(make_pack("cam-2"), "cam1")
    (line,) = done.errors()
    assert line == f"cam1: {camera.service}/environment:1: byte 11 of it (0xe9) is no UTF-8; mend the line"
    assert (camera.current, camera.health()["pid"]) == ("cam-1", pid), "the old release was touched"


def test_the_environment_is_closed_to_others(folders: ServiceFolders) -> None:
    notes: list[str] = []
    check_variables(folders, notes.append)
    assert notes == [], "a device without the file is as well"
    folders.variables.write_text("CAMERA=rtsp://user:secret@h/a\n")
    folders.variables.chmod(0o644)
    check_variables(folders, notes.append)
    assert stat.S_IMODE(folders.variables.stat().st_mode) == 0o600
    assert notes == [f"{folders.variables} could be read by others (mode 0644); its mode is 0600 now"]
    check_variables(folders, notes.append)
    assert len(notes) == 1
    folders.variables.write_bytes(b"\xff")
    with pytest.raises(Failure, match=r"environment:1: byte 1 of it \(0xff\) is no UTF-8; mend the line"):
        check_variables(folders, notes.append)


# -- other files ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content", [b"\xff\xfe", b"[" * 100_000, b'{"to": 1}', b""], ids=["bytes", "deep", "type", "empty"]
)
def test_a_damaged_trial_does_not_stop_the_supervisor(folders: ServiceFolders, content: bytes) -> None:
    folders.trial.write_bytes(content)
    with supervised(folders) as process:
        wait_until(lambda: has_results(folders), "streaming")
        assert process.poll() is None
    assert not folders.trial.exists()


def test_a_pipe_in_the_place_of_a_file_is_not_waited_for(folders: ServiceFolders) -> None:
    os.mkfifo(folders.trial)
    os.mkfifo(folders.variables)
    with supervised(folders) as process:
        wait_until(lambda: has_results(folders), "streaming")
        assert process.poll() is None


def test_a_restart_runs_the_program_that_lies_there_by_then(folders: ServiceFolders) -> None:
    program = folders.root / "segrt-device"
    (folders.releases / "one/run").write_text(
        (folders.releases / "one/run").read_text().replace("print(", 'open("picture", "w").close()\nprint(')
    )
    with supervised(folders) as process:
        wait_until(lambda: has_results(folders), "streaming")
        assert stat.S_IMODE((folders.work / "picture").stat().st_mode) == 0o640
        first = health(folders)["pid"]
        program.unlink()
        with zipfile.ZipFile(program, "w") as new, zipfile.ZipFile(io.BytesIO(device_program())) as old:
            for name in old.namelist():
                added = b"print('the new program', flush=True)\n" if name == "__main__.py" else b""
                new.writestr(name, added + old.read(name))
        process.send_signal(signal.SIGHUP)
        process.send_signal(signal.SIGHUP)
        wait_until(lambda: health(folders).get("pid") not in (first, 0) and has_results(folders), "started anew")
        assert process.poll() is None
        assert folders.supervisor_lock.read_text() == str(process.pid)
    assert "the new program" in (folders.folder / "supervisor.log").read_text()
    assert not Path(f"/proc/{first}").exists()


def test_a_torn_line_of_the_history_loses_that_line_alone(folders: ServiceFolders) -> None:
    add_to_history(folders, DeploymentSummary("1", result="done"))
    with folders.history.open("ab") as file:
        file.write(b'{"run": "2", "what": "inst')  # the power failed
    add_to_history(folders, DeploymentSummary("3", result="done"))
    add_to_history(folders, DeploymentSummary("4", result="failed", why="a\nb \udcff"))
    whole = []
    for line in folders.history.read_bytes().splitlines():
        with contextlib.suppress(ValueError):
            whole.append(json.loads(line)["run"])
    assert whole == ["1", "3", "4"]


def test_last_words_are_those_of_the_release_that_is_asked_about(folders: ServiceFolders) -> None:
    manager = Supervisor(folders)
    folders.log.write_text("segrt: error: old words\n")
    assert manager.last_words() == "", "nothing was started yet"
    write_record(folders.log_start, LogStart("one", folders.log.stat().st_size))
    assert manager.last_words() == ""
    with folders.log.open("a") as file:
        file.write("new words\n")
    assert manager.last_words() == "new words"
    add_release(folders, "two")
    folders.current.unlink()
    folders.current.symlink_to("releases/two")
    assert manager.last_words() == "", "the words of one were taken for those of two"


def test_a_failure_quotes_its_own_release(fleet, deploy, make_pack) -> None:
    camera = fleet.add("cam1")
    stream = ("--stream", "street://?seed=1 --sink null")
    assert deploy(make_pack("cam-1"), "cam1", *stream).code == 0
    with (camera.service / "log").open("a") as log:
        log.write("segrt: error: words of long ago\n")
    done = deploy(make_pack("silent-2"), "cam1", grace="1s")
    (line,) = done.errors()
    assert "words of long ago" not in line
    assert "not healthy within 1 s" in line
    assert 'and wrote: segrt: words: ["street://?seed=1", "--sink", "null"]' in line


# -- other users ----------------------------------------------------------------------------------------------------


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


def test_a_supervisor_ends_as_before_when_it_is_told_to(folders: ServiceFolders) -> None:
    with supervised(folders) as process:
        wait_until(lambda: has_results(folders), "streaming")
        pid = health(folders)["pid"]
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
    assert not Path(f"/proc/{pid}").exists()
    assert not folders.notify.exists()
