"""The table of `segrt deploy --status`."""

from segrt.runtime.deploy.device.protocol import DeviceStatus, ServiceStatus
from segrt.runtime.deploy.device.statements import short_key

_LONGEST, _LONGEST_CELL, _MOST_SERVICES = 80, 400, 100
COLUMNS = ["device", "service", "release", "segrt", "state", "before", "last deployment", "free", "key"]


def status_rows(device: str, status: DeviceStatus) -> list[list[str]]:
    """Return a row for each service of a device, or one that says that there is none."""
    free = f"{status.free / 1e9:.1f} GB"
    key = short_key(status.key) if status.key else "none"
    if not status.services:
        return [[device, "-", f"nothing below {status.root}", "", "", "", "", free, key]]
    rows = [
        [
            device,
            service.service,
            service.current or "none",
            service.release.segrt if service.release else "",
            _state(service),
            service.previous or "-",
            _last_deployment(service),
            free,
            key,
        ]
        for service in status.services[:_MOST_SERVICES]
    ]
    return [[cell[:_LONGEST_CELL] for cell in row] for row in rows]


def _state(service: ServiceStatus) -> str:
    if service.busy:
        return f"being deployed: {service.deployment.step if service.deployment else None}"
    health = service.health
    if health is None:
        return "no service" if service.release else "-"
    state = "running" if health.running and health.ready else "starting" if health.running else "STOPPED"
    return state + (f", {health.text}" if health.text else "") + (", on trial" if service.trial else "")


def _last_deployment(service: ServiceStatus) -> str:
    last = service.deployment
    if last is None:
        return "-"
    if not last.ended:
        return last.what if service.busy else f"INTERRUPTED in {last.step}; --resume"
    why = ""
    if last.result == "failed" and last.why:
        why = f": {last.why}" if len(last.why) <= _LONGEST else f": {last.why[:_LONGEST]}…"
    return f"{last.what} {last.result} {last.ended}{why}"
