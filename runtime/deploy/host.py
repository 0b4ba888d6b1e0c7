"""What is done on one device: ask how it is, copy what it lacks, let it install, report how that ended."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from segrt.runtime.console.words import counted
from segrt.runtime.deploy.device.protocol import (
    DeploymentAnswer,
    DeviceStatus,
    EnvironmentRequest,
    InstallRequest,
    ReceiveAnswer,
    ReceiveRequest,
    RollbackRequest,
    StatusAnswer,
    StatusRequest,
)
from segrt.runtime.deploy.device_claims import checked_status, shortened_answer
from segrt.runtime.deploy.environment_choice import check_trust, environment_for, extras_for, names_to_recheck
from segrt.runtime.deploy.plan import Options, Plan
from segrt.runtime.deploy.ssh import ConnectionLost, Device, Unreachable, Upload
from segrt.runtime.deploy.unit import unit_text
from segrt.runtime.deploy.wheels import Environment, with_packages
from segrt.runtime.errors import SegrtError
from segrt.runtime.files.cache import cache_folder

Report = Callable[[str, float | None], None]
"""Is told what is being done, and how much of it is, 0 to 1, where that is known."""

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
    """How it ended on a device: `state` is done, unchanged, planned, failed or unreachable; `line` says more."""

    device: str
    state: str
    line: str
    details: str = ""
    notes: tuple[str, ...] = ()

    @property
    def succeeded(self) -> bool:
        """Whether the device is as it was asked to be."""
        return self.state in ("done", "unchanged", "planned")


def deploy(device: Device, plan: Plan, report: Report) -> Outcome:
    """Bring the pack of `plan` to `device`; after a lost connection try again, going on with what is there."""
    retries = plan.options.retries
    return _with_retries(device, retries, report, lambda again: _deploy(device, plan, report, again=again))


def roll_back(device: Device, options: Options, run: str, report: Report) -> Outcome:
    """Let `device` go back to the release before; `run` names what is done."""
    request = RollbackRequest(
        root=options.root, service=options.service, manager=options.manager, run=run, options=options.install.watch
    )

    def attempt(_: bool) -> Outcome:
        return _outcome(device, device.ask(request, DeploymentAnswer, on_step=_step_reporter(report)))

    return _with_retries(device, 0, report, attempt)


def ask_status(device: Device, request: StatusRequest) -> DeviceStatus:
    """Return how `device` is; raise SegrtError when it cannot say, or says what cannot be."""
    answer = device.ask(request, StatusAnswer)
    if answer.result != "done" or answer.status is None:
        raise SegrtError(str(answer.why))
    return checked_status(answer.status, request.files)


def _with_retries(device: Device, retries: int, report: Report, attempt: Callable[[bool], Outcome]) -> Outcome:
    """Call `attempt`, which is told whether it is called again, until trying again is no use."""
    for number in range(retries + 1):
        outcome, may_help = _try(device, attempt, again=number > 0)
        if not may_help or number == retries or device.stopped:
            break
        report("connecting again", None)
        time.sleep(2**number)
    return outcome


def _try(device: Device, attempt: Callable[[bool], Outcome], *, again: bool) -> tuple[Outcome, bool]:
    """Return how it went, and whether another try may help: the connection was lost, or is not back yet (`again`)."""
    try:
        return attempt(again), False
    except ConnectionLost as error:
        return Outcome(device.name, "failed", str(error)), True
    except Unreachable as error:
        return Outcome(device.name, "unreachable", str(error)), again
    except SegrtError as error:
        return Outcome(device.name, "failed", str(error)), False


def _deploy(device: Device, plan: Plan, report: Report, *, again: bool) -> Outcome:
    report("connecting", None)
    sha256 = plan.pack.content.sha256
    status = _ask_for_files(device, plan.options, (sha256,), recheck=names_to_recheck(plan))
    if not status.writable:
        raise SegrtError(f"{status.user} cannot write {status.root}; choose another --root, or add --sudo")
    check_trust(plan, status)
    if plan.pack.takes_prompts and plan.stream_before(status) is not None:
        raise SegrtError(
            f"{plan.options.service} streams, and an upgrade keeps that, but {plan.pack.path} segments what prompts "
            "point at, and a stream has none; give it another --service"
        )
    extras = extras_for(plan, status)
    environment, notes = environment_for(plan, status, extras)
    lacks_environment = environment is not None and environment.key not in status.environments
    arrived = status.arrived[sha256]
    lacks_pack = not status.known[sha256] and arrived is not None
    if plan.dry_run:
        return Outcome(
            device.name, "planned", _intent(plan, status, environment if lacks_environment else None, lacks_pack)
        )
    if lacks_environment and environment is not None:
        environment = _send_wheels(device, plan.options, environment, status, report)
    if lacks_pack:
        _copy(device, plan.options, plan.pack.path, sha256, arrived or 0, "copying the pack", report)
    request = _install_request(plan, status, environment, extras, again=again)
    outcome = _outcome(device, device.ask(request, DeploymentAnswer, on_step=_step_reporter(report)))
    return replace(outcome, notes=(*notes, *outcome.notes))


def _ask_for_files(
    device: Device, options: Options, files: tuple[str, ...], *, recheck: tuple[str, ...] = ()
) -> DeviceStatus:
    request = StatusRequest(
        root=options.root, service=options.service, manager=options.manager, files=files, recheck=recheck
    )
    return ask_status(device, request)


def _send_wheels(
    device: Device, options: Options, environment: Environment, status: DeviceStatus, report: Report
) -> Environment:
    if options.offline and not environment.offline:
        report("fetching packages", None)
        environment = with_packages(environment, status, cache_folder() / "deploy" / "packages")
    if environment.files:
        arrived = _ask_for_files(device, options, tuple(environment.files)).arrived
        for sha256, path in environment.files.items():
            there = arrived[sha256]
            if there is not None:
                _copy(device, options, path, sha256, there, "copying segrt", report)
    return environment


def _intent(plan: Plan, status: DeviceStatus, environment: Environment | None, lacks_pack: bool) -> str:
    """Return what a deployment would do, in one line."""
    parts = [f"{status.system}, {status.machine}, Python {status.python}, {status.manager}"]
    if environment is not None:
        what = environment.wheel.name if environment.wheel else environment.requirement
        parts.append(f"install {what or counted(len(environment.files), 'package') + ' of the index'}")
    there = status.arrived[plan.pack.content.sha256] or 0
    if lacks_pack:
        begun = f", {there / 1e6:.1f} MB of it are there" if there else ""
        parts.append(f"copy {plan.pack.size / 1e6:.1f} MB{begun}")
    current = next((entry.current for entry in status.services if entry.service == plan.options.service), None)
    parts.append(f"replace {current}" if current else "first installation")
    return "; ".join([*parts, f"{status.free / 1e9:.1f} GB free"])


def _copy(device: Device, options: Options, path: Path, sha256: str, there: int, what: str, report: Report) -> None:
    """Send the file at `path`, of which the device has `there` bytes; once more from the start if it changed."""
    size = path.stat().st_size
    for offset in (min(there, size), 0):
        report(what, offset / max(size, 1))
        request = ReceiveRequest(
            root=options.root, service=options.service, manager=options.manager, sha256=sha256, size=size, offset=offset
        )
        upload = Upload(path, offset, lambda done: report(what, done / max(size, 1)))
        answer = device.ask(request, ReceiveAnswer, upload=upload)
        if answer.result == "done" and answer.arrived is None:
            return
        if answer.result == "done":
            raise ConnectionLost(f"the connection was lost while {what} ({answer.arrived} of {size} bytes arrived)")
        if not str(answer.why).startswith(_CHANGED):
            break
    raise SegrtError(str(answer.why))


def _install_request(
    plan: Plan, status: DeviceStatus, environment: Environment | None, extras: tuple[str, ...], *, again: bool
) -> InstallRequest:
    options = plan.options
    wanted = EnvironmentRequest(path=options.environment, system_site_packages=status.tensorrt, extras=extras)
    if environment is not None:
        wanted = EnvironmentRequest(
            key=environment.key,
            requirement=environment.requirement,
            wheels={path.name: sha256 for sha256, path in environment.files.items()},
            system_site_packages=status.tensorrt,
            offline=environment.offline,
            extras=extras,
        )
    return InstallRequest(
        root=options.root,
        service=options.service,
        manager=options.manager,
        run=plan.run,
        verify_key=plan.verify_key,
        environment=wanted,
        pack=plan.pack.content,
        stream=options.stream,
        unit=_unit(plan, status),
        options=options.install,
        again=again,
        trust=plan.trust,
    )


def _unit(plan: Plan, status: DeviceStatus) -> str | None:
    if not status.manager.startswith("systemd"):
        return None
    folder = f"{status.root}/{plan.options.service}"
    before = plan.stream_before(status)
    stream = before.stream if before else plan.options.stream
    outputs = plan.needs_of(stream or ()).folders
    unit = replace(plan.unit, environment_file=f"{folder}/environment".replace("%", "%%"), outputs=outputs)
    if status.manager == "systemd-user":
        unit = replace(unit, for_user=True, writable=(folder,), folder=f"{folder}/work")
    recover = [status.executable, "-I", f"{status.root}/segrt-device", "recover", plan.options.service]
    return unit_text(unit, ["/bin/sh", f"{folder}/current/run"], before=recover)


def _step_reporter(report: Report) -> Callable[[str], None]:
    return lambda step: report(STEPS.get(step, step), None)


def _outcome(device: Device, answer: DeploymentAnswer) -> Outcome:
    answer = shortened_answer(answer)
    if answer.result not in ("done", "unchanged", "failed"):
        raise SegrtError(f"the device's answer: result cannot be {answer.result[:80]!r}; look at the device")
    line = answer.why or answer.release or ""
    return Outcome(device.name, answer.result, line, answer.details, answer.notes)
