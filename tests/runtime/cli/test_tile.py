"""`--tile` of run, stream, compare and eval: every combination works or is refused in one line."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest
from cli_calls import Segrt, fails

from segrt.runtime.bundle.locating import embedded_names
from segrt.runtime.files import tiff_windows

needs_streets = pytest.mark.skipif(
    "street-panoptic" not in embedded_names(), reason="the embedded bundles are not here"
)


@pytest.mark.prints_table("run")
def test_run_saves_what_was_joined(tiny: SimpleNamespace, segrt: Segrt, photos: Path, tmp_path: Path) -> None:
    for kind, save in (
        ("merge_queries", "overlay,panoptic,coco,labels,cutouts"),
        ("paste_masks", "coco"),
        ("argmax", "labels"),
    ):
        out = tmp_path / kind
        call = ("run", tiny.bundle(kind), photos, "--out", out, "--save", save)
        code, _, err = segrt(*call, "--tile", "40x60,25%")
        assert (code, err) == (0, "")
    for labels in ("merge_queries/labels", "argmax/labels"):
        assert cv2.imread(str(tmp_path / labels / "000000000007.png"), cv2.IMREAD_UNCHANGED).shape == (60, 90)
    panoptic = json.loads((tmp_path / "merge_queries/panoptic.json").read_text())
    ids = cv2.imread(str(tmp_path / "merge_queries/panoptic/000000000007.png"))[..., ::-1].astype(int) @ [1, 256, 65536]
    for segment in panoptic["annotations"][0]["segments_info"]:
        assert (ids == segment["id"]).sum() == segment["area"]


@pytest.mark.prints_table("compare")
def test_compare_and_streams_take_tiles(tiny: SimpleNamespace, segrt: Segrt, photos: Path, tmp_path: Path) -> None:
    bundle, photo = tiny.bundle("merge_queries"), photos / "000000000007.png"
    code, _, err = segrt(
        "compare", photo, bundle, tiny.bundle("argmax"), "--out", tmp_path / "a.png", "--tile", "40x60"
    )
    assert (code, err) == (0, "")
    zones = tmp_path / "zones.json"
    zones.write_text(
        json.dumps({"format": "1.0", "zones": [{"name": "all", "polygon": [[0, 0], [1, 0], [1, 1], [0, 1]]}]})
    )
    more = ("--track", "--zones", zones, "--events", tmp_path / "events.jsonl", "--batch", "1")
    code, text, _ = segrt(
        "stream", bundle, photos, "--sink", tmp_path / "out.jsonl", "--tile", "40x60,10", *more, "--rle"
    )
    assert code == 0, text
    lines = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert len(lines) == 2


@needs_streets
@pytest.mark.prints_table("eval")
def test_eval_measures_tiles_and_they_are_better_where_things_are_small(segrt: Segrt, tmp_path: Path) -> None:
    data = "street://?seed=910000&frames=1&width=1280&height=720&wide=4"
    figures: dict[str, Any] = {}
    for name, more in (("shrunken", ()), ("tiles", ("--tile", "360x640"))):
        told = tmp_path / f"{name}.json"
        call = ("eval", "street-panoptic", "--annotations", data, "--json", told, "--threads", "1")
        assert segrt(*call, *more)[0] == 0
        figures[name] = json.loads(told.read_text())["metrics"]
    assert figures["tiles"]["pq_things"] > figures["shrunken"]["pq_things"]


def test_what_tiles_cannot_be_or_give_is_refused(
    tiny: SimpleNamespace, segrt: Segrt, photos: Path, tmp_path: Path
) -> None:
    bundle = tiny.bundle("merge_queries")
    call = ("run", bundle, photos, "--out", tmp_path / "out")
    fails(segrt(*call, "--tile", "40"), 2, "tile '40'", "write HEIGHTxWIDTH")
    fails(segrt(*call, "--tile", "40x60,31"), 2, "an overlap of 31 pixels is more than half of its height")
    fails(segrt(*call, "--tile", "8x60"), 2, "its sides must be 32 to 16384 pixels")
    fails(segrt(*call, "--tile", "40x60", "--save", "queries"), 2, "not the heads of one network; leave out tile")
    assert not (tmp_path / "out").exists()
    written = tmp_path / "predictions.json"
    written.write_text("[]")
    data = ("--annotations", "street://?frames=1")
    fails(segrt("eval", "--predictions", written, *data, "--tile", "40x60"), 2, "--tile 40x60", "is for bundles")


def test_a_tiff_that_is_too_large_is_read_by_windows(
    tiny: SimpleNamespace, segrt: Segrt, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tifffile = pytest.importorskip("tifffile")
    monkeypatch.setattr(tiff_windows, "MOST_PIXELS", 1000)
    photo, out = tmp_path / "large.tif", tmp_path / "out"
    tifffile.imwrite(photo, tiny.thirds(60, 90)[..., ::-1], photometric="rgb")
    call = ("run", tiny.bundle("merge_queries"), photo, "--out", out, "--tile", "40x60,10")
    fails(segrt(*call), 2, f"{photo}: is read by windows", "--save overlay", "give --save coco or labels")
    fails(segrt(*call, "--save", "coco", "--background", "blur"), 2, "is read by windows", "--background")
    code, text, err = segrt(*call, "--save", "coco,labels")
    assert (code, err) == (0, "")
    assert f"{photo}: " in text
    labels = cv2.imread(str(out / "labels/large.png"), cv2.IMREAD_UNCHANGED)
    assert labels.shape == (60, 90)
    objects = json.loads((out / "coco.json").read_text())
    assert {tuple(entry["segmentation"]["size"]) for entry in objects} == {(60, 90)}
    assert np.isin(labels, [0, 1, 2, 255]).all()
