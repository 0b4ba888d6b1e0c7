"""Names of files that are no UTF-8, as disks of older systems have them: escaped in results, a hindrance nowhere."""

import json
import os
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
from cli_calls import Segrt, fails

from segrt.runtime.files.finding import unique_names
from segrt.runtime.files.images import write_image
from segrt.runtime.files.json_files import encode_json, readable

NAME = os.fsdecode(b"B\xfccher")  # Latin-1


@pytest.fixture
def folder(tiny: SimpleNamespace, tmp_path: Path) -> Path:
    """A folder of such a name, with a picture of such a name."""
    folder = tmp_path / NAME
    folder.mkdir()
    write_image(folder / "photo.png", tiny.thirds(60, 90))
    (folder / "photo.png").rename(folder / f"{NAME}.png")
    return folder


@pytest.fixture
def bundle(tiny: SimpleNamespace, folder: Path) -> Path:
    """A panoptic bundle in that folder."""
    return Path(shutil.copytree(tiny.bundle("merge_queries"), folder / "bundle"))


def test_text_that_is_no_utf8_is_escaped_and_other_text_is_not_touched() -> None:
    assert readable(NAME) == "B\\xfccher"
    assert readable("Bücher 🚗") == "Bücher 🚗"
    assert unique_names([Path(f"a/{NAME}.png"), Path("a/B\\xfccher.png")]) == ["B\\xfccher", "B\\xfccher-2"]
    assert encode_json({"ü": [1, 0.5, None, ("x",)]}) == '{"ü":[1,0.5,null,["x"]]}'.encode()
    assert json.loads(encode_json({NAME: [NAME, 7]})) == {"B\\xfccher": ["B\\xfccher", 7]}


@pytest.mark.prints_table("run")
def test_run_saves_every_kind(segrt: Segrt, folder: Path, bundle: Path) -> None:
    kinds = "overlay,panoptic,coco,labels,queries,cutouts,masks"
    code, _, err = segrt("run", bundle, folder, "--out", folder / "out", "--save", kinds)
    assert (code, err) == (0, "")
    assert (folder / "out/overlay/B\\xfccher.png").is_file()
    panoptic = json.loads((folder / "out/panoptic.json").read_text())
    assert panoptic["images"][0]["file_name"] == "B\\xfccher.png"
    assert {entry["image_id"] for entry in json.loads((folder / "out/coco.json").read_text())} == {"B\\xfccher"}
    assert (folder / "out/cutouts/B\\xfccher.json").is_file()


def test_stream_writes_lines_and_metrics(segrt: Segrt, folder: Path, bundle: Path) -> None:
    sinks = ("--sink", folder / "out.jsonl", "--sink", folder / "out.json", "--metrics", folder / "metrics.json")
    assert segrt("stream", bundle, folder / f"{NAME}.png", *sinks)[0] == 0
    assert json.loads((folder / "out.jsonl").read_text())["source"].endswith("B\\xfccher/B\\xfccher.png")
    assert json.loads((folder / "metrics.json").read_text())["frames_out"] == 1


def test_inspect_and_verify_know_the_bundle(segrt: Segrt, bundle: Path) -> None:
    code, text, _ = segrt("inspect", bundle, "--json")
    assert code == 0
    assert "B\\xfccher" in json.loads(text)["folder"]
    assert segrt("verify", bundle)[0] == 0


@pytest.mark.prints_table("profile")
def test_profile_writes_its_report(segrt: Segrt, folder: Path, bundle: Path) -> None:
    given = ("--source", folder / f"{NAME}.png", "--frames", 10, "--warmup", 0, "--no-cold")
    code, _, err = segrt("profile", bundle, *given, "--json", folder / "p.json", "--html", folder / "p.html")
    assert code == 0, err
    assert "B\\\\xfccher" in (folder / "p.json").read_text()
    assert (folder / "p.html").stat().st_size > 0


def test_an_archive_is_refused_in_one_line(segrt: Segrt, folder: Path, bundle: Path) -> None:
    pytest.importorskip("pyarrow")
    result = segrt("archive", bundle, folder / f"{NAME}.png", "--out", folder / "archive")
    fails(result, 2, "B\\xfccher", "is no UTF-8")
