"""Changing from one release to another, and back.

A switch is a trial until the service has proved healthy: trial.json is written before the link changes and removed
after. Whoever meets a trial that no living process watches (the service's start after a crash or power cut does, and
each deployment) takes it back. So at every moment, cut anywhere, `current` is a whole, verified release, and after a
start it is one that was healthy, if there ever was one.

A signed release is compared with what was signed before each start, and not started when it was changed.
"""

import time
from collections.abc import Callable
from contextlib import suppress

from segrt.runtime.deploy.device.durable_files import remove, set_link
from segrt.runtime.deploy.device.failure import Failure
from segrt.runtime.deploy.device.folders import ServiceFolders, read_record, write_record
from segrt.runtime.deploy.device.history import add_to_history
from segrt.runtime.deploy.device.journal import now
from segrt.runtime.deploy.device.kept_records import DeploymentSummary, Trial, WatchOptions
from segrt.runtime.deploy.device.manager import Manager
from segrt.runtime.deploy.device.recheck import why_changed

_MOST_RESTARTS = 2
_STEADY = 1.0
_STEP = 0.2


def before_start(folders: ServiceFolders) -> str | None:
    """Make sure that `current` may be started; return the release that it goes back to, if it has to.

    It goes back from a trial that nobody watches, and from a signed release that was changed. Raises Failure for one
    that was changed when there is no other.
    """
    back = recover(folders)
    current = folders.linked(folders.current)
    changed = why_changed(folders, current) if current else None
    if current is None or changed is None:
        return back
    with folders.locked() as held:
        before = folders.linked(folders.previous)
        if not held or before in (None, current) or why_changed(folders, str(before)):
            raise Failure(f"{current} is not started, for it is not what was signed: {changed}; deploy it again")
        set_link(folders.current, f"releases/{before}")
        _note_return(folders, current, before, f"it is not what was signed: {changed}")
        return before


def recover(folders: ServiceFolders) -> str | None:
    """Take back a trial that nobody watches; return the release that it goes back to."""
    if not folders.trial.exists():
        return None
    with folders.locked() as held:
        return take_back(folders) if held else None


def take_back(folders: ServiceFolders) -> str | None:
    """End a trial, for the holder of the lock: `current` is again what it was before, if there was anything."""
    try:
        trial = read_record(Trial, folders.trial)
    except Failure:  # a damaged file must not keep the service from starting
        trial = None
    back = trial.from_release if trial else None
    if back and folders.is_whole(back):
        set_link(folders.current, f"releases/{back}")
        _note_return(folders, trial.to if trial else None, back, "its trial was interrupted")
    else:
        back = None
    remove(folders.trial)
    return back


def switch(
    folders: ServiceFolders,
    manager: Manager,
    release: str,
    options: WatchOptions,
    step: Callable[[str], None],
) -> None:
    """Let `release` run, calling `step` with the name of each step.

    Raises Failure, with the old release running again, when the new one does not get healthy as `options` say.
    """
    before = folders.linked(folders.current)
    step("switch")
    write_record(folders.trial, Trial(release, before))
    set_link(folders.current, f"releases/{release}")
    try:
        old = start(folders, manager, release)
        if _streams(folders, release):
            step("watch")
            watch(manager, options, old)
    except Failure as failure:
        step("back")
        _back(folders, manager, before, failure)
        raise
    remove(folders.trial)
    if before and before != release:
        set_link(folders.previous, f"releases/{before}")


def start(folders: ServiceFolders, manager: Manager, release: str) -> int:
    """Start the service of a release that `current` points to, if it has one; return the old one's process id, or 0."""
    old = manager.health().pid
    if not _streams(folders, release):
        manager.stop()
        return old
    unit = folders.releases / release / "service.unit"
    manager.install(unit.read_text(errors="replace") if unit.is_file() else None)
    manager.restart()
    return old


def watch(manager: Manager, options: WatchOptions, old: int) -> None:
    """Return when the service is healthy: ready, with results if `options` ask for them, and still so a second later.

    `old` is the id of the process that is to end; what it says does not count. Raises Failure when the grace is over.
    """
    grace = options.grace
    deadline = time.monotonic() + grace
    healthy_since: float | None = None
    while True:
        health = manager.health()
        if health.restarts >= _MOST_RESTARTS:
            raise Failure(f"the service ended {health.restarts} times: {manager.last_words() or health.text}")
        if health.running and health.ready and health.pid != old and (health.results or not options.needs_results):
            healthy_since = healthy_since or time.monotonic()
            if time.monotonic() - healthy_since >= min(_STEADY, grace / 10):
                return
        else:
            healthy_since = None
        if time.monotonic() > deadline:
            lacking = "without a result" if health.running and health.ready else "not ready"
            words = manager.last_words()
            said = f"{lacking}; it says {health.text!r}" + (f", and wrote: {words}" if words else "")
            raise Failure(f"the service was not healthy within {grace:g} s: {said}")
        time.sleep(_STEP)


def _note_return(folders: ServiceFolders, left: str | None, to: str | None, why: str) -> None:
    """Record that the device went back by itself; a full disk is no reason not to."""
    with suppress(OSError):
        add_to_history(
            folders, DeploymentSummary("", "return", to, left, started=now(), ended=now(), result="done", why=why)
        )


def _back(folders: ServiceFolders, manager: Manager, before: str | None, failure: Failure) -> None:
    if before is None:
        manager.stop()
        remove(folders.current)
        remove(folders.trial)
        return
    set_link(folders.current, f"releases/{before}")
    try:
        start(folders, manager, before)
    except Failure as second:
        failure.args = (f"{failure}; and the release before did not start: {second}",)
    remove(folders.trial)


def _streams(folders: ServiceFolders, release: str) -> bool:
    record = folders.record_of(release)
    return record is not None and record.stream is not None
