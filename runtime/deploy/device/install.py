"""A deployment on the device, from the files that arrived to a service that is healthy; and the way back."""

import os
import signal
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from segrt.runtime.deploy.device import activation, environments, release, trust
from segrt.runtime.deploy.device.durable_files import remove_tree, sweep, write_file
from segrt.runtime.deploy.device.failure import Failure
from segrt.runtime.deploy.device.folders import ServiceFolders, locked_file, read_record
from segrt.runtime.deploy.device.journal import Journal, answer_of, tell
from segrt.runtime.deploy.device.kept_records import DeploymentRecord
from segrt.runtime.deploy.device.manager import Manager
from segrt.runtime.deploy.device.managers import choose
from segrt.runtime.deploy.device.protocol import InstallRequest, RollbackRequest, Step
from segrt.runtime.deploy.device.recheck import why_changed
from segrt.runtime.deploy.device.variables import check_variables

_BUSY_TRIES = 20
_LOOK_EVERY = 0.3


def install(folders: ServiceFolders, request: InstallRequest, program: bytes) -> None:
    """Do what `request` asks for, telling each step.

    When a process does it already, for a connection that was lost, tell what that one does. `program` is kept on the
    device as `segrt-device`.
    """
    _outlive_the_connection()
    folders.make()
    if not _with_locks(folders, lambda: _install(folders, request, program), request.run):
        _follow(folders, request.run)


def _with_locks(folders: ServiceFolders, work: Callable[[], None], run: str | None = None) -> bool:
    """Do `work` with the locks held; return False when another process does it for the same `run`."""
    for _ in range(_BUSY_TRIES):  # a request for the status holds a lock for an instant
        with locked_file(folders.root / "lock") as first, folders.locked() as held:
            if first and held:
                work()
                return True
        if run is not None:
            record = read_record(DeploymentRecord, folders.deployment)
            if record is not None and record.run == run:
                return False
        time.sleep(0.1)
    raise Failure("another deployment is at work on this device; wait for it, see `segrt deploy --status`")


def _install(folders: ServiceFolders, request: InstallRequest, program: bytes) -> None:
    last = read_record(DeploymentRecord, folders.deployment)
    if last and last.run == request.run and last.ended and request.again:
        tell(answer_of(last))  # it ended while the desk was not listening
        return
    write_file(folders.root / "segrt-device", program, 0o755)
    manager = choose(folders, request.manager)
    journal = Journal(folders, request.run, "install")
    try:
        _take_back_interrupted(folders, manager, journal)
        admission = trust.admit(folders, request, journal.note)
        check_variables(folders, journal.note)
        result = _make_and_switch(folders, manager, request, journal, admission)
    except Failure as failure:
        _sweep(folders)
        journal.end("failed", str(failure), failure.details)
    except OSError as error:
        _sweep(folders)
        journal.end(
            "failed", f"{error.filename or folders.root}: {error.strerror} on the device; mend it and run again"
        )
    else:
        _prune(folders, request.options.keep)
        journal.end(result)


def _make_and_switch(
    folders: ServiceFolders,
    manager: Manager,
    request: InstallRequest,
    journal: Journal,
    admission: trust.Admission | None,
) -> str:
    """Return "done", or "unchanged" when the release that is asked for runs already."""
    if admission:
        request = trust.admitted_request(request, admission.index)
    current = folders.linked(folders.current)
    if request.stream is None and current:
        running = folders.record_of(current)
        request = replace(request, stream=running.stream if running else None)
    wanted = _free_or_unchanged(folders, release.release_id(request, admission))
    journal.set_release(wanted)
    if not folders.is_whole(wanted):
        release.make(folders, wanted, request, journal, admission)
    health = manager.health()
    if wanted == current and (request.stream is None or (health.running and health.ready)):
        return "unchanged"
    activation.switch(folders, manager, wanted, request.options.watch, journal.step)
    if admission:
        trust.note_passed(folders, admission)
    return "done"


def _free_or_unchanged(folders: ServiceFolders, wanted: str) -> str:
    """Return the name of a release that is as it was signed, or that is not there: one that was changed stays aside."""
    name, number = wanted, 1
    while folders.is_whole(name) and why_changed(folders, name):
        number += 1
        name = f"{wanted}-{number}"
    return name


def roll_back(folders: ServiceFolders, request: RollbackRequest, program: bytes) -> None:
    """Change to the release before the current one and watch it; raise Failure where there is no such service."""
    _outlive_the_connection()
    if not folders.folder.is_dir():
        raise Failure(f"has no service {folders.service!r} below {folders.root}; see `segrt deploy --status`")
    _with_locks(folders, lambda: _roll_back(folders, request, program))


def _roll_back(folders: ServiceFolders, request: RollbackRequest, program: bytes) -> None:
    write_file(folders.root / "segrt-device", program, 0o755)
    manager = choose(folders, request.manager)
    journal = Journal(folders, request.run, "rollback")
    try:
        _take_back_interrupted(folders, manager, journal)
        before, current = folders.linked(folders.previous), folders.linked(folders.current)
        if before is None or before == current:
            raise Failure(f"has no release before {current or 'the first'} to go back to")
        journal.set_release(before)
        activation.switch(folders, manager, before, request.options, journal.step)
    except Failure as failure:
        journal.end("failed", str(failure), failure.details)
    except OSError as error:
        journal.end(
            "failed", f"{error.filename or folders.root}: {error.strerror} on the device; mend it and run again"
        )
    else:
        journal.end("done")


def _take_back_interrupted(folders: ServiceFolders, manager: Manager, journal: Journal) -> None:
    """Go back from a release that an interrupted deployment was trying, and remove what it left half done."""
    if folders.trial.exists():
        back = activation.take_back(folders)
        journal.note(
            "an earlier deployment was interrupted while it was watched" + (f": back to {back}" if back else "")
        )
        if back:
            activation.start(folders, manager, back)
    _sweep(folders)


def _sweep(folders: ServiceFolders) -> None:
    for folder in (folders.releases, folders.environments, folders.folder, folders.root):
        sweep(folder)


def _prune(folders: ServiceFolders, keep: int) -> None:
    """Remove old releases, the files that arrived, and environments that nothing uses."""
    kept = {folders.linked(folders.current), folders.linked(folders.previous)}
    newest_first = sorted(folders.releases.glob("*/release.json"), key=lambda path: path.stat().st_mtime, reverse=True)
    for path in newest_first[keep:]:
        if path.parent.name not in kept:
            remove_tree(path.parent)
    for path in folders.incoming.iterdir():
        path.unlink(missing_ok=True)
    environments.remove_unused(folders)


def _follow(folders: ServiceFolders, run: str) -> None:
    """Tell what another process does for the same run until it ends."""
    last = None
    while True:
        record = read_record(DeploymentRecord, folders.deployment)
        if record is None or record.run != run:
            raise Failure("another deployment took this one's place; see `segrt deploy --status`")
        if record.step is not None and record.step != last:
            last = record.step
            tell(Step(last))
        if record.ended:
            tell(answer_of(record))
            return
        with folders.locked() as free:
            if free and not _has_ended(folders):
                raise Failure(f"the deployment was interrupted in step {last}; run with --resume")
        time.sleep(_LOOK_EVERY)


def _has_ended(folders: ServiceFolders) -> bool:
    record = read_record(DeploymentRecord, folders.deployment)
    return record is not None and record.ended is not None


def _outlive_the_connection() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    if os.getpid() != os.getsid(0) and os.getpgrp() != os.getpid():
        os.setsid()


def program_bytes(archive: Path) -> bytes:
    """Return this program as a file that can be called; -I keeps the caller's own modules out of it."""
    data = archive.read_bytes()
    return data if data.startswith(b"#!") else b"#!/usr/bin/env -S python3 -I\n" + data
