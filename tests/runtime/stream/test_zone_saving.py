"""Zones that are saved while a stream runs: checked, written whole, counted by from the next frame on."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest
from walkers import DOOR, LABELS, lines_of, run

from segrt.runtime.errors import SegrtError
from segrt.runtime.stream.events.event_kinds import open_events
from segrt.runtime.stream.zone_plans import PlanReader
from segrt.runtime.stream.zone_saving import ZoneSaving, ZonesChangedError
from segrt.runtime.stream.zones_step import ZonesStep

DOOR_ENTRY = {"name": "door", "polygon": DOOR.polygon}
LEFT_ENTRY = {"name": "left", "polygon": [[0, 0], [0.5, 0], [0.5, 1], [0, 1]]}


def document(*zones, **more):
    return json.dumps({"format": "1.0", "zones": zones, **more}).encode()


def saving_at(path, **options):
    return ZoneSaving(path, PlanReader(LABELS, "panoptic", **options))


def test_what_is_saved_is_the_file_and_what_was_before_lies_beside_it(tmp_path):
    path = tmp_path / "zones.json"
    saving = saving_at(path)
    assert (saving.revision, saving.planned.plan.zones) == ("", ()), "a file that is not there yet"
    saving.save(document(DOOR_ENTRY), "")
    path.chmod(0o640)
    saving.save(document(LEFT_ENTRY))
    assert path.read_bytes() == document(LEFT_ENTRY)
    assert (tmp_path / "zones.json.bak").read_bytes() == document(DOOR_ENTRY)
    assert path.stat().st_mode & 0o777 == 0o640
    assert (tmp_path / "zones.json.bak").stat().st_mode & 0o777 == 0o640
    assert [zone.name for zone in saving.planned.plan.zones] == ["left"]
    assert saving_at(path).revision == saving.revision
    assert sorted(file.name for file in tmp_path.iterdir()) == ["zones.json", "zones.json.bak"]


@pytest.mark.parametrize(
    ("data", "options", "message"),
    [
        (b"{", {}, "zones.json"),
        (document(), {}, "holds 0 zones and lines"),
        (document({"name": "door", "polygon": [[0, 0], [2, 0], [1, 1]]}), {}, "zone 'door': corner 2 .* outside"),
        (document({**DOOR_ENTRY, "classes": ["dog"]}), {}, "has no class 'dog'"),
        (document({**DOOR_ENTRY, "source": "cm"}), {}, "source 'cm', which there is not; did you mean 'cam'"),
        (document(DOOR_ENTRY, rules=["person in dor"]), {}, "there is no zone or line 'dor'"),
        (document(DOOR_ENTRY, rules=["person enters door"]), {}, "add --track"),
        (document(LEFT_ENTRY), {"recorded": ("person in door",)}, "--record-on 'person in door': there is no zone"),
    ],
)
def test_what_is_not_right_is_refused_in_one_line_and_changes_nothing(tmp_path, data, options, message):
    path = tmp_path / "zones.json"
    path.write_bytes(document(DOOR_ENTRY))
    saving = saving_at(path, **options)
    saving.sources = ("cam",)
    planned = saving.planned
    with pytest.raises(SegrtError, match=message) as refusal:
        saving.save(data)
    assert "\n" not in str(refusal.value)
    assert saving.planned is planned
    assert path.read_bytes() == document(DOOR_ENTRY)


def test_the_page_never_has_older_zones_than_its_revision_says(tmp_path):
    path = tmp_path / "zones.json"
    path.write_bytes(document(DOOR_ENTRY))
    saving = saving_at(path)
    before, seen = saving.revision, []
    saving.on_saved = lambda plan: seen.append(([zone.name for zone in plan.zones], saving.revision))
    assert saving.save(document(LEFT_ENTRY)) == saving.revision != before
    assert seen == [(["left"], before)]


def test_what_others_have_changed_meanwhile_is_not_lost(tmp_path):
    path = tmp_path / "zones.json"
    path.write_bytes(document(DOOR_ENTRY))
    saving = saving_at(path)
    with pytest.raises(ZonesChangedError, match=r"zones\.json: was saved by another page meanwhile"):
        saving.save(document(LEFT_ENTRY), "another")
    path.write_bytes(document(LEFT_ENTRY))
    with pytest.raises(ZonesChangedError, match="was changed on the device since it was read"):
        saving.save(document(DOOR_ENTRY), saving.revision)
    assert path.read_bytes() == document(LEFT_ENTRY)


def test_a_folder_that_takes_no_file_is_said_at_the_start(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(SegrtError, match="cannot be made a folder"):
        saving_at(tmp_path / "file" / "zones.json")


def test_a_killed_process_leaves_a_whole_file(tmp_path):
    program = """
import itertools, json, sys
from pathlib import Path
from segrt.runtime.results import Label
from segrt.runtime.stream.zone_plans import PlanReader
from segrt.runtime.stream.zone_saving import ZoneSaving
saving = ZoneSaving(Path(sys.argv[1]), PlanReader((Label("person", 0, True, (1, 2, 3)),), "panoptic"))
for number in itertools.count():
    zones = [{"name": f"{number} {other}", "polygon": [[0, 0], [0.5, 0], [0.5, 1]]} for other in range(60)]
    saving.save(json.dumps({"format": "1.0", "zones": zones}).encode())
"""
    path = tmp_path / "zones.json"
    process = subprocess.Popen([sys.executable, "-c", program, path], stderr=subprocess.DEVNULL)
    while not (tmp_path / "zones.json.bak").exists():
        assert process.poll() is None
        time.sleep(0.01)
    time.sleep(0.1)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert len(saving_at(path).planned.plan.zones) == 60
    assert len(json.loads((tmp_path / "zones.json.bak").read_bytes())["zones"]) == 60


def test_the_stream_counts_by_what_was_saved_from_the_next_frame_on(fakes, tmp_path):
    path, out = tmp_path / "zones.json", tmp_path / "events.jsonl"
    path.write_bytes(document(DOOR_ENTRY, rules=["person in door"]))
    saving = saving_at(path, tracked=True)
    planned = saving.planned
    step = ZonesStep(planned.plan, [open_events(str(out))], saving=saving)
    take = step.take

    def with_saving(frame, result):
        if frame.index == 5:
            saving.save(document(DOOR_ENTRY, LEFT_ENTRY, rules=["person in door", "person in left"]))
            shown = [zone["name"] for zone in step.totals.described("list")["zones"]]
            assert shown == ["door", "left"], "the page has them before a frame is counted by them"
        if frame.index == 7:
            saving.save(document(LEFT_ENTRY, rules=["person in left"]))
        return take(frame, result)

    step.take = with_saving
    pipeline = run(fakes, fakes.ListSource(10, pts_step=0.1), step, range(2, 9))
    told = [(one["event"], one.get("zone"), one["index"]) for one in lines_of(out) if one["event"] != "seen"]
    assert told == [
        ("entered", "door", 2), ("count", "door", 2), ("rule", "door", 2),
        ("left", "door", 7), ("count", "door", 7),
        ("entered", "left", 9), ("count", "left", 9), ("rule", "left", 9),
        ("left", "left", 9), ("gone", None, 9),
    ]  # fmt: skip
    (left,) = (one for one in lines_of(out) if one["event"] == "left" and one["zone"] == "door")
    assert (left["reason"], left["dwell"]) == ("zones changed", pytest.approx(0.4))
    assert pipeline.recorder.zone_saving is saving
    assert pipeline.recorder.zones.tallies("list") == {"zones": {"left": {"person": 1}}, "lines": {}}
