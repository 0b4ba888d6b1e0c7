"""Which environment of segrt a device gets for a deployment, and whether the device may take the deployment at all."""

import re
from pathlib import Path

from segrt.runtime.deploy.device.protocol import DeviceStatus
from segrt.runtime.deploy.device.trust import NEEDS_KEY, needs_index, signed_environment, target_differs
from segrt.runtime.deploy.plan import Plan
from segrt.runtime.deploy.wheels import Environment, choose, version_key
from segrt.runtime.errors import SegrtError

_EXTRA = re.compile(r"[a-z][a-z0-9-]{0,30}")


def names_to_recheck(plan: Plan) -> tuple[str, ...]:
    """Return what the environment of an index may be called on a device."""
    if plan.index is None or not plan.index.packages:
        return ()
    return tuple(signed_environment(plan.index, system).key for system in (False, True))


def check_trust(plan: Plan, status: DeviceStatus) -> None:
    """Raise SegrtError for what the device would refuse after everything was copied to it."""
    if plan.index is None:
        if status.key is not None:
            raise SegrtError(needs_index(status.key))
        return
    if status.key is None and plan.trust.pin_key is None:
        raise SegrtError(NEEDS_KEY)
    python = ".".join(status.python.split(".")[:2])
    differs = target_differs(plan.index, plan.options.service, status.machine, python)
    if differs:
        raise SegrtError(f"the index {differs}; sign one for this device")


def extras_for(plan: Plan, status: DeviceStatus) -> tuple[str, ...]:
    """Return the extras of segrt that the stream needs which will run: a new one, or that of the release before."""
    extras = plan.extras_wanted(status)
    strange = next((name for name in extras if not _EXTRA.fullmatch(name)), None)
    if strange is not None:
        raise SegrtError(f"{strange[:80]!r} is no name of an extra; give the names that --extra takes")
    if plan.index is not None and plan.index.packages:
        lacking = extras - {*plan.index.extras}
        if lacking:
            raise SegrtError(
                f"the stream needs segrt's extra {min(lacking)!r}, which the index lacks; sign with --extra"
            )
    return tuple(sorted(extras))


def environment_for(
    plan: Plan, status: DeviceStatus, extras: tuple[str, ...]
) -> tuple[Environment | None, tuple[str, ...]]:
    """Return the environment to be made where the device lacks it, None for one of its own; and notes on that.

    It is the one of the index; without an index that of the newest wheel that fits, unless the device has a newer one.
    """
    options = plan.options
    if plan.index is not None:
        key = signed_environment(plan.index, status.tensorrt).key
        return (Environment(key, "", files=plan.wheels, offline=True) if key else None), ()
    if options.environment is not None:
        return None, ()
    environment = choose(Path(options.wheels) if options.wheels else None, status, extras)
    needed = set(environment.key.split("-")[3:])
    newest = version_key(environment.key.split("-")[1])
    notes: tuple[str, ...] = ()
    for key in status.environments:
        parts = key.split("-")
        if len(parts) > 3 and version_key(parts[1]) > newest and needed <= {*parts[3:]}:
            environment, newest = Environment(key, ""), version_key(parts[1])
            notes = (f"kept segrt {parts[1]}, which the device has in {key} and which is newer",)
    return environment, notes
