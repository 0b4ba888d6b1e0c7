"""Zones on clips of the drawn street, whose truth has lasting ids: counted again, slowly, on dense masks."""

import math

import numpy as np

from segrt.runtime.results import Label, PanopticResult, Segment
from segrt.runtime.streetworld import StreetWorld
from segrt.runtime.streetworld.taxonomy import CLASSES, STUFF
from segrt.runtime.zones.counting import GONE_SECONDS, ZoneCounter
from segrt.runtime.zones.shapes import Line, Zone, ZonePlan

SIZE, FPS, FRAMES = (72, 128), 5, 60
LABELS = tuple(Label(name, number, name not in STUFF, (number, 0, 0)) for number, name in enumerate(CLASSES))
ZONES = (
    Zone("left", polygon=((0.0, 0.3), (0.5, 0.4), (0.45, 1.0), (0.0, 1.0))),
    Zone("crossing", polygon=((0.25, 0.55), (0.75, 0.55), (0.9, 0.95), (0.1, 0.95)), share=0.3),
)
LINES = (Line("middle", start=(0.5, 0.3), end=(0.52, 1.0)), Line("bar", start=(0.1, 0.62), end=(0.9, 0.6)))
PLAN = ZonePlan(ZONES, LINES, tuple(CLASSES))


def truth(seed):
    """Yield the results that a perfect network and tracker would give."""
    world = StreetWorld(seed, busy=1.5)
    for index in range(FRAMES):
        view = world.render(index / FPS, SIZE)
        segments = []
        for one in view.segments:
            rows, columns = np.nonzero(view.segment_ids == one.id)
            left, top = int(columns.min()), int(rows.min())
            box = (left, top, int(columns.max()) + 1 - left, int(rows.max()) + 1 - top)
            isthing = LABELS[one.class_id].isthing
            track = one.id if isthing else None
            segments.append(Segment(one.id, one.class_id, isthing, 1.0, one.area, box, track_id=track))
        yield PanopticResult(view.segment_ids, segments, LABELS)


def in_zone(zone):
    """Return where the pixels' centres are inside, by the winding of its corners around each (bool (H, W))."""
    height, width = SIZE
    corners = np.array(zone.polygon) * (width, height)
    inside = np.zeros(SIZE, bool)
    for row in range(height):
        for column in range(width):
            rays = corners - (column + 0.5, row + 0.5)
            angles = np.arctan2(rays[:, 1], rays[:, 0])
            steps = np.diff(np.append(angles, angles[0]))
            inside[row, column] = abs(((steps + math.pi) % (2 * math.pi) - math.pi).sum()) > math.pi
    return inside


def cross(a, b, point):
    return (b[0] - a[0]) * (point[1] - a[1]) - (b[1] - a[1]) * (point[0] - a[0])


def slow_events(results):
    """Return (event, place, track, frame) and the counts of each frame, from dense masks alone."""
    masks = {zone.name: in_zone(zone) for zone in ZONES}
    inside, seen, sides, told, counts = set(), {}, {}, set(), []
    for index, result in enumerate(results):
        now, counted = index / FPS, {zone.name: {} for zone in ZONES}
        for segment in result.segments:
            if not segment.isthing:
                continue
            mask, track = result.segment_ids == segment.id, segment.id
            if track not in seen:
                told.add(("seen", None, track, index))
            seen[track] = now
            for zone in ZONES:
                share = (mask & masks[zone.name]).sum() / mask.sum()
                key = (zone.name, track)
                if share < (max(zone.share - 0.1, zone.share / 2) if key in inside else zone.share):
                    if key in inside:
                        told.add(("left", *key, index))
                        inside.discard(key)
                    continue
                if key not in inside:
                    told.add(("entered", *key, index))
                    inside.add(key)
                counted[zone.name][segment.name] = counted[zone.name].get(segment.name, 0) + 1
            rows, columns = np.nonzero(mask)
            centre = (columns.mean() + 0.5, rows.mean() + 0.5)
            for line in LINES:
                a, b = ((x * SIZE[1], y * SIZE[0]) for x, y in (line.start, line.end))
                away = cross(a, b, centre) / math.dist(a, b)
                if abs(away) < 0.005 * math.hypot(*SIZE):
                    continue
                before, sides[line.name, track] = sides.get((line.name, track)), (centre, away)
                around = before and cross(before[0], centre, a) * cross(before[0], centre, b) > 0
                if before and before[1] * away < 0 and not around:
                    told.add(("crossed", line.name, track, index))
        for track in [track for track, last in seen.items() if now - last >= GONE_SECONDS]:
            told |= {("left", zone, one, index) for zone, one in inside if one == track}
            inside = {key for key in inside if key[1] != track}
            sides = {key: value for key, value in sides.items() if key[1] != track}
            told.add(("gone", None, track, index))
            del seen[track]
        counts.append(counted)
    return told, counts


def test_counts_and_events_are_those_of_the_truth():
    found = dict.fromkeys(("entered", "left", "crossed", "gone"), 0)
    for seed in (3, 8):
        results = list(truth(seed))
        expected, counts = slow_events(results)
        for given in (results, [result.to_instances() for result in results]):
            counter, told = ZoneCounter(PLAN, "street"), set()
            for index, result in enumerate(given):
                update = counter.update(index, index / FPS, result)
                assert update.counts == counts[index]
                told |= {
                    (one.event, one.zone, one.track_id, one.index) for one in update.events if one.event != "count"
                }
            assert told == expected
        for event, *_ in expected:
            found[event] = found.get(event, 0) + 1
    assert min(found.values()) > 3, found
