"""Changing from one release to another, and back.

A switch is a trial until the service has proved healthy: trial.json is written before the link changes and removed
after. Whoever meets a trial that no living process watches (the service's start after a crash or power cut does, and
each deployment) takes it back. So at every moment, cut anywhere, `current` is a whole, verified release, and after a
start it is one that was healthy, if there ever was one.
"""

import time
from collections.abc import Callable

from segrt.runtime.deploy.device.durable_files import remove, set_link
from segrt.runtime.deploy.device.failure import Failure
from segrt.runtime.deploy.device.folders import Place, read_json, write_json
from segrt.runtime.deploy.device.managers import Health, Manager

_MOST_RESTARTS = 2
_STEADY = 1.0
_STEP = 0.2


def recover(place: Place) -> str | None:
    """Take back a trial that nobody watches; return the release that it goes back to. Called before each start."""
    if not place.trial.exists():
        return None
    with place.locked() as held:
        return take_back(place) if held else None


def take_back(place: Place) -> str | None:
    """End a trial, for the holder of the lock: `current` is again what it was before, if there was anything."""
    trial = read_json(place.trial)
    back = trial.get("from") if trial else None
    if back and place.is_whole(back):
        set_link(place.current, f"releases/{back}")
    else:
        back = None
    remove(place.trial)
    return back


def switch(
    place: Place,
    manager: Manager,
    release: str,
    *,
    grace: float,
    frames: bool,
    step: Callable[[str], None],
) -> None:
    """Let `release` run; raise Failure, with the old one running again, when it is not healthy within `grace` s."""
    before = place.linked(place.current)
    step("switch")
    write_json(place.trial, {"to": release, "from": before})
    set_link(place.current, f"releases/{release}")
    try:
        old = start(place, manager, release)
        if (place.describe(release) or {}).get("stream") is not None:
            step("watch")
            watch(manager, grace, frames=frames, old=old)
    except Failure as failure:
        step("back")
        _back(place, manager, before, failure)
        raise
    remove(place.trial)
    if before and before != release:
        set_link(place.previous, f"releases/{before}")


def start(place: Place, manager: Manager, release: str) -> int:
    """Start the service of a release that `current` points to, if it has one; return the old one's process id, or 0."""
    old = manager.health().pid
    described = place.describe(release) or {}
    if described.get("stream") is None:
        manager.stop()
        return old
    unit = place.releases / release / "service.unit"
    manager.install(unit.read_text() if unit.is_file() else None)
    manager.restart()
    return old


def watch(manager: Manager, grace: float, *, frames: bool, old: int) -> None:
    """Return when the service is healthy: ready, with results (`frames`), and still so up to a second later.

    `old` is the id of the process that is to end; what it says does not count. Raises Failure after `grace` seconds.
    """
    deadline = time.monotonic() + grace
    healthy_since: float | None = None
    health = Health(running=False)
    while True:
        health = manager.health()
        if health.restarts >= _MOST_RESTARTS:
            raise Failure(f"the service ended {health.restarts} times: {manager.last_words() or health.text}")
        if health.running and health.ready and health.pid != old and (health.results or not frames):
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


def _back(place: Place, manager: Manager, before: str | None, failure: Failure) -> None:
    if before is None:
        manager.stop()
        remove(place.current)
        remove(place.trial)
        return
    set_link(place.current, f"releases/{before}")
    try:
        start(place, manager, before)
    except Failure as second:
        failure.args = (f"{failure}; and the release before did not start: {second}",)
    remove(place.trial)
