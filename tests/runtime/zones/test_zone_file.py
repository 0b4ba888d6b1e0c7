"""What a zones file may say, and what is refused, in one line that names file, zone, value and remedy."""

import json

import pytest
from tracked_things import LABELS

from segrt.runtime.errors import SegrtError
from segrt.runtime.zones.rules import Rule, read_rule
from segrt.runtime.zones.shapes import LEFT_TO_RIGHT
from segrt.runtime.zones.zone_file import parse_zones, read_zones

DOOR = {"name": "door", "polygon": [[0.1, 0.2], [0.4, 0.2], [0.4, 0.9], [0.1, 0.9]]}
GATE = {"name": "gate", "from": [0, 0.5], "to": [1, 0.5]}


def parsed(technique="panoptic", **content):
    data = {"format": "1.0", "zones": [DOOR], "lines": [GATE], **content}
    return parse_zones(json.dumps(data).encode(), "z.json", LABELS, technique)


def door(**values):
    return {"zones": [{**DOOR, **values}]}


def test_a_file_says_zones_lines_classes_and_rules(tmp_path):
    path = tmp_path / "zones.json"
    zone = {**DOOR, "classes": ["Person", "car"], "share": 0.25, "source": "cam"}
    closed = {"name": "closed by hand", "polygon": [[0, 0], [1, 0], [1, 1], [0, 0]]}
    path.write_text(json.dumps({"format": "1.0", "zones": [zone, closed], "lines": [GATE], "rules": ["car in door"]}))
    plan = read_zones(path, LABELS)
    assert plan.zones[0].classes == {0, 1}
    assert (plan.zones[0].share, plan.zones[0].source) == (0.25, "cam")
    assert plan.zones[1].polygon == ((0, 0), (1, 0), (1, 1))
    assert (plan.lines[0].start, plan.lines[0].end, plan.lines[0].classes) == ((0, 0.5), (1, 0.5), None)
    assert plan.rules == ("car in door",)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (door(polygon=[[0.1, 0.2], [0.4, 0.2]]), r"z.json: zone 'door': has 2 corners; give 3 to 256"),
        (
            door(polygon=[[0.1, 0.2], [640, 0.2], [0.4, 0.9]]),
            r"zone 'door': corner 2 \[640, 0.2\] is outside the picture; .* divide pixels by the picture's size",
        ),
        (
            door(polygon=[[0.1, 0.1], [0.9, 0.9], [0.9, 0.1], [0.1, 0.9]]),
            r"zone 'door': crosses itself, edge 1 meets edge 3 .*in their order around the zone",
        ),
        (door(polygon=[[0, 0], [1, 0], [1, 1], [0.5, 0], [0, 1]]), r"crosses itself, edge 1 meets edge 3"),
        (door(polygon=[[0.1, 0.1], [0.5, 0.5], [0.9, 0.9]]), r"zone 'door': has no area, its corners lie on one line"),
        (door(polygon=[[0, 0], [0.0001, 0], [0.0001, 0.0001]]), r"zone 'door': has no area"),
        (door(polygon=[[0, 0], [1, 0], [1, 0], [1, 1]]), r"corner 2 \[1, 0\] is there twice in a row"),
        ({"lines": [{**GATE, "name": "Door"}]}, r"line 'Door': there is a zone of that name already"),
        ({"lines": [{**GATE, "to": [0, 0.5]}]}, r"line 'gate': from and to are the same point \[0, 0.5\]"),
        ({"lines": [{**GATE, "to": [1, 1.5]}]}, r"line 'gate': to \[1, 1.5\] is outside the picture"),
        (door(classes=["persn"]), r"zone 'door': the bundle has no class 'persn'; did you mean 'person'\?"),
        (door(classes=["road"]), r"zone 'door': class 'road' is stuff"),
        (door(classes=[]), r"zone 'door': classes is empty"),
        (door(colour="red"), r"zone 'door': there is no key 'colour'; keys are name, polygon"),
        (door(classs=["car"]), r"zone 'door': there is no key 'classs'; did you mean 'classes'\?"),
        ({"zone": []}, r"z.json: there is no key 'zone'; did you mean 'zones'\?"),
        (door(share=0), r"zone 'door': share must be above 0 and at most 1, but got 0"),
        (door(name="a\nb"), r"name must have 1 to 64 printable letters"),
        (door(polygon="square"), r"zone 'door': Expected `array`, got `str`.*points are \[x, y\]"),
        ({"zones": [[1, 2]]}, r"zones\[0\]: must be an object with a name"),
        ({"zones": [], "lines": []}, r"holds 0 zones and lines"),
        ({"format": "2.0"}, r"has format 2.0, but this segrt reads 1.x"),
        ({"format": "one"}, r'format must be "major.minor", but got \'one\''),
        ({"technique": "semantic"}, r"zones count things, which semantic results do not tell apart"),
        ({"rules": ["persn in door"]}, r"rule 'persn in door': the bundle has no class 'persn'; did you mean 'person'"),
    ],
)
def test_what_is_wrong_is_refused_in_one_line(content, message):
    with pytest.raises(SegrtError, match=message) as failure:
        parsed(**content)
    assert "\n" not in str(failure.value)
    assert str(failure.value).startswith("z.json: ")


def test_a_newer_minor_format_may_hold_more():
    assert parsed(format="1.7", future=[], **door(colour="red")).zones[0].name == "door"


def test_what_cannot_be_read_or_is_no_json_says_what_to_write(tmp_path):
    with pytest.raises(SegrtError, match=r"nosuch.json: cannot be read .*; give a file such as {\"format\""):
        read_zones(tmp_path / "nosuch.json", LABELS)
    with pytest.raises(SegrtError, match=r"z.json: is no JSON"):
        parse_zones(b"{", "z.json", LABELS)


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("person in door", (frozenset({0}), "in", "door", 0, None)),
        ("Person IN Door for 3s", (frozenset({0}), "in", "door", 3, None)),
        ("anything in door for 1.5 min", (None, "in", "door", 90, None)),
        ("car enters door", (frozenset({1}), "enters", "door", 0, None)),
        ("car crosses gate left to right", (frozenset({1}), "crosses", "gate", 0, LEFT_TO_RIGHT)),
        ("person in area in front", (frozenset({0}), "in", "area in front", 0, None)),
    ],
)
def test_rules_are_class_verb_place_and_duration(text, rule):
    plan = parsed(zones=[DOOR, {**DOOR, "name": "area in front"}])
    assert read_rule(text, plan, "rule") == Rule(text, *rule)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("person", "is no rule; write 'CLASS in ZONE'"),
        ("person entrs door", "'entrs' says nothing; did you mean 'enters'"),
        ("person in dor", "there is no zone or line 'dor'; did you mean 'door'"),
        ("bicycle in door", "the bundle has no class 'bicycle'"),
        ("person in gate", "'gate' is a line, which has no inside; say crosses"),
        ("person crosses door", "'door' is a zone, which is no line; say in or enters or leaves"),
        ("person enters door for 3s", "a duration goes with in alone"),
        ("person in door for 3 weeks", "the duration must be a duration such as 500ms"),
        ("person in door left to right", "a direction goes with crosses alone"),
        ("car in hall", "'hall' counts person alone, so this never happens"),
    ],
)
def test_what_is_no_rule_is_refused_with_what_to_write(text, message):
    plan = parsed(zones=[DOOR, {**DOOR, "name": "hall", "classes": ["person"]}])
    with pytest.raises(SegrtError, match=message):
        read_rule(text, plan, "--record-on")
