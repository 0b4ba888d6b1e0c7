"""Which rules hold in a frame, and which ones begin to."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from segrt.runtime.zones.counting import Moment, Stay, Update, ZoneCounter
from segrt.runtime.zones.rules import Rule
from segrt.runtime.zones.shapes import ZonePlan
from segrt.runtime.zones.zone_events import Event

_EVENTS = {"enters": "entered", "leaves": "left", "crosses": "crossed"}


@dataclass(frozen=True)
class Verdict:
    """`met` are events of rules that begin to hold with this frame, `holding` those that hold in it."""

    met: tuple[Event, ...]
    holding: tuple[Rule, ...]


class RuleWatch:
    """Watches the rules of one source, frame by frame.

    `CLASS in ZONE` is met once for each stay of a thing, when it has lasted long enough, and holds until its end. Of
    things without tracks it is met when the first one is inside, and holds while any is.
    """

    def __init__(self, rules: Sequence[Rule], plan: ZonePlan, source: str, counter: ZoneCounter) -> None:
        self._rules, self._plan, self._source, self._counter = tuple(rules), plan, source, counter
        self._met: set[tuple[int, int]] = set()  # rule, track
        self._occupied: set[int] = set()  # rules, of things without tracks

    def change(self, rules: Sequence[Rule], plan: ZonePlan) -> None:
        """Watch these rules from now on; what was met of a rule that stays is not met again."""
        numbers = {rule.text: number for number, rule in enumerate(rules)}
        now = {number: numbers[rule.text] for number, rule in enumerate(self._rules) if rule.text in numbers}
        self._met = {(now[number], track_id) for number, track_id in self._met if number in now}
        self._occupied = {now[number] for number in self._occupied if number in now}
        self._rules, self._plan = tuple(rules), plan

    def look(self, now: Moment, update: Update) -> Verdict:
        """Return what holds after the counter's `update` of the frame `now`."""
        met: list[Event] = []
        holding: list[Rule] = []
        still: set[tuple[int, int]] = set()
        for number, rule in enumerate(self._rules):
            if rule.verb != "in":
                found = [event for event in update.events if self._is_of(rule, event)]
                met += [self._event(rule, now, event.class_id, event.track_id, event.direction) for event in found]
                if found:
                    holding.append(rule)
                continue
            stays = [one for one in self._stays(rule) if self._lasted(rule, one[1], now)]
            for track_id, stay in stays:
                still.add((number, track_id))
                if (number, track_id) not in self._met:
                    met.append(self._event(rule, now, stay.class_id, track_id))
            occupied = not rule.seconds and self._count(rule, update) > 0
            if occupied and not stays and update.tracked is False and number not in self._occupied:
                met.append(self._event(rule, now))
            self._occupied = self._occupied | {number} if occupied else self._occupied - {number}
            if stays or occupied:
                holding.append(rule)
        self._met = still
        return Verdict(tuple(met), tuple(holding))

    def _stays(self, rule: Rule) -> Iterator[tuple[int, Stay]]:
        for track_id, trail in self._counter.trails.items():
            stay = trail.stays.get(rule.place)
            if stay is not None and rule.takes(stay.class_id):
                yield track_id, stay

    def _lasted(self, rule: Rule, stay: Stay, now: Moment) -> bool:
        if not rule.seconds:
            return True
        return stay.since is not None and now.pts is not None and now.pts - stay.since >= rule.seconds

    def _count(self, rule: Rule, update: Update) -> int:
        counts = update.counts.get(rule.place, {})
        if rule.classes is None:
            return sum(counts.values())
        return sum(counts.get(name, 0) for name in {self._plan.class_names[one] for one in rule.classes})

    def _is_of(self, rule: Rule, event: Event) -> bool:
        if event.event != _EVENTS[rule.verb] or event.zone != rule.place or event.class_id is None:
            return False
        return rule.takes(event.class_id) and rule.direction in (None, event.direction)

    def _event(
        self,
        rule: Rule,
        now: Moment,
        class_id: int | None = None,
        track_id: int | None = None,
        direction: str | None = None,
    ) -> Event:
        return Event(
            "rule",
            self._source,
            now.index,
            None if now.pts is None else round(now.pts, 6),
            zone=rule.place,
            class_name=None if class_id is None else self._plan.class_names[class_id],
            class_id=class_id,
            track_id=track_id,
            direction=direction,
            rule=rule.text,
        )
