"""One device's way: ask how it is, copy what it lacks, let it install, hear how that ended."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from segrt.runtime.deploy.plan import Plan
from segrt.runtime.deploy.ssh import Device, Lost, Unreachable
from segrt.runtime.deploy.unit import unit_text
from segrt.runtime.deploy.wheels import Wanted, choose, version_key, with_packages
from segrt.runtime.errors import SegrtError
from segrt.runtime.files.cache import cache_folder

Say = Callable[[str, float | None], None]
STEPS = {
    "environment": "installing segrt",
    "unpack": "unpacking",
    "doctor": "asking the doctor",
    "build": "building the engine",
    "verify": "running golden frames",
    "profile": "measuring latency",
    "switch": "switching",
    "watch": "watching the service",
    "back": "switching back",
}
_CHANGED = "changed in transit"


@dataclass(frozen=True)
class Outcome:
    """How it went on a device: `state` is done, unchanged, planned, failed or unreachable; `line` says the rest."""

    device: str
    state: str
    line: str
    details: str = ""
    notes: tuple[str, ...] = ()

    @property
    def good(self) -> bool:
        """Whether the device is as it was asked to be."""
        return self.state in ("done", "unchanged", "planned")


def deploy(device: Device, plan: Plan, say: Say) -> Outcome:
    """Bring the pack of `plan` to `device`; a connection that is lost is tried again, and goes on where it was."""
    return _persistent(device, plan.options.retries, say, lambda again: _deploy(device, plan, say, again=again))


def roll_back(device: Device, plan: Plan, say: Say) -> Outcome:
    """Let `device` go back to the release before."""
    options = plan.options
    request = _base(plan) | {
        "command": "rollback", "run": plan.run, "options": {"grace": options.grace, "health": options.health}
    }  # fmt: skip
    return _persistent(device, 0, say, lambda _: _outcome(device, device.ask(request, event=_steps(say))))


def status(device: Device, options: dict[str, Any]) -> dict[str, Any]:
    """Return what `device` says of itself; raise SegrtError when it cannot."""
    answer = device.ask({"command": "status", **options})
    if answer["result"] != "done":
        raise SegrtError(str(answer.get("why")))
    found: dict[str, Any] = answer["status"]
    return found


def _persistent(device: Device, retries: int, say: Say, work: Callable[[bool], Outcome]) -> Outcome:
    for attempt in range(retries + 1):
        outcome, again = _once(device, work, begun=attempt > 0)
        if not again or attempt == retries or device.stopped:
            break
        say("connecting again", None)
        time.sleep(2**attempt)
    return outcome


def _once(device: Device, work: Callable[[bool], Outcome], *, begun: bool) -> tuple[Outcome, bool]:
    """Return how it went, and whether another try may help: the connection was lost, or is not back yet (`begun`)."""
    try:
        return work(begun), False
    except Lost as error:
        return Outcome(device.name, "failed", str(error)), True
    except Unreachable as error:
        return Outcome(device.name, "unreachable", str(error)), begun
    except SegrtError as error:
        return Outcome(device.name, "failed", str(error)), False


def _deploy(device: Device, plan: Plan, say: Say, *, again: bool) -> Outcome:
    say("connecting", None)
    options, pack = plan.options, plan.pack
    found = status(device, _base(plan) | {"files": [pack.sha256]})
    if not found["writable"]:
        raise SegrtError(f"{found['user']} cannot write {found['root']}; choose another --root, or add --sudo")
    wanted = None
    if options.environment is None:
        wanted = _environment(plan, found)
    lacks_pack = not found["known"][pack.sha256] and found["arrived"][pack.sha256] is not None
    lacks_wheel = wanted is not None and wanted.key not in found["environments"]
    if plan.dry_run:
        return Outcome(device.name, "planned", _intent(plan, found, wanted if lacks_wheel else None, lacks_pack))
    if lacks_wheel and wanted is not None:
        wanted = _send_wheels(device, plan, wanted, found, say)
    if lacks_pack:
        _copy(device, plan, pack.path, pack.sha256, found["arrived"][pack.sha256], "copying the pack", say)
    request = _install_request(plan, found, wanted) | {"again": again}
    answer = device.ask(request, event=_steps(say))
    return _outcome(device, answer)


def _environment(plan: Plan, found: dict[str, Any]) -> Wanted:
    """Return the environment for the device: the newest wheel that fits, unless what it has is newer still."""
    options = plan.options
    folder = Path(options.wheels) if options.wheels else None
    wanted = choose(folder, found, options.extras)
    needed = set(wanted.key.split("-")[3:])
    for key in found["environments"]:
        parts = key.split("-")
        if len(parts) > 3 and version_key(parts[1]) > version_key(wanted.key.split("-")[1]) and needed <= {*parts[3:]}:
            wanted = Wanted(key, "")
    return wanted


def _send_wheels(device: Device, plan: Plan, wanted: Wanted, found: dict[str, Any], say: Say) -> Wanted:
    if plan.options.offline:
        say("fetching packages", None)
        wanted = with_packages(wanted, found, cache_folder() / "deploy" / "packages")
    if wanted.files:
        arrived = status(device, _base(plan) | {"files": list(wanted.files)})["arrived"]
        for sha256, path in wanted.files.items():
            if arrived[sha256] is not None:
                _copy(device, plan, path, sha256, arrived[sha256], "copying segrt", say)
    return wanted


def _intent(plan: Plan, found: dict[str, Any], wheel: Wanted | None, lacks_pack: bool) -> str:
    services = {entry["service"]: entry for entry in found["services"]}
    there = services.get(plan.options.service)
    parts = [f"{found['system']}, {found['machine']}, Python {found['python']}, {found['manager']}"]
    if wheel is not None:
        parts.append(f"install {wheel.wheel.name if wheel.wheel else wheel.requirement}")
    part = found["arrived"][plan.pack.sha256] or 0
    if lacks_pack:
        begun = f", {part / 1e6:.1f} MB of it are there" if part else ""
        parts.append(f"copy {plan.pack.size / 1e6:.1f} MB{begun}")
    before = there["current"] if there and there["current"] else None
    parts.append(f"replace {before}" if before else "first installation")
    return "; ".join([*parts, f"{found['free'] / 1e9:.1f} GB free"])


def _copy(device: Device, plan: Plan, path: Path, sha256: str, there: int, what: str, say: Say) -> None:
    """Send the file at `path`, of which the device has `there` bytes; once more from the start if it changed."""
    size = path.stat().st_size
    for offset in (min(there, size), 0):
        say(what, offset / max(size, 1))
        request = _base(plan) | {"command": "receive", "sha256": sha256, "size": size, "offset": offset}
        answer = device.ask(request, content=path, offset=offset, sent=lambda done: say(what, done / max(size, 1)))
        if answer["result"] == "done" and answer["arrived"] is None:
            return
        if answer["result"] == "done":
            raise Lost(f"the connection was lost while {what} ({answer['arrived']} of {size} bytes arrived)")
        if not str(answer.get("why")).startswith(_CHANGED):
            break
    raise SegrtError(str(answer.get("why")))


def _install_request(plan: Plan, found: dict[str, Any], wanted: Wanted | None) -> dict[str, Any]:
    options, pack = plan.options, plan.pack
    environment: dict[str, Any] = {"path": options.environment}
    if wanted is not None:
        environment = {
            "path": None, "key": wanted.key, "requirement": wanted.requirement,
            "wheels": {path.name: sha256 for sha256, path in wanted.files.items()},
            "system_site_packages": found["tensorrt"], "offline": wanted.offline,
        }  # fmt: skip
    return _base(plan) | {
        "command": "install", "run": plan.run, "verify_key": plan.verify_key, "environment": environment,
        "pack": {"sha256": pack.sha256, "bundle": pack.bundle, "variants": list(pack.variants)},
        "stream": list(options.stream) if options.stream is not None else None,
        "unit": _unit(plan, found),
        "options": {
            name: getattr(options, name)
            for name in ("backend", "precision", "budget", "frames", "build", "grace", "health", "keep")
        },
    }  # fmt: skip


def _unit(plan: Plan, found: dict[str, Any]) -> str | None:
    if not found["manager"].startswith("systemd"):
        return None
    folder = f"{found['root']}/{plan.options.service}"
    options = replace(plan.unit, environment_file=f"{folder}/environment".replace("%", "%%"))
    if found["manager"] == "systemd-user":
        options = replace(options, for_user=True, writable=(folder,), folder=f"{folder}/work")
    before = [found["executable"], f"{found['root']}/segrt-device", "recover", plan.options.service]
    return unit_text(options, ["/bin/sh", f"{folder}/current/run"], before=before)


def _base(plan: Plan) -> dict[str, Any]:
    return {"root": plan.options.root, "service": plan.options.service, "manager": plan.options.manager}


def _steps(say: Say) -> Callable[[dict[str, Any]], None]:
    def heard(event: dict[str, Any]) -> None:
        if "step" in event:
            say(STEPS.get(str(event["step"]), str(event["step"])), None)

    return heard


def _outcome(device: Device, answer: dict[str, Any]) -> Outcome:
    notes = tuple(map(str, answer.get("notes") or ()))
    state = str(answer["result"])
    line = str(answer.get("why") or answer.get("release") or "")
    return Outcome(device.name, state, line, str(answer.get("details") or ""), notes)
