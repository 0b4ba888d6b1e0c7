"""The supervisor on a device: no file stops it, and what it says is of the release that is asked about."""

import contextlib
import io
import json
import os
import signal
import stat
import zipfile
from pathlib import Path

import pytest
from supervised_service import add_release, has_results, health, supervised, wait_until, with_one_release

from segrt.runtime.deploy.device.folders import ServiceFolders, write_record
from segrt.runtime.deploy.device.history import add_to_history
from segrt.runtime.deploy.device.kept_records import DeploymentSummary, LogStart
from segrt.runtime.deploy.device.supervisor import Supervisor
from segrt.runtime.deploy.ssh import device_program

pytestmark = pytest.mark.timeout(60)


@pytest.fixture
def folders(tmp_path: Path) -> ServiceFolders:
    return with_one_release(tmp_path)


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


def test_a_supervisor_ends_as_before_when_it_is_told_to(folders: ServiceFolders) -> None:
    with supervised(folders) as process:
        wait_until(lambda: has_results(folders), "streaming")
        pid = health(folders)["pid"]
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
    assert not Path(f"/proc/{pid}").exists()
    assert not folders.notify.exists()
