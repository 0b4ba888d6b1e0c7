"""Things that move through zones and over lines, and exactly the events of it."""

import json

import numpy as np
import pytest
from tracked_things import LABELS, panoptic

from segrt.runtime.postproc import MaskRuns
from segrt.runtime.results import rle
from segrt.runtime.zones.counting import ZoneCounter
from segrt.runtime.zones.run_sums import centres_of
from segrt.runtime.zones.shapes import Line, Zone, ZonePlan
from segrt.runtime.zones.zone_events import line_of_event
from segrt.runtime.zones.zone_masks import ZoneMasks, mask_of

NAMES = tuple(label.name for label in LABELS)
PERSON, CAR = 0, 1
SIZE = (100, 200)
DOOR = Zone("door", polygon=((0.5, 0.0), (1.0, 0.0), (1.0, 1.0), (0.5, 1.0)))  # the right half
GATE = Line("gate", start=(0.25, 0.0), end=(0.25, 1.0))  # from the top down: its left is the picture's right


def plan(*places):
    zones = tuple(place for place in places if isinstance(place, Zone))
    return ZonePlan(zones, tuple(place for place in places if isinstance(place, Line)), NAMES)


def at(x, track=7, kind=PERSON):
    """Return a thing of 20 x 20 pixels whose middle is x pixels from the left."""
    return (track, kind, (x - 10, 40, x + 10, 60))


def short(events):
    return [
        " ".join(str(part) for part in (event.event, event.zone, event.class_name, event.track_id) if part is not None)
        for event in events
    ]


def run(counter, make, places, *, seconds=0.1):
    """Return what each frame tells of one person at these places, None for no person."""
    return [
        short(counter.update(index, index * seconds, make(SIZE, [] if x is None else [at(x)])).events)
        for index, x in enumerate(places)
    ]


def test_a_person_walks_over_the_line_into_the_zone_and_out_again(make):
    counter = ZoneCounter(plan(DOOR, GATE), "cam")
    told = run(counter, make, [30, 49, 51, 70, 98, 101, 130, 101, 98, 96, 40])
    assert told == [
        ["seen person 7"],
        [],  # nearer to the line than its margin
        [],
        ["crossed gate person 7"],
        [],  # 40 % inside, or a column more
        ["entered door person 7", "count door"],
        [],
        [],
        [],  # it has not left yet
        ["left door person 7", "count door"],
        ["crossed gate person 7"],
    ]


def test_events_say_when_where_and_for_how_long(make):
    counter = ZoneCounter(plan(DOOR, GATE), "cam")
    events = []
    for index, x in enumerate([30, 70, 130, 130, 40]):
        events += counter.update(index, 10 + index / 2, make(SIZE, [at(x)])).events
    common = {"format": "1.0", "source": "cam"}
    person = {"class": "person", "class_id": 0, "track_id": 7}
    door, gate = {"zone": "door", **person}, {"zone": "gate", **person}
    assert [json.loads(line_of_event(event)) for event in events] == [
        {**common, "event": "seen", "index": 0, "pts": 10.0, **person},
        {**common, "event": "crossed", "index": 1, "pts": 10.5, **gate, "direction": "right to left"},
        {**common, "event": "entered", "index": 2, "pts": 11.0, **door, "share": 1.0, "first_seen": 10.0},
        {**common, "event": "count", "index": 2, "pts": 11.0, "zone": "door", "counts": {"person": 1}},
        {**common, "event": "left", "index": 4, "pts": 12.0, **door, "dwell": 1.0},
        {**common, "event": "crossed", "index": 4, "pts": 12.0, **gate, "direction": "left to right"},
        {**common, "event": "count", "index": 4, "pts": 12.0, "zone": "door", "counts": {}},
    ]


def test_a_thing_unseen_for_two_seconds_is_gone_as_of_when_it_was_last_seen(make):
    counter = ZoneCounter(plan(DOOR))
    counter.update(0, 0.0, make(SIZE, [at(150)]))
    counter.update(1, 1.0, make(SIZE, [at(150)]))
    hidden = counter.update(2, 2.9, make(SIZE, []))
    assert short(hidden.events) == ["count door"]
    back = counter.update(3, 2.95, make(SIZE, [at(150)]))
    assert short(back.events) == ["count door"], "it has not left meanwhile"
    left, gone, _ = counter.update(4, 5.0, make(SIZE, [])).events
    assert (left.event, left.reason, left.dwell, left.last_seen) == ("left", "gone", 2.95, 2.95)
    assert (gone.event, gone.dwell, gone.first_seen, gone.last_seen) == ("gone", 2.95, 0.0, 2.95)
    assert counter.trails == {}


def test_times_that_jump_back_end_every_stay_and_begin_anew(make):
    counter = ZoneCounter(plan(DOOR))
    counter.update(0, 5.0, make(SIZE, [at(150)]))
    counter.update(1, 6.0, make(SIZE, [at(150)]))
    left, gone, seen, entered = counter.update(2, 0.0, make(SIZE, [at(150)])).events
    assert (left.event, left.reason, left.dwell) == ("left", "time jumped back", 1.0)
    assert (gone.event, gone.reason) == ("gone", "time jumped back")
    assert (seen.event, entered.event, entered.first_seen) == ("seen", "entered", 0.0)
    assert [event.dwell for event in counter.finish()] == [0.0, 0.0]


def test_a_source_that_changes_size_is_rasterised_anew(make):
    counter = ZoneCounter(plan(DOOR))
    assert counter.update(0, 0.0, make((100, 200), [at(150)])).counts == {"door": {"person": 1}}
    small = counter.update(1, 0.1, make((50, 100), [(7, PERSON, (70, 20, 80, 30))]))
    assert (small.counts, small.events) == ({"door": {"person": 1}}, ())
    assert counter.update(2, 0.2, make((50, 100), [(7, PERSON, (10, 20, 20, 30))])).counts == {"door": {}}


def test_without_tracks_things_are_counted_and_nothing_else(make):
    counter = ZoneCounter(plan(DOOR, GATE))
    things = [at(150, None), at(40, None), at(120, None, CAR)]
    update = counter.update(0, 0.0, make(SIZE, things))
    assert update.counts == {"door": {"car": 1, "person": 1}}
    assert short(update.events) == ["count door"]
    assert update.tracked is False
    assert short(counter.update(1, 0.1, make(SIZE, things)).events) == []


def test_zones_count_their_classes_and_lines_theirs(make):
    door = Zone("door", classes=frozenset({CAR}), polygon=DOOR.polygon)
    gate = Line("gate", classes=frozenset({CAR}), start=GATE.start, end=GATE.end)
    counter = ZoneCounter(plan(door, gate))
    told = [
        short(counter.update(index, index / 10, make(SIZE, [at(x, 1), at(x + 1, 2, CAR)])).events)
        for index, x in enumerate([20, 80, 150])
    ]
    assert told == [["seen car 2"], ["crossed gate car 2"], ["entered door car 2", "count door"]]


def test_who_walks_around_the_end_of_a_line_does_not_cross_it():
    line = Line("step", start=(0.5, 0.6), end=(0.5, 1.0))
    counter = ZoneCounter(plan(line))
    walk = [(60, 80), (60, 20), (140, 20), (140, 80)]
    told = [
        short(counter.update(index, index / 10, panoptic(SIZE, [(1, PERSON, (x - 5, y - 5, x + 5, y + 5))])).events)
        for index, (x, y) in enumerate(walk)
    ]
    assert told == [["seen person 1"], [], [], []]


def test_a_source_without_times_has_no_dwell_and_forgets_by_frames(make):
    counter = ZoneCounter(plan(DOOR))
    counter.update(0, None, make(SIZE, [at(150)]))
    assert short(counter.update(49, None, make(SIZE, [])).events) == ["count door"]
    left, gone = counter.update(50, None, make(SIZE, [])).events
    assert (left.reason, left.dwell, gone.dwell) == ("gone", None, None)


@pytest.mark.parametrize("seed", range(20))
def test_sums_over_runs_are_those_over_pixels(seed):
    rng = np.random.default_rng(seed)
    height, width = rng.integers(1, 60, 2)
    mask = rng.random((height, width)) < rng.uniform(0.05, 1)
    mask[rng.integers(height), rng.integers(width)] = True
    if seed % 3 == 0:
        mask = np.kron(mask, np.ones((9, 40), bool))  # long runs
    zones = [Zone(str(at), polygon=tuple(map(tuple, rng.random((3, 2))))) for at in range(3)]
    in_zones = np.zeros((3, *mask.shape), bool)
    for inside, zone in zip(in_zones, (mask_of(zone, mask.shape) for zone in zones), strict=True):
        inside[zone.cut] = zone.inside
    rows, columns = np.nonzero(mask)
    masks = ZoneMasks(zones, mask.shape)
    for runs in (MaskRuns.of_rles([rle.encode(mask)]), MaskRuns.of_map(mask.view(np.uint8), [1])):
        assert centres_of(runs)[0] == pytest.approx((columns.mean() + 0.5, rows.mean() + 0.5))
        shared = runs.shared(masks.runs(by_columns=runs.by_columns))
        assert shared.tolist() == [(in_zones & mask).sum(axis=(1, 2)).tolist()]
    assert centres_of(MaskRuns.of_map(mask.view(np.uint8), [9, 1]))[0] is None


def test_a_zone_has_the_pixels_whose_centres_are_inside():
    quarter = Zone("q", polygon=((0.25, 0.5), (0.75, 0.5), (0.75, 1.0), (0.25, 1.0)))
    whole = Zone("w", polygon=((0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0)))
    sliver = Zone("s", polygon=((0.5, 0.501), (0.6, 0.501), (0.6, 0.502)))
    one, all_of_it, speck = (mask_of(zone, (40, 80)) for zone in (quarter, whole, sliver))
    assert (one.cut, one.inside.all()) == ((slice(20, 40), slice(20, 60)), True)
    assert (all_of_it.inside.shape, all_of_it.inside.all()) == ((40, 80), True)
    assert speck.inside.sum() == 1


@pytest.mark.parametrize("seed", range(10))
def test_zones_that_share_edges_share_no_pixel_and_leave_none_out(seed):
    rng = np.random.default_rng(seed)
    middle = tuple(rng.uniform(0.1, 0.9, 2))
    corners = [(0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0)]
    parts = [Zone(str(at), polygon=(corners[at - 1], corners[at], middle)) for at in range(4)]
    total = np.zeros((37, 53), int)
    for mask in (mask_of(part, total.shape) for part in parts):
        total[mask.cut] += mask.inside
    assert (total == 1).all()


def test_another_plan_keeps_what_stays_and_ends_what_goes(make):
    yard = Zone("yard", polygon=((0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0)))
    hall = Zone("hall", polygon=((0.5, 0.0), (0.9, 0.0), (0.9, 1.0), (0.5, 1.0)))
    counter = ZoneCounter(plan(DOOR, yard, hall, GATE))
    run(counter, make, [30, 150])
    narrower = Zone("yard", polygon=((0.0, 0.0), (0.4, 0.0), (0.4, 1.0), (0.0, 1.0)))
    people = Zone("hall", classes=frozenset({CAR}), polygon=hall.polygon)
    told = counter.change(plan(DOOR, narrower, people, GATE), 2, 0.2)
    assert short(told) == ["left hall person 7"], "what counts no persons any more"
    assert (told[0].reason, told[0].dwell) == ("zones changed", 0.0)
    update = counter.update(2, 0.2, make(SIZE, [at(150)]))
    assert short(update.events) == ["left yard person 7", "count yard", "count hall"]
    assert update.events[0].dwell == pytest.approx(0.2)
    assert update.counts == {"door": {"person": 1}, "yard": {}, "hall": {}}
    told = counter.change(plan(narrower), 3, 0.3)
    assert short(told) == ["left door person 7", "count door"]
    assert told[1].counts == {}
    counter.change(plan(DOOR, GATE), 4, 0.4)
    update = counter.update(4, 0.4, make(SIZE, [at(30)]))
    assert short(update.events) == [], "the way over a line that was gone is not a crossing"


def test_a_line_that_stays_is_crossed_over_a_change_of_plan(make):
    counter = ZoneCounter(plan(DOOR, GATE))
    run(counter, make, [30])
    counter.change(plan(GATE), 1, 0.1)
    assert short(counter.update(1, 0.1, make(SIZE, [at(80)])).events) == ["crossed gate person 7"]
