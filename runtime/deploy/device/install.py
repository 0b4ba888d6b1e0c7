"""A deployment on the device, from the files that arrived to a service that is healthy; and the way back."""

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from segrt.runtime.deploy.device import activation, environments, release
from segrt.runtime.deploy.device.durable_files import remove_tree, sweep, write_file
from segrt.runtime.deploy.device.failure import Failure
from segrt.runtime.deploy.device.folders import Place, locked_file, read_json
from segrt.runtime.deploy.device.journal import Journal, outcome, tell
from segrt.runtime.deploy.device.managers import Manager, choose

_BUSY_TRIES = 20
_LOOK_EVERY = 0.3


def install(place: Place, request: dict[str, Any], program: bytes) -> None:
    """Do what `request` asks for, telling each step; follow the one who does it already, after a lost connection."""
    _outlive_the_connection()
    place.make()
    if not _alone(place, lambda: _install(place, request, program), request["run"]):
        _follow(place, request["run"])


def _alone(place: Place, work: Callable[[], None], run: str | None = None) -> bool:
    """Do `work` with the locks held; return False when another process does it for the same `run`."""
    for _ in range(_BUSY_TRIES):  # whoever asks for the status holds a lock for an instant
        with locked_file(place.root / "lock") as first, place.locked() as held:
            if first and held:
                work()
                return True
        if run is not None and (read_json(place.deployment) or {}).get("run") == run:
            return False
        time.sleep(0.1)
    raise Failure("another deployment is at work on this device; wait for it, see `segrt deploy --status`")


def _install(place: Place, request: dict[str, Any], program: bytes) -> None:
    found = read_json(place.deployment)
    if found and found["run"] == request["run"] and found["ended"] and request["again"]:
        tell(**outcome(found))  # it ended while the desk was not listening
        return
    write_file(place.root / "segrt-device", program, 0o755)
    manager = choose(place, request["manager"])
    journal = Journal(place, request["run"], "install")
    try:
        _tidy(place, manager, journal)
        result = _bring(place, manager, request, journal)
    except Failure as failure:
        _clear(place)
        journal.end("failed", str(failure), failure.details)
    except OSError as error:
        _clear(place)
        journal.end("failed", f"{error.filename or place.root}: {error.strerror} on the device; mend it and run again")
    else:
        _prune(place, request["options"]["keep"])
        journal.end(result)


def _bring(place: Place, manager: Manager, request: dict[str, Any], journal: Journal) -> str:
    stream = request["stream"]
    current = place.linked(place.current)
    if stream is None and current:
        stream = (place.describe(current) or {}).get("stream")
    wanted = release.release_id(request, stream)
    journal.content["release"] = wanted
    if not place.is_whole(wanted):
        release.make(place, wanted, request, stream, journal)
    health = manager.health()
    if wanted == current and (stream is None or (health.running and health.ready)):
        return "unchanged"
    options = request["options"]
    activation.switch(
        place, manager, wanted, grace=options["grace"], frames=options["health"] == "frames", step=journal.step
    )
    return "done"


def roll_back(place: Place, request: dict[str, Any], program: bytes) -> None:
    """Change to the release before the current one, with the same watching; raise Failure where there is none."""
    _outlive_the_connection()
    if not place.folder.is_dir():
        raise Failure(f"has no service {place.service!r} below {place.root}; see `segrt deploy --status`")
    _alone(place, lambda: _roll_back(place, request, program))


def _roll_back(place: Place, request: dict[str, Any], program: bytes) -> None:
    write_file(place.root / "segrt-device", program, 0o755)
    manager = choose(place, request["manager"])
    journal = Journal(place, request["run"], "rollback")
    try:
        _tidy(place, manager, journal)
        before, current = place.linked(place.previous), place.linked(place.current)
        if before is None or before == current:
            raise Failure(f"has no release before {current or 'the first'} to go back to")
        journal.content["release"] = before
        options = request["options"]
        activation.switch(
            place, manager, before, grace=options["grace"], frames=options["health"] == "frames", step=journal.step
        )
    except Failure as failure:
        journal.end("failed", str(failure), failure.details)
    else:
        journal.end("done")


def _tidy(place: Place, manager: Manager, journal: Journal) -> None:
    """Take back what an interrupted deployment left."""
    if place.trial.exists():
        back = activation.take_back(place)
        journal.note(
            "an earlier deployment was interrupted while it was watched" + (f": back to {back}" if back else "")
        )
        if back:
            activation.start(place, manager, back)
    _clear(place)


def _clear(place: Place) -> None:
    for folder in (place.releases, place.environments, place.folder, place.root):
        sweep(folder)


def _prune(place: Place, keep: int) -> None:
    """Remove old releases, the files that arrived, and environments that nothing uses."""
    kept = {place.linked(place.current), place.linked(place.previous)}
    made = sorted(place.releases.glob("*/release.json"), key=lambda path: path.stat().st_mtime, reverse=True)
    for path in made[keep:]:
        if path.parent.name not in kept:
            remove_tree(path.parent)
    for path in place.incoming.iterdir():
        path.unlink(missing_ok=True)
    environments.remove_unused(place)


def _follow(place: Place, run: str) -> None:
    """Tell what another process does for the same run until it ends."""
    last = None
    while True:
        found = read_json(place.deployment)
        if found is None or found["run"] != run:
            raise Failure("another deployment took this one's place; see `segrt deploy --status`")
        if found["step"] != last:
            last = found["step"]
            tell(step=last)
        if found["ended"]:
            tell(**outcome(found))
            return
        with place.locked() as free:
            if free and not (read_json(place.deployment) or {}).get("ended"):
                raise Failure(f"the deployment was interrupted in step {last}; run with --resume")
        time.sleep(_LOOK_EVERY)


def _outlive_the_connection() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    if os.getpid() != os.getsid(0) and os.getpgrp() != os.getpid():
        os.setsid()


def program_bytes(archive: Path) -> bytes:
    """Return this program as a file that can be called."""
    data = archive.read_bytes()
    return data if data.startswith(b"#!") else b"#!/usr/bin/env python3\n" + data
