"""Counts what is inside the zones of one source, frame after frame, and tells what changes."""

from collections import Counter
from dataclasses import dataclass, field

from segrt.runtime.results import Result
from segrt.runtime.zones.line_crossing import CentrePath
from segrt.runtime.zones.shapes import Line, Zone, ZonePlan
from segrt.runtime.zones.things import Thing, things_of
from segrt.runtime.zones.zone_events import Event
from segrt.runtime.zones.zone_masks import ZoneMasks

GONE_SECONDS = 2.0
"""A thing that was not seen for so long is gone, and with it its stays."""
GONE_FRAMES = 50
"""The same where a source states no times."""


@dataclass
class Stay:
    """A thing's time in a zone: since when (None without times), and as what it entered."""

    since: float | None
    class_id: int


@dataclass
class Trail:
    """What is known of one track: when it was seen first and last, where it stays, how it passes lines."""

    class_id: int
    first_seen: float | None
    last_seen: float | None
    last_index: int
    stays: dict[str, Stay] = field(default_factory=dict)
    paths: dict[str, CentrePath] = field(default_factory=dict)


@dataclass(frozen=True)
class Moment:
    """One frame: its place in the source and its time in seconds, None where the source states none."""

    index: int
    pts: float | None


@dataclass(frozen=True)
class Update:
    """What a frame brought: what is inside now, zone → class → number, and what happened, in the order told.

    `tracked` says whether any thing had a track, None where there was no thing.
    """

    counts: dict[str, dict[str, int]]
    events: tuple[Event, ...]
    tracked: bool | None = None


class ZoneCounter:
    """Counts one source's results; give them in the order of its frames.

    A thing is inside a zone when `Zone.share` of its mask or more is, and stays so until its share falls clearly below
    (`Zone.limit`). Without a track id a thing is counted and has no events. A thing unseen for `gone_seconds` is gone:
    its stays end when it was last seen. When times jump back, every stay ends there and everything is new.
    """

    def __init__(self, plan: ZonePlan, source: str = "", *, gone_seconds: float = GONE_SECONDS) -> None:
        self._plan, self._source, self._gone = plan, source, gone_seconds
        self._classes = frozenset(number for number in range(len(plan.class_names)) if plan.takes(number))
        self._masks = ZoneMasks((), (1, 1))
        self._size: tuple[int, int] | None = None
        self._last: Moment | None = None
        self._counts: dict[str, dict[str, int]] = {zone.name: {} for zone in plan.zones}
        self.trails: dict[int, Trail] = {}
        """Track id → what is known of it, of things that are not gone."""

    def update(self, index: int, pts: float | None, result: Result) -> Update:
        """Take the result of the frame at `index`, `pts` seconds; return what is inside and what happened."""
        now = Moment(index, pts)
        events: list[Event] = []
        if self._jumped_back(now):
            assert self._last is not None
            for track_id in list(self.trails):
                self._end(track_id, now, "time jumped back", events)
        self._last = now
        if result.size != self._size:
            if self._size is not None:  # places in pixels mean nothing in another picture
                for trail in self.trails.values():
                    trail.paths.clear()
            self._size, self._masks = result.size, ZoneMasks(self._plan.zones, result.size)
        things = things_of(result, self._masks, self._classes, centres=bool(self._plan.lines))
        inside: dict[str, Counter[str]] = {zone.name: Counter() for zone in self._plan.zones}
        for thing in things:
            self._take(thing, now, inside, events)
        for track_id in [track_id for track_id, trail in self.trails.items() if self._is_gone(trail, now)]:
            self._end(track_id, now, "gone", events)
        for name, count in inside.items():
            counts = dict(sorted(count.items()))
            if counts != self._counts[name]:
                events.append(self._event("count", now, zone=name, counts=counts))
            self._counts[name] = counts
        tracked = any(thing.track_id is not None for thing in things) if things else None
        return Update(dict(self._counts), tuple(events), tracked)

    def change(self, plan: ZonePlan, index: int, pts: float | None) -> tuple[Event, ...]:
        """Count by another plan from the frame at `index` on; return what ends by that.

        Zones and lines that are in both go on. A zone of another shape keeps the stays of what is still inside then;
        a stay in one that is gone, or of a class that it counts no more, ends with the reason "zones changed".
        """
        now, events = Moment(index, pts), list[Event]()
        zones = {zone.name: zone for zone in plan.zones}
        lines = {line.name for line in plan.lines if line in self._plan.lines}
        for track_id, trail in self.trails.items():
            for name, stay in list(trail.stays.items()):
                if name not in zones or not zones[name].takes(stay.class_id):
                    self._leave(name, track_id, now, trail.last_seen, "zones changed", events)
            trail.paths = {name: path for name, path in trail.paths.items() if name in lines}
        for name, counts in self._counts.items():
            if counts and name not in zones:
                events.append(self._event("count", now, zone=name, counts={}))
        self._plan, self._counts = plan, {name: self._counts.get(name, {}) for name in zones}
        self._classes = frozenset(number for number in range(len(plan.class_names)) if plan.takes(number))
        self._masks = ZoneMasks(plan.zones, self._size or (1, 1))
        return tuple(events)

    def finish(self) -> tuple[Event, ...]:
        """End the stays of everything that is still there: no frame comes any more."""
        events: list[Event] = []
        for track_id in list(self.trails):
            assert self._last is not None
            self._end(track_id, self._last, "end", events)
        return tuple(events)

    def _take(self, thing: Thing, now: Moment, inside: dict[str, Counter[str]], events: list[Event]) -> None:
        trail = None
        if thing.track_id is not None:
            trail = self.trails.get(thing.track_id)
            if trail is None:
                trail = self.trails[thing.track_id] = Trail(thing.class_id, now.pts, now.pts, now.index)
                events.append(self._of_thing("seen", now, thing))
            trail.class_id, trail.last_seen, trail.last_index = thing.class_id, now.pts, now.index
        for zone, share in zip(self._plan.zones, thing.shares, strict=True):
            if self._is_inside(zone, share, thing, trail, now, events):
                inside[zone.name][self._plan.class_names[thing.class_id]] += 1
        for line in self._plan.lines if trail is not None and thing.centre is not None else ():
            self._pass(line, thing, trail, now, events)

    def _is_inside(
        self, zone: Zone, share: float, thing: Thing, trail: Trail | None, now: Moment, events: list[Event]
    ) -> bool:
        """Say whether a thing is inside; note its entering and leaving."""
        stay = None if trail is None else trail.stays.get(zone.name)
        # A thing whose class is mistaken for a moment does not leave for it.
        inside = (stay is not None or zone.takes(thing.class_id)) and share >= zone.limit(inside=stay is not None)
        if trail is None:
            return inside
        if inside and stay is None:
            trail.stays[zone.name] = Stay(now.pts, thing.class_id)
            seen = trail.first_seen
            events.append(self._of_thing("entered", now, thing, zone=zone.name, share=round(share, 4), first_seen=seen))
        elif not inside and stay is not None:
            assert thing.track_id is not None
            self._leave(zone.name, thing.track_id, now, now.pts, None, events)
        return inside and zone.takes(thing.class_id)

    def _pass(self, line: Line, thing: Thing, trail: Trail | None, now: Moment, events: list[Event]) -> None:
        assert trail is not None
        assert thing.centre is not None
        assert self._size is not None
        if line.name not in trail.paths and not line.takes(thing.class_id):
            return
        direction = trail.paths.setdefault(line.name, CentrePath()).move(line, thing.centre, self._size)
        if direction is not None and line.takes(thing.class_id):
            events.append(self._of_thing("crossed", now, thing, zone=line.name, direction=direction))

    def _leave(
        self, zone: str, track_id: int, now: Moment, until: float | None, reason: str | None, events: list[Event]
    ) -> None:
        trail = self.trails[track_id]
        stay = trail.stays.pop(zone)
        events.append(
            self._event(
                "left",
                now,
                zone=zone,
                class_name=self._plan.class_names[stay.class_id],
                class_id=stay.class_id,
                track_id=track_id,
                dwell=_between(stay.since, until),
                reason=reason,
                last_seen=trail.last_seen if reason else None,
            )
        )

    def _end(self, track_id: int, now: Moment, reason: str, events: list[Event]) -> None:
        """Forget a track: it leaves where it was, as of when it was last seen."""
        trail = self.trails[track_id]
        for zone in list(trail.stays):
            self._leave(zone, track_id, now, trail.last_seen, reason, events)
        del self.trails[track_id]
        events.append(
            self._event(
                "gone",
                now,
                class_name=self._plan.class_names[trail.class_id],
                class_id=trail.class_id,
                track_id=track_id,
                dwell=_between(trail.first_seen, trail.last_seen),
                first_seen=trail.first_seen,
                last_seen=trail.last_seen,
                reason=None if reason == "gone" else reason,
            )
        )

    def _is_gone(self, trail: Trail, now: Moment) -> bool:
        if now.pts is None or trail.last_seen is None:
            return now.index - trail.last_index >= GONE_FRAMES
        return now.pts - trail.last_seen >= self._gone

    def _jumped_back(self, now: Moment) -> bool:
        last = self._last
        return last is not None and last.pts is not None and now.pts is not None and now.pts < last.pts

    def _of_thing(self, event: str, now: Moment, thing: Thing, **values: object) -> Event:
        name = self._plan.class_names[thing.class_id]
        return self._event(event, now, class_name=name, class_id=thing.class_id, track_id=thing.track_id, **values)

    def _event(self, event: str, now: Moment, **values: object) -> Event:
        pts = None if now.pts is None else round(now.pts, 6)
        rounded = {key: round(value, 6) if isinstance(value, float) else value for key, value in values.items()}
        return Event(event, self._source, now.index, pts, **rounded)  # type: ignore[arg-type]


def _between(since: float | None, until: float | None) -> float | None:
    return None if since is None or until is None else max(0.0, until - since)
