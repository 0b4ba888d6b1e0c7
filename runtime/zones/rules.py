"""Rules as a text says them: class, zone, event, duration, and nothing beyond.

    CLASS in ZONE [for DURATION]      person in door for 3s
    CLASS enters ZONE, CLASS leaves ZONE
    CLASS crosses LINE [left to right | right to left]

`anything` stands for every class that the zone or line counts.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import click

from segrt.runtime.console.quantities import DURATION_SAID_LATER
from segrt.runtime.console.suggestions import did_you_mean
from segrt.runtime.errors import SegrtError
from segrt.runtime.zones.shapes import DIRECTIONS, Line, Place, Zone, ZonePlan

ANYTHING = "anything"
VERBS = {"in": Zone, "enters": Zone, "leaves": Zone, "crosses": Line}
FORMS = "'CLASS in ZONE', 'CLASS in ZONE for 3s', 'CLASS enters ZONE', 'CLASS leaves ZONE' or 'CLASS crosses LINE'"
_DURATION = re.compile(r"(.+?)\s+for\s+(\d+(?:\.\d+)?\s*[a-z]*)", re.IGNORECASE)


@dataclass(frozen=True)
class Rule:
    """`classes` are positions in the labels, None for anything; `place` is a zone's or line's name.

    `verb` is in, enters, leaves or crosses; `seconds` is how long it must last, `direction` where it must go.
    """

    text: str
    classes: frozenset[int] | None
    verb: str
    place: str
    seconds: float = 0.0
    direction: str | None = None

    @property
    def needs_tracks(self) -> bool:
        """Whether it speaks of one thing over time, not of what is in a picture."""
        return self.verb != "in" or self.seconds > 0

    def takes(self, class_id: int) -> bool:
        """Say whether it speaks of things of this class."""
        return self.classes is None or class_id in self.classes


def read_rules(texts: Iterable[str], plan: ZonePlan, what: str) -> tuple[Rule, ...]:
    """Return the rules of these texts; `what` stands before each in errors. Raises SegrtError with a remedy."""
    return tuple(read_rule(text, plan, f"{what} {text!r}") for text in texts)


def read_rule(text: str, plan: ZonePlan, what: str) -> Rule:
    """Return the rule; `what` names it in errors. Raises SegrtError for what is no rule, or names what there is not."""
    words = text.split()
    spots = [at for at in range(1, len(words) - 1) if words[at].casefold() in VERBS]
    if not spots:
        raise SegrtError(f"{what}: is no rule{_meant_verb(words)}; write {FORMS}")
    problems: list[str] = []
    found: list[Rule] = []
    for at in spots:  # names may hold these words, too
        try:
            found.append(_rule(text, words, at, plan))
        except ValueError as problem:  # noqa: PERF203
            problems.append(str(problem))
    if not found:
        raise SegrtError(f"{what}: {problems[0]}")
    if len(found) > 1:
        raise SegrtError(f"{what}: can be read in two ways; give the zone or line a name without {words[spots[0]]!r}")
    return found[0]


def _rule(text: str, words: Sequence[str], at: int, plan: ZonePlan) -> Rule:
    """Read the words with the verb at `at`; raise ValueError that says what is wrong."""
    verb = words[at].casefold()
    name, rest = " ".join(words[:at]), " ".join(words[at + 1 :])
    places: list[Place] = [*plan.zones, *plan.lines]
    seconds, direction = 0.0, None
    place = _named(rest, places)
    if place is None:
        if (match := _DURATION.fullmatch(rest)) is not None:
            rest, seconds = match[1], _seconds(match[2])
        for known in DIRECTIONS:
            if rest.casefold().endswith(f" {known}"):
                rest, direction = rest[: -len(known)].strip(), known
        place = _named(rest, places)
    if place is None:
        raise ValueError(f"there is no zone or line {rest!r}{_meant(rest, [known.name for known in places])}")
    if not isinstance(place, VERBS[verb]):
        kind = "zone, which is no line" if isinstance(place, Zone) else "line, which has no inside"
        verbs = " or ".join(known for known, takes in VERBS.items() if isinstance(place, takes))
        raise ValueError(f"{place.name!r} is a {kind}; say {verbs} instead of {verb}")
    if seconds and verb != "in":
        raise ValueError(f"a duration goes with in alone: {ANYTHING} in {place.name} for {seconds:g}s")
    if direction and verb != "crosses":
        raise ValueError(f"a direction goes with crosses alone; leave {direction!r} out")
    return Rule(text, _classes(name, place, plan), verb, place.name, seconds, direction)


def _classes(name: str, place: Place, plan: ZonePlan) -> frozenset[int] | None:
    named = {number for number, known in enumerate(plan.class_names) if known.casefold() == name.casefold()}
    if not named and name.casefold() == ANYTHING:
        return None
    if not named:
        names = list(dict.fromkeys(plan.class_names))
        raise ValueError(f"the bundle has no class {name!r}{_meant(name, [*names, ANYTHING])}")
    if not any(place.takes(number) for number in named):
        counted = ", ".join(plan.class_names[number] for number in sorted(place.classes or ()))
        raise ValueError(f"{place.name!r} counts {counted} alone, so this never happens; add {name!r} to its classes")
    return frozenset(named)


def _named(name: str, places: Iterable[Place]) -> Place | None:
    return next((place for place in places if place.name.casefold() == name.casefold()), None)


def _seconds(text: str) -> float:
    try:
        return float(DURATION_SAID_LATER.convert(text, None, None))
    except click.UsageError as error:
        raise ValueError(f"the duration {error.message}") from None


def _meant(name: str, names: Sequence[str]) -> str:
    if not names:
        return "; there is none yet"
    return did_you_mean(name, names) or f"; there are {', '.join(names[:8])}{' …' if len(names) > 8 else ''}"


def _meant_verb(words: Sequence[str]) -> str:
    for word in words[1:-1]:
        meant = did_you_mean(word, VERBS)
        if meant:
            return f": {word!r} says nothing{meant[:-1]}"
    return ""
