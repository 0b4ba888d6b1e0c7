"""The floor plan holds: how much each folder shows, who may import whom, no circles, no name twice."""

import re
from pathlib import Path

import house
import pytest

FILES = house.sources()
IMPORTS = house.read_imports(FILES)


@pytest.mark.parametrize(("room", "most_rooms", "most_modules"), [("runtime", 24, 6), ("export", 10, 6)])
def test_a_room_shows_few_entries(room: str, most_rooms: int, most_modules: int) -> None:
    folders, modules = house.entries(house.ROOT / room)
    assert len(folders) <= most_rooms, folders
    assert len(modules) <= most_modules, modules


def test_no_modules_import_each_other_in_a_circle_not_even_by_text() -> None:
    assert house.circles(IMPORTS.all()) == []


def test_no_import_goes_up_not_even_by_text() -> None:
    assert house.upward(IMPORTS.all()) == []


def test_the_runtime_reaches_the_exporter_through_the_table_of_commands_alone() -> None:
    reaching = {
        module
        for module, targets in {**IMPORTS.texts}.items()
        if module.startswith("segrt.runtime") and any(target.startswith("segrt.export") for target in targets)
    }
    assert reaching == {house.COMMAND_TABLE}


def test_names_say_which_module_is_meant() -> None:
    assert house.shared_names(FILES) == {}


def test_a_circle_an_upward_import_and_a_name_in_a_text_are_seen() -> None:
    circle = {"segrt.runtime.files.a": {"segrt.runtime.files.b"}, "segrt.runtime.files.b": {"segrt.runtime.files.a"}}
    assert house.circles({name: frozenset(targets) for name, targets in circle.items()}) == [sorted(circle)]
    up = {"segrt.runtime.files.images": frozenset({"segrt.runtime.segmenter"})}
    assert house.upward(up) == [("segrt.runtime.files.images", "segrt.runtime.segmenter")]
    across = {"segrt.runtime.doctor.facts": frozenset({"segrt.runtime.deploy.plan", "segrt.export.quiet"})}
    assert len(house.upward(across)) == 2
    assert "segrt.runtime.inference.onnxruntime" in IMPORTS.texts["segrt.runtime.inference.backends"]


def test_a_folder_of_compiled_modules_alone_is_no_room(tmp_path: Path) -> None:
    for name in ("moved/__pycache__/a.pyc", "here/inner/a.py", "__init__.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert house.entries(tmp_path) == (["here"], ["__init__.py"])


def test_contributing_quotes_the_measures(capsys: pytest.CaptureFixture[str]) -> None:
    house.main()
    measured = capsys.readouterr().out.splitlines()
    quoted = (house.ROOT / "CONTRIBUTING.md").read_text().splitlines()
    for line in measured:
        if not line.startswith(("  modules in each", "modules:")):  # these change with every file
            assert line in quoted


def test_the_ways_through_the_house_lead_through_files_that_are_there() -> None:
    text = (house.ROOT / "CONTRIBUTING.md").read_text()
    ways = text[text.index("### Ways through the house") : text.index("## Habits")]
    named = [name for name in re.findall(r"`([a-z_]+/[a-z_/]+)`", ways) if name != "deploy/device/"]
    assert len(named) > 40
    rooms = [house.ROOT, house.ROOT / "runtime", house.ROOT / "export"]
    missing = [name for name in named if not any((room / f"{name}.py").exists() for room in rooms)]
    assert missing == []
