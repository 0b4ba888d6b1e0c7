"""What zones have counted in a run, for metrics and the live page: asked from other threads."""

import threading
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from segrt.runtime.zones.shapes import Place, ZonePlan
from segrt.runtime.zones.zone_events import Event

Tallies = dict[str, dict[str, dict[str, int]]]
"""zones → name → class → how many are inside; lines → name → direction → how many have crossed."""
_COUNTED = ("entered", "left", "crossed", "rule")


@dataclass(frozen=True)
class EventCount:
    """How often something happened: `what` is entered, left, crossed or rule, `direction` that of a crossing."""

    source: str
    zone: str
    class_name: str
    what: str
    direction: str
    rule: str
    count: int


class ZoneTotals:
    """The counts of the newest frame of each source, and how often what has happened since the start."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._plans: dict[str, ZonePlan] = {}
        self._inside: dict[str, Mapping[str, Mapping[str, int]]] = {}
        self._happened: Counter[tuple[str, str, str, str, str, str]] = Counter()

    def begin(self, source: str, plan: ZonePlan) -> None:
        """Take the zones of a source."""
        with self._lock:
            self._plans[source] = plan

    def add(self, source: str, counts: Mapping[str, Mapping[str, int]] | None, events: Iterable[Event]) -> None:
        """Take what a frame brought; counts None leaves them as they are."""
        with self._lock:
            if counts is not None:
                self._inside[source] = counts
            for event in events:
                if event.event in _COUNTED:
                    key = (source, event.zone or "", event.class_name or "", event.event, event.direction or "",
                           event.rule or "")  # fmt: skip
                    self._happened[key] += 1

    def plan(self, source: str) -> ZonePlan | None:
        """Return the zones of a source, None before the start."""
        with self._lock:
            return self._plans.get(source)

    def sources(self) -> list[str]:
        """Return the sources."""
        with self._lock:
            return list(self._plans)

    def inside(self, source: str) -> dict[str, dict[str, int]]:
        """Return zone → class → how many are inside in the newest frame; classes that were inside before have 0."""
        with self._lock:
            plan, counts = self._plans.get(source), self._inside.get(source, {})
            entered = [key for key in self._happened if (key[0], key[3]) == (source, "entered")]
            seen = {(zone, kind) for _, zone, kind, *_ in entered}
        zones = () if plan is None else plan.zones
        return {
            zone.name: {**{kind: 0 for name, kind in sorted(seen) if name == zone.name}, **counts.get(zone.name, {})}
            for zone in zones
        }

    def happened(self) -> list[EventCount]:
        """Return how often what has happened."""
        with self._lock:
            return [EventCount(*key, count) for key, count in sorted(self._happened.items())]

    def tallies(self, source: str) -> Tallies:
        """Return what is inside each zone of a source and how often its lines were crossed, by direction."""
        plan, crossed = self.plan(source), self._crossed(source)
        lines = {} if plan is None else {line.name: dict(crossed.get(line.name, {})) for line in plan.lines}
        return {"zones": self.inside(source), "lines": lines}

    def _crossed(self, source: str) -> dict[str, Counter[str]]:
        crossed: dict[str, Counter[str]] = {}
        for one in self.happened():
            if one.source == source and one.what == "crossed":
                crossed.setdefault(one.zone, Counter())[one.direction] += one.count
        return crossed

    def described(self, source: str) -> dict[str, Any]:
        """Return a source's zones, lines and counts as the page shows them."""
        plan = self.plan(source)
        if plan is None:
            return {"zones": [], "lines": [], "rules": []}
        inside, crossed = self.inside(source), self._crossed(source)
        return {
            "zones": [
                {"name": zone.name, "polygon": zone.polygon, "share": zone.share, **_limits(zone, plan)}
                | {"counts": inside[zone.name]}
                for zone in plan.zones
            ],
            "lines": [
                {"name": line.name, "from": line.start, "to": line.end, **_limits(line, plan)}
                | {"crossed": dict(crossed.get(line.name, {}))}
                for line in plan.lines
            ],
            "rules": plan.rules,
        }


def _limits(place: Place, plan: ZonePlan) -> dict[str, Any]:
    """Return what a file says of classes and source, where it does."""
    limits: dict[str, Any] = {} if place.source is None else {"source": place.source}
    if place.classes is not None:
        limits["classes"] = list(dict.fromkeys(plan.class_names[number] for number in sorted(place.classes)))
    return limits
