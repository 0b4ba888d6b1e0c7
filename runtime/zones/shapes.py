"""Zones, lines and the plan that holds them: checked, in shares of the picture's width and height."""

from dataclasses import dataclass, replace

Point = tuple[float, float]
"""(x, y) in shares of the picture's width and height, 0 to 1."""

LEFT_TO_RIGHT, RIGHT_TO_LEFT = "left to right", "right to left"
DIRECTIONS = (LEFT_TO_RIGHT, RIGHT_TO_LEFT)
LEAVE_MARGIN = 0.1
"""A thing that is inside leaves when its share falls this much below what it entered with: masks tremble."""


@dataclass(frozen=True)
class Place:
    """What zones and lines have: `classes` are the positions in the labels that count, None for all things.

    `source` limits it to one source, by its id or the name that its files bear; None is all.
    """

    name: str
    classes: frozenset[int] | None = None
    source: str | None = None

    def takes(self, class_id: int) -> bool:
        """Say whether things of this class count."""
        return self.classes is None or class_id in self.classes


@dataclass(frozen=True)
class Zone(Place):
    """A polygon. A thing is inside when `share` of its mask or more is (0 to 1)."""

    polygon: tuple[Point, ...] = ()
    share: float = 0.5

    def limit(self, *, inside: bool) -> float:
        """Return the least share with which a thing is inside now, given whether it was before."""
        return max(self.share - LEAVE_MARGIN, self.share / 2) if inside else self.share


@dataclass(frozen=True)
class Line(Place):
    """A line from `start` to `end`; its sides are those of somebody who stands at its start and looks to its end."""

    start: Point = (0.0, 0.0)
    end: Point = (1.0, 1.0)


@dataclass(frozen=True)
class ZonePlan:
    """All zones and lines, the names of the classes (positions in the labels), and the texts of the file's rules."""

    zones: tuple[Zone, ...]
    lines: tuple[Line, ...]
    class_names: tuple[str, ...]
    rules: tuple[str, ...] = ()

    def of_source(self, *names: str) -> "ZonePlan":
        """Return the zones and lines of one source, which has these names."""
        zones = tuple(zone for zone in self.zones if zone.source is None or zone.source in names)
        lines = tuple(line for line in self.lines if line.source is None or line.source in names)
        return replace(self, zones=zones, lines=lines)

    def takes(self, class_id: int) -> bool:
        """Say whether any zone or line counts things of this class."""
        return any(place.takes(class_id) for place in (*self.zones, *self.lines))
