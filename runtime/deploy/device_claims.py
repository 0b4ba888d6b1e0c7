"""What a device says of itself is looked at before the desk uses it: names are names, numbers are within reason."""

import re
from collections.abc import Sequence
from dataclasses import replace

from segrt.runtime.deploy.device.protocol import DeploymentAnswer, DeviceStatus
from segrt.runtime.errors import SegrtError

_MOST_NOTES, _LONGEST_LINE, _LONGEST_DETAILS = 50, 2000, 20_000
_PATTERNS = {
    "machine": r"[A-Za-z0-9_]{1,32}",
    "python": r"\d{1,2}\.\d{1,3}[A-Za-z0-9.+-]{0,30}",
    "glibc": r"\d{1,3}\.\d{1,3}(\.\d{1,3})?",
    "manager": r"systemd|systemd-user|supervisor",
    "root": r"/[^\x00-\x1f\x7f]{0,4095}",
    "executable": r"/[^\x00-\x1f\x7f]{0,4095}",
    "key": r"[0-9a-f]{64}",
}
_ENVIRONMENT = re.compile(r"[A-Za-z0-9_.+-]{1,200}")
_MOST_OF_A_KIND = 1000


def checked_status(status: DeviceStatus, files: Sequence[str]) -> DeviceStatus:
    """Return the status of a device that was asked for `files`; raise SegrtError for values that none can have."""
    for name, pattern in _PATTERNS.items():
        value = getattr(status, name)
        if value is not None and not re.fullmatch(pattern, value):
            raise SegrtError(f"the device's answer: {name} cannot be {value[:80]!r}; look at the device")
    if status.free < 0:
        raise SegrtError(f"the device's answer: free cannot be {status.free}; look at the device")
    if len(status.environments) > _MOST_OF_A_KIND or len(status.services) > _MOST_OF_A_KIND:
        raise SegrtError(
            f"the device's answer: has {len(status.environments)} environments and {len(status.services)} services, "
            f"more than {_MOST_OF_A_KIND}; look at the device"
        )
    for sha256 in files:
        there = status.arrived.get(sha256, -1)
        if sha256 not in status.known or (there is not None and there < 0):
            raise SegrtError(f"the device's answer: says nothing of the file {sha256[:12]}…; look at the device")
    return replace(status, environments=tuple(filter(_ENVIRONMENT.fullmatch, status.environments)))


def shortened_answer(answer: DeploymentAnswer) -> DeploymentAnswer:
    """Return how a deployment ended in as many words as an operator can read."""
    return replace(
        answer,
        why=answer.why[:_LONGEST_LINE] if answer.why else answer.why,
        details=answer.details[-_LONGEST_DETAILS:],
        release=answer.release[:_LONGEST_LINE] if answer.release else answer.release,
        notes=tuple(note[:_LONGEST_LINE] for note in answer.notes[:_MOST_NOTES]),
    )
