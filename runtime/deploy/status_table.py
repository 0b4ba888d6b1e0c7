"""The table of `segrt deploy --status`, from what devices say of themselves."""

from typing import Any

_LONGEST = 80
COLUMNS = ["device", "service", "release", "segrt", "state", "before", "last deployment", "free"]


def status_rows(device: str, found: dict[str, Any]) -> list[list[str]]:
    """Return a row for each service of a device, or one that says that there is none."""
    free = f"{found['free'] / 1e9:.1f} GB"
    if not found["services"]:
        return [[device, "-", f"nothing below {found['root']}", "", "", "", "", free]]
    return [
        [
            device,
            entry["service"],
            entry["current"] or "none",
            (entry["release"] or {}).get("segrt", ""),
            _state(entry),
            entry["previous"] or "-",
            _last(entry),
            free,
        ]
        for entry in found["services"]
    ]


def _state(entry: dict[str, Any]) -> str:
    if entry["busy"]:
        return f"being deployed: {(entry['deployment'] or {}).get('step')}"
    health = entry["health"]
    if health is None:
        return "no service" if entry["release"] else "-"
    said = "running" if health["running"] and health.get("ready") else "starting" if health["running"] else "STOPPED"
    said += f", {health['text']}" if health.get("text") else ""
    return said + (", on trial" if entry["trial"] else "")


def _last(entry: dict[str, Any]) -> str:
    last = entry["deployment"]
    if not last:
        return "-"
    if not last["ended"]:
        return last["what"] if entry["busy"] else f"INTERRUPTED in {last['step']}; --resume"
    why = ""
    if last["result"] == "failed":
        why = f": {last['why']}" if len(last["why"]) <= _LONGEST else f": {last['why'][:_LONGEST]}…"
    return f"{last['what']} {last['result']} {last['ended']}{why}"
