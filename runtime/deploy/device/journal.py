"""The steps of a deployment: told to the desk while it listens, and kept in deployment.json for when it does not."""

import json
import os
import sys
import time
from typing import Any

from segrt.runtime.deploy.device.folders import Place, write_json


def tell(**event: Any) -> None:
    """Send the desk a line of JSON; a desk that went away is no reason to stop."""
    try:
        sys.stdout.write(json.dumps(event, ensure_ascii=False) + "\n")
        sys.stdout.flush()
    except (OSError, ValueError):
        sys.stdout = open(os.devnull, "w")  # noqa: PTH123, SIM115


class Journal:
    """deployment.json of a service while a deployment goes on."""

    def __init__(self, place: Place, run: str, what: str) -> None:
        self._place = place
        self.content: dict[str, Any] = {
            "run": run, "what": what, "release": None, "from": place.linked(place.current), "step": None,
            "notes": [], "started": now(), "ended": None, "result": None, "why": None, "details": "",
        }  # fmt: skip

    def step(self, name: str, **content: Any) -> None:
        """Begin a step."""
        self.content.update(content, step=name)
        write_json(self._place.deployment, self.content)
        tell(step=name)

    def note(self, line: str) -> None:
        """Say something that the operator should know and that stops nothing."""
        self.content["notes"].append(line)
        tell(note=line)

    def end(self, result: str, why: str = "", details: str = "") -> None:
        """Write how it ended: `done`, `unchanged` or `failed`."""
        self.content.update(ended=now(), result=result, why=why, details=details)
        write_json(self._place.deployment, self.content)
        kept = {name: value for name, value in self.content.items() if name not in ("details", "step")}
        with self._place.history.open("a") as file:
            file.write(json.dumps(kept, ensure_ascii=False) + "\n")
            file.flush()
            os.fsync(file.fileno())
        tell(**outcome(self.content))


def outcome(content: dict[str, Any]) -> dict[str, Any]:
    """Return what the desk is told at the end, from the content of deployment.json."""
    return {name: content.get(name) for name in ("result", "why", "details", "release", "notes")}


def now() -> str:
    """Return the time as ISO 8601, UTC."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
