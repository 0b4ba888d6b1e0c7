"""A service under systemd is started, watched and quoted by the right commands."""

import os
from pathlib import Path

import pytest

from segrt.runtime.deploy.device import managers
from segrt.runtime.deploy.device.failure import Failure
from segrt.runtime.deploy.device.folders import ServiceFolders
from segrt.runtime.deploy.device.kept_records import Health
from segrt.runtime.deploy.device.systemd import Systemd


@pytest.fixture
def folders(tmp_path: Path) -> ServiceFolders:
    made = ServiceFolders(tmp_path / "segrt", "cam")
    made.make()
    return made


@pytest.fixture
def systemctl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A systemctl that notes how it is called and says what is in `says`."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("systemctl", "journalctl", "loginctl"):
        (folder / name).write_text(
            f'#!/bin/sh\necho "{name} $*" >>{tmp_path}/called\ncat {tmp_path}/says-{name} 2>/dev/null || true\n'
        )
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    return tmp_path


def test_the_users_systemd_is_asked_for_start_health_and_words(folders: ServiceFolders, systemctl: Path) -> None:
    manager = Systemd(folders, user=True)
    manager.install("[Unit]\n")
    manager.restart()
    unit = systemctl / "home/.config/systemd/user/cam.service"
    assert unit.read_text() == "[Unit]\n"
    (systemctl / "says-systemctl").write_text(
        "ActiveState=active\nSubState=running\nMainPID=42\nNRestarts=1\nStatusText=17 results; not live: a\n"
    )
    (systemctl / "says-journalctl").write_text("noise\nsegrt: error: no camera\n")
    assert manager.health() == Health(True, True, 1, 17, "17 results; not live: a", 42)
    assert manager.last_words() == "segrt: error: no camera"
    (systemctl / "says-systemctl").write_text("ActiveState=activating\nSubState=start\nMainPID=42\nStatusText=\n")
    assert manager.health() == Health(True, False, 0, None, "activating (start)", 42)
    (systemctl / "says-systemctl").write_text("ActiveState=failed\nSubState=failed\nMainPID=0\nStatusText=\n")
    assert manager.health() == Health(False, False, 0, None, "failed (failed)", 0)
    manager.stop()
    manager.install(None)
    assert not unit.exists()
    called = (systemctl / "called").read_text().splitlines()
    assert called[:4] == [
        "loginctl enable-linger", "systemctl --user daemon-reload", "systemctl --user enable cam.service",
        "systemctl --user show cam.service --property=InvocationID",
    ]  # fmt: skip
    assert "systemctl --user restart --no-block cam.service" in called
    assert "systemctl --user disable --now cam.service" in called


def test_last_words_are_those_of_the_starts_since_the_last_restart(folders: ServiceFolders, systemctl: Path) -> None:
    manager = Systemd(folders, user=True)
    says = systemctl / "says-systemctl"
    says.write_text("InvocationID=old\n")
    manager.restart()
    (systemctl / "says-journalctl").write_text("segrt: error: words of the new one\n")
    manager.health()
    assert manager.last_words() == "", "the old one has not even ended"
    for name in ("new", "newer"):
        says.write_text(f"InvocationID={name}\nActiveState=active\n")
        manager.health()
    assert manager.last_words() == "segrt: error: words of the new one"
    called = (systemctl / "called").read_text().splitlines()[-1]
    assert called.startswith(
        "journalctl --user _SYSTEMD_INVOCATION_ID=new _SYSTEMD_INVOCATION_ID=newer -n 10",
    )


def test_a_systemctl_that_refuses_is_quoted(folders: ServiceFolders, systemctl: Path) -> None:
    (systemctl / "bin/systemctl").write_text("#!/bin/sh\necho 'Failed to connect to bus' >&2\nexit 1\n")
    with pytest.raises(Failure, match="systemctl --user daemon-reload: Failed to connect to bus"):
        Systemd(folders, user=True).install("[Unit]\n")
    with pytest.raises(Failure, match="must be auto or one of systemd, systemd-user, supervisor, but got 'upstart'"):
        managers.choose(folders, "upstart")
