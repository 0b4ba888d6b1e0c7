"""What runs on the device, taken apart: whole files, switches cut anywhere, words passed on."""

import ast
import hashlib
import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from segrt.runtime.deploy.device import activation, durable_files, incoming
from segrt.runtime.deploy.device.failure import Failure
from segrt.runtime.deploy.device.folders import ServiceFolders, write_record
from segrt.runtime.deploy.device.kept_records import Health, InstallOptions, ReleaseRecord, Trial, WatchOptions
from segrt.runtime.deploy.device.program_output import shorten
from segrt.runtime.deploy.device.run_script import run_script
from segrt.runtime.deploy.ssh import device_program

ROOM = Path(durable_files.__file__).parent


@pytest.fixture
def folders(tmp_path: Path) -> ServiceFolders:
    made = ServiceFolders(tmp_path / "segrt", "cam")
    made.make()
    return made


def add_release(folders: ServiceFolders, name: str, stream: list[str] | None = None) -> None:
    (folders.releases / name).mkdir()
    write_record(folders.releases / name / "release.json", ReleaseRecord(name, "0", stream=tuple(stream or ["x"])))


@pytest.mark.parametrize("path", sorted(ROOM.glob("*.py")), ids=lambda path: path.name)
def test_the_device_needs_nothing_but_python(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text(), feature_version=(3, 10))):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        for name in names:
            assert name.split(".")[0] in sys.stdlib_module_names or name.startswith("segrt.runtime.deploy.device")


def test_the_program_runs_alone_and_is_the_same_each_time(tmp_path: Path) -> None:
    program = device_program()
    device_program.cache_clear()
    assert device_program() == program
    (tmp_path / "segrt-device").write_bytes(b"#!/usr/bin/env python3\n" + program)
    done = subprocess.run(
        [sys.executable, "-I", str(tmp_path / "segrt-device"), "status"], capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout) == []


# -- files --------------------------------------------------------------------------------------------------------


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What reached the file system, in order: fsync of a file or folder, and renames."""
    seen: list[str] = []
    fsync, replace = os.fsync, os.replace

    def noted_fsync(handle: int) -> None:
        path = Path(f"/proc/self/fd/{handle}").readlink()
        seen.append(f"fsync {'folder' if path.is_dir() else 'file'}")
        fsync(handle)

    def noted_replace(path: Path, to: Path) -> None:
        seen.append("rename")
        replace(path, to)

    monkeypatch.setattr("os.fsync", noted_fsync)
    monkeypatch.setattr("os.replace", noted_replace)
    return seen


def test_a_file_is_on_the_disk_before_it_has_its_name(tmp_path: Path, calls: list[str]) -> None:
    durable_files.write_file(tmp_path / "file", b"new")
    assert calls == ["fsync file", "rename", "fsync folder"]
    assert (tmp_path / "file").read_bytes() == b"new"
    calls.clear()
    durable_files.set_link(tmp_path / "link", "file")
    durable_files.set_link(tmp_path / "link", "other")
    assert calls == ["rename", "fsync folder"] * 2
    assert str((tmp_path / "link").readlink()) == "other"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "link"]


def test_what_arrives_is_flushed_checked_and_only_then_whole(folders: ServiceFolders, calls: list[str]) -> None:
    data = bytes(range(256)) * 100
    sha256 = hashlib.sha256(data).hexdigest()
    assert incoming.bytes_here(folders, sha256) == 0
    incoming.receive(folders, sha256, len(data), 0, io.BytesIO(data[:1000]))
    assert incoming.bytes_here(folders, sha256) == 1000, "what came before the cut is kept"
    assert "fsync file" in calls
    incoming.receive(folders, sha256, len(data), 1000, io.BytesIO(data[1000:]))
    assert incoming.bytes_here(folders, sha256) is None
    with pytest.raises(Failure, match="changed in transit: what arrived has another SHA-256"):
        incoming.receive(folders, "0" * 64, len(data), 0, io.BytesIO(data))
    assert incoming.bytes_here(folders, "0" * 64) == 0, "what is wrong is not gone on with"
    with pytest.raises(Failure, match=r"disk full: .* has \d+ MB free, but needs \d+ MB; make room"):
        incoming.need_space(folders.root, 1 << 60)


# -- switching ----------------------------------------------------------------------------------------------------


class PowerCut(BaseException):
    """Ends the program at a change of the file system."""


@contextmanager
def cut_after(changes: int) -> Iterator[list[int]]:
    """Raise PowerCut instead of the change after so many; yields a list whose length is how many there were."""
    names = ("replace", "rename", "unlink", "symlink", "fsync", "open")
    before, made = {name: getattr(os, name) for name in names}, []

    def guarded(name: str):
        def change(*arguments, **named):
            if name == "open" and not (arguments[1] & os.O_CREAT):
                return before[name](*arguments, **named)
            if len(made) == changes:
                raise PowerCut
            made.append(1)
            return before[name](*arguments, **named)

        return change

    try:
        for name in names:
            setattr(os, name, guarded(name))
        yield made
    finally:
        for name, function in before.items():
            setattr(os, name, function)


class Fake:
    """A service manager whose service is as told."""

    def __init__(self, health: Health) -> None:
        self.told, self.calls = health, []

    def install(self, unit: str | None) -> None:
        """Note it."""
        self.calls.append(("install", unit))

    def restart(self) -> None:
        """Start a new process."""
        self.calls.append("restart")
        self.told = replace(self.told, pid=self.told.pid + 1)

    def stop(self) -> None:
        """Note it."""
        self.calls.append("stop")

    def health(self) -> Health:
        """Say what was told."""
        return self.told

    def last_words(self) -> str:
        """Say something."""
        return "said"


WELL = Health(running=True, ready=True, results=5, pid=1)
ILL = Health(running=True, ready=True, results=0, pid=1)


def switched(folders: ServiceFolders, to: str, health: Health = WELL) -> Fake:
    manager = Fake(health)
    activation.switch(folders, manager, to, WatchOptions(0.01, "frames"), step=lambda _: None)
    return manager


@pytest.mark.parametrize("health", [WELL, ILL], ids=["healthy", "ill"])
def test_a_switch_cut_at_any_change_leaves_a_release_that_was_healthy(folders: ServiceFolders, health: Health) -> None:
    for name in ("one", "two"):
        add_release(folders, name)
    switched(folders, "one")
    changes, done = 0, False
    while not done:
        assert folders.linked(folders.current) == "one"
        with cut_after(changes) as made:
            try:
                switched(folders, "two", health)
                done = True
            except Failure:
                done = True
            except PowerCut:
                pass
        finished = not folders.trial.exists() and folders.linked(folders.current) == "two"
        activation.recover(folders)  # what the start of the service does
        assert not folders.trial.exists()
        now = folders.linked(folders.current)
        assert now == ("two" if finished else "one")
        assert finished <= (health is WELL), "a release that was not healthy was kept"
        if finished and not done:
            switched(folders, "one")
        durable_files.sweep(folders.folder)
        changes += 1
    assert len(made) == changes - 1 > 5
    assert folders.linked(folders.current) == ("two" if health is WELL else "one")


def test_an_old_process_does_not_speak_for_the_new_release(folders: ServiceFolders) -> None:
    for name in ("one", "two"):
        add_release(folders, name)
    switched(folders, "one")
    manager = Fake(WELL)
    manager.restart = lambda: None  # type: ignore[method-assign]  # the old one goes on
    with pytest.raises(Failure, match="not healthy within"):
        activation.switch(folders, manager, "two", WatchOptions(0.01, "frames"), step=lambda _: None)
    assert folders.linked(folders.current) == "one"


def test_a_first_release_on_trial_stays_when_there_is_nothing_to_go_back_to(folders: ServiceFolders) -> None:
    add_release(folders, "one")
    durable_files.set_link(folders.current, "releases/one")
    write_record(folders.trial, Trial("one", None))
    assert activation.recover(folders) is None
    assert folders.linked(folders.current) == "one"
    assert not folders.trial.exists()


# -- words --------------------------------------------------------------------------------------------------------


def test_the_script_of_a_release_passes_words_on_as_they_were_given(folders: ServiceFolders, tmp_path: Path) -> None:
    words = ["${CAMERA}", "", "a b", "$HOME", "`id`", 'say "hi"', "back\\slash", "it's", "x${N}y", "${", "-"]
    release = tmp_path / "release"
    (release / "env/bin").mkdir(parents=True)
    (release / "env/bin/segrt").write_text('#!/bin/sh\nprintf "%s\\n" "$SEGRT_CACHE" "$@"\n')
    (release / "env/bin/segrt").chmod(0o755)
    options = InstallOptions(backend="onnxruntime", precision=None)
    (release / "run").write_text(run_script(folders, words, options))
    environment = {"CAMERA": "rtsp://u:p@h/a", "N": "1", "PATH": os.environ["PATH"]}
    done = subprocess.run(["sh", release / "run"], capture_output=True, text=True, check=True, env=environment)
    cache, *said = done.stdout.splitlines()
    assert cache == str(folders.cache)
    assert said == ["stream", str(release / "bundle"), *words, "--backend", "onnxruntime"]


def test_the_last_error_counts_of_what_a_program_wrote() -> None:
    assert shorten("segrt: error: first\nsegrt: error: last\nmore\n") == "segrt: error: last"
    assert shorten("one\ntwo\n\nthree\n") == "two | three"
    assert shorten("") == ""
