"""The environment file of a device: a line that cannot be read is named, the others count, and nobody else reads it."""

import os
import stat
from pathlib import Path

import pytest
from supervised_service import has_results, supervised, wait_until, with_one_release

from segrt.runtime.deploy.device.failure import Failure
from segrt.runtime.deploy.device.folders import ServiceFolders
from segrt.runtime.deploy.device.variables import check_variables, read_variables

pytestmark = pytest.mark.timeout(60)


@pytest.fixture
def folders(tmp_path: Path) -> ServiceFolders:
    return with_one_release(tmp_path)


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
