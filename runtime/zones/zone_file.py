"""Reads zones.json: named polygons and lines in shares of the picture, every mistake in one line with its remedy.

{"format": "1.0",
"zones": [{"name": "door", "polygon": [[0.1, 0.2], [0.4, 0.2], [0.4, 0.9]], "classes": ["person"], "share": 0.5}],
"lines": [{"name": "gate", "from": [0, 0.5], "to": [1, 0.5]}],
"rules": ["person in door for 3s"]}
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from segrt.runtime.console.suggestions import did_you_mean
from segrt.runtime.errors import SegrtError
from segrt.runtime.files.json_files import JsonError, convert_json, decode_json
from segrt.runtime.files.reading import read_bytes
from segrt.runtime.results import Label
from segrt.runtime.results.class_choice import ids_of_name, some_names
from segrt.runtime.zones.polygons import SMALLEST_AREA, area, crossing_edges, outside
from segrt.runtime.zones.rules import read_rules
from segrt.runtime.zones.shapes import Line, Place, Point, Zone, ZonePlan

FORMAT = (1, 0)
MOST_BYTES = 1 << 20
_MOST_PLACES, _MOST_CORNERS, _LONGEST_NAME = 64, 256, 64
_EXAMPLE = '{"format": "1.0", "zones": [{"name": "door", "polygon": [[0.1, 0.2], [0.4, 0.2], [0.4, 0.9]]}]}'


class _Document(msgspec.Struct):
    format: str
    zones: list[Any] = []
    lines: list[Any] = []
    rules: list[str] = []


class _ZoneEntry(msgspec.Struct):
    name: str
    polygon: list[Point]
    classes: list[str] | None = None
    share: float = 0.5
    source: str | None = None


class _LineEntry(msgspec.Struct, rename={"start": "from", "end": "to"}):
    name: str
    start: Point
    end: Point
    classes: list[str] | None = None
    source: str | None = None


def read_zones(path: str | Path, labels: Sequence[Label], technique: str = "panoptic") -> ZonePlan:
    """Return the zones of a file, their classes looked up in `labels`; `technique` is that of the results.

    Raises SegrtError, one line with file, zone, value and remedy.
    """
    return parse_zones(read_zone_bytes(Path(path)), str(path), labels, technique)


def read_zone_bytes(path: Path) -> bytes:
    """Return what a file of zones holds, 1 MB at most; raise SegrtError where it cannot be read."""
    try:
        return read_bytes(path, MOST_BYTES)
    except OSError as error:
        raise SegrtError(f"{path}: cannot be read ({error.strerror}); give a file such as {_EXAMPLE}") from None


def parse_zones(data: bytes, where: str, labels: Sequence[Label], technique: str = "panoptic") -> ZonePlan:
    """Return the zones in `data`, JSON; `where` names it in errors. Raises SegrtError as `read_zones`."""
    if technique == "semantic":
        raise SegrtError(
            f"{where}: zones count things, which semantic results do not tell apart; take an instance or panoptic "
            "bundle"
        )
    try:
        content: Any = decode_json(data)
        document: _Document = convert_json(content, _Document)
    except JsonError as error:
        what = str(error) if error.is_json else f"is no JSON ({error})"
        raise SegrtError(f"{where}: {what}; write it as {_EXAMPLE}") from None
    strict = _is_known_minor(document.format, where)
    if strict:
        _refuse_unknown(where, content, _Document)
    count = len(document.zones) + len(document.lines)
    if not 1 <= count <= _MOST_PLACES:
        raise SegrtError(f"{where}: holds {count} zones and lines; name 1 to {_MOST_PLACES}")
    reader = _Reader(where, labels, technique, strict)
    zones = tuple(reader.zone(entry, number) for number, entry in enumerate(document.zones))
    lines = tuple(reader.line(entry, number) for number, entry in enumerate(document.lines))
    plan = ZonePlan(zones, lines, tuple(label.name for label in labels), tuple(document.rules))
    read_rules(plan.rules, plan, f"{where}: rule")
    return plan


def _is_known_minor(version: str, where: str) -> bool:
    match = re.fullmatch(r"([0-9]{1,6})\.([0-9]{1,6})", version)
    if match is None:
        raise SegrtError(f'{where}: format must be "major.minor", but got {version!r}; write "format": "1.0"')
    if int(match[1]) != FORMAT[0]:
        raise SegrtError(f"{where}: has format {version}, but this segrt reads {FORMAT[0]}.x; write it as 1.0")
    return int(match[2]) <= FORMAT[1]


def _refuse_unknown(what: str, entry: Mapping[str, Any], kind: type[msgspec.Struct]) -> None:
    known = [field.encode_name for field in msgspec.structs.fields(kind)]
    for key in entry:
        if key not in known:
            meant = did_you_mean(key, known) or f"; keys are {', '.join(known)}"
            raise SegrtError(f"{what}: there is no key {key!r}{meant}")


class _Reader:
    """Turns the entries of one file into zones and lines; names may occur once."""

    def __init__(self, where: str, labels: Sequence[Label], technique: str, strict: bool) -> None:
        self._where, self._labels, self._technique, self._strict = where, labels, technique, strict
        self._names: dict[str, str] = {}

    def zone(self, entry: Any, number: int) -> Zone:
        """Return a zone."""
        what, read = self._entry(entry, "zone", number, _ZoneEntry)
        polygon = [(float(x), float(y)) for x, y in read.polygon]
        if len(polygon) > 1 and polygon[0] == polygon[-1]:  # closed by hand, as GeoJSON has it
            polygon.pop()
        self._check_polygon(what, polygon)
        if not 0 < read.share <= 1:
            raise SegrtError(f"{what}: share must be above 0 and at most 1, but got {read.share:g}; 0.5 is half a mask")
        place = self._place(what, read)
        return Zone(place.name, place.classes, place.source, tuple(polygon), read.share)

    def line(self, entry: Any, number: int) -> Line:
        """Return a line."""
        what, read = self._entry(entry, "line", number, _LineEntry)
        self._check_inside(what, (read.start, read.end), ("from", "to"))
        if read.start == read.end:
            raise SegrtError(f"{what}: from and to are the same point {_shown(read.start)}; give its two ends")
        place = self._place(what, read)
        return Line(place.name, place.classes, place.source, read.start, read.end)

    def _entry(self, entry: Any, kind: str, number: int, form: Any) -> tuple[str, Any]:
        """Return what the entry is called in errors, and the entry as `form`."""
        name = entry.get("name") if isinstance(entry, dict) else None
        what = f"{self._where}: {kind} {name!r}" if isinstance(name, str) else f"{self._where}: {kind}s[{number}]"
        if not isinstance(entry, dict):
            raise SegrtError(f"{what}: must be an object with a name; see {_EXAMPLE}")
        if self._strict:
            _refuse_unknown(what, entry, form)
        try:
            read = convert_json(entry, form)
        except JsonError as error:
            raise SegrtError(f"{what}: {error}; points are [x, y] in shares of width and height, 0 to 1") from None
        if not 1 <= len(read.name) <= _LONGEST_NAME or not read.name.isprintable() or read.name != read.name.strip():
            raise SegrtError(f"{what}: the name must have 1 to {_LONGEST_NAME} printable letters; give another one")
        before = self._names.get(read.name.casefold())
        if before is not None:
            raise SegrtError(f"{what}: there is a {before} of that name already; give each a name of its own")
        self._names[read.name.casefold()] = kind
        return what, read

    def _check_polygon(self, what: str, polygon: Sequence[Point]) -> None:
        if not 3 <= len(polygon) <= _MOST_CORNERS:
            raise SegrtError(f"{what}: has {len(polygon)} corners; give 3 to {_MOST_CORNERS}")
        self._check_inside(what, polygon, [f"corner {number}" for number in range(1, len(polygon) + 1)])
        for number, (one, other) in enumerate(zip(polygon, [*polygon[1:], polygon[0]], strict=True), 1):
            if one == other:
                raise SegrtError(f"{what}: corner {number} {_shown(one)} is there twice in a row; leave one out")
        if area(polygon) < SMALLEST_AREA and all(_on_one_line(polygon, at) for at in range(len(polygon))):
            raise SegrtError(f"{what}: has no area, its corners lie on one line; move one of them")
        edges = crossing_edges(polygon)
        if edges is not None:
            raise SegrtError(
                f"{what}: crosses itself, edge {edges[0]} meets edge {edges[1]} (edge 1 begins at corner 1); give the "
                "corners in their order around the zone, or make two zones of it"
            )
        if area(polygon) < SMALLEST_AREA:
            raise SegrtError(f"{what}: has no area ({area(polygon):.2g} of the picture); make it larger")

    def _check_inside(self, what: str, points: Sequence[Point], names: Sequence[str]) -> None:
        found = outside(points)
        if found is not None:
            number, point = found
            raise SegrtError(
                f"{what}: {names[number - 1]} {_shown(point)} is outside the picture; coordinates are shares of width "
                "and height, 0 to 1: divide pixels by the picture's size"
            )

    def _place(self, what: str, read: Any) -> Place:
        if read.classes is None:
            return Place(read.name, None, read.source)
        if not read.classes:
            raise SegrtError(f"{what}: classes is empty; name some, or leave it out for all things")
        chosen: set[int] = set()
        for name in read.classes:
            ids = ids_of_name(name, self._labels)
            if not ids:
                meant = did_you_mean(name, [label.name for label in self._labels])
                meant = meant or f"; it has {some_names(self._labels)}"
                raise SegrtError(f"{what}: the bundle has no class {name!r}{meant}")
            things = {one for one in ids if self._labels[one].isthing or self._technique == "instance"}
            if not things:
                raise SegrtError(f"{what}: class {name!r} is stuff, of which nothing can be counted; name things")
            chosen |= things
        return Place(read.name, frozenset(chosen), read.source)


def _on_one_line(polygon: Sequence[Point], at: int) -> bool:
    (ax, ay), (bx, by) = polygon[at - 1], polygon[at]
    return all(abs((bx - ax) * (y - ay) - (by - ay) * (x - ax)) < SMALLEST_AREA for x, y in polygon)


def _shown(point: Point) -> str:
    return f"[{point[0]:g}, {point[1]:g}]"
