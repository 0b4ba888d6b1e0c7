"""When rules are met, and for how long they hold."""

import pytest
from tracked_things import LABELS

from segrt.runtime.zones.counting import Moment, ZoneCounter
from segrt.runtime.zones.rule_watch import RuleWatch
from segrt.runtime.zones.rules import read_rules
from segrt.runtime.zones.shapes import Line, Zone, ZonePlan

SIZE = (100, 200)
PLAN = ZonePlan(
    (Zone("door", polygon=((0.5, 0.0), (1.0, 0.0), (1.0, 1.0), (0.5, 1.0))),),
    (Line("gate", start=(0.5, 0.0), end=(0.5, 1.0)),),
    tuple(label.name for label in LABELS),
)


def watch(make, rules, frames, *, track=1, seconds=1.0):
    """Return of each frame the rules that are met and those that hold; `frames` are places of one person."""
    counter = ZoneCounter(PLAN)
    watched = RuleWatch(read_rules(rules, PLAN, "rule"), PLAN, "cam", counter)
    told = []
    for index, x in enumerate(frames):
        things = [] if x is None else [(track, 0, (x - 10, 40, x + 10, 60))]
        update = counter.update(index, index * seconds, make(SIZE, things))
        verdict = watched.look(Moment(index, index * seconds), update)
        told.append(([event.rule for event in verdict.met], [rule.text for rule in verdict.holding]))
    return told


def test_a_stay_that_lasts_meets_its_rule_once_and_holds_until_its_end(make):
    rule = "person in door for 3s"
    told = watch(make, [rule], [50, 150, 150, 150, 150, None, 150, 50, 150, 150])
    assert [met for met, _ in told] == [[], [], [], [], [rule], [], [], [], [], []]
    assert [bool(holding) for _, holding in told] == [False] * 4 + [True] * 3 + [False] * 3


def test_entering_leaving_and_crossing_are_met_in_the_frame_that_shows_them(make):
    rules = ["person enters door", "person leaves door", "anything crosses gate right to left", "car in door"]
    told = watch(make, rules, [50, 150, 150, 50])
    assert [met for met, _ in told] == [[], [rules[0], rules[2]], [], [rules[1]]]
    assert all(met == holding for met, holding in told)


@pytest.mark.parametrize("track", [1, None])
def test_being_inside_meets_a_rule_without_a_duration_with_tracks_and_without(make, track):
    told = watch(make, ["person in door"], [50, 150, 150, 50, 150], track=track)
    assert [bool(met) for met, _ in told] == [False, True, False, False, True]
    assert [bool(holding) for _, holding in told] == [False, True, True, False, True]


def test_a_rule_that_stays_is_not_met_again_by_other_rules_beside_it(make):
    counter, held = ZoneCounter(PLAN), "person in door"
    watched = RuleWatch(read_rules([held], PLAN, "rule"), PLAN, "cam", counter)

    def look(index):
        update = counter.update(index, float(index), make(SIZE, [(1, 0, (140, 40, 160, 60))]))
        return [event.rule for event in watched.look(Moment(index, float(index)), update).met]

    assert look(0) == [held]
    watched.change(read_rules(["anything in door", held], PLAN, "rule"), PLAN)
    assert look(1) == ["anything in door"]
    assert look(2) == []
