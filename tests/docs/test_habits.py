"""Every habit of other tools that docs/coming-from.md answers is tried: its commands, its Python, its files."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import habits
import numpy as np
import pytest
from click.testing import CliRunner
from code_blocks import ROOT, split
from command_words import trouble_with
from habits import Row, Span

from segrt.runtime import open_bundle
from segrt.runtime.bundle.locating import embedded_names
from segrt.runtime.cli import cli

ROWS = habits.rows()
TRIED = [row for row in ROWS if any(not span.reason for span in row.spans)]
REASONS = {"needs a GPU", "needs a broker", "needs a camera", "needs a device", "needs a display", "needs a hub"}
"""What may keep code from being run."""
WORDS = {"segrt get", "segrt run", "rgb=True"}
"""Code that names a thing and does nothing by itself."""
_STEPS = [
    {"type": "LoadImageFromFile"},
    {"type": "Resize", "keep_ratio": False, "size": [96, 64]},
    {"type": "Normalize", "to_rgb": True, "mean": [123.675, 116.28, 103.53], "std": [58.395, 57.12, 57.375]},
    {"type": "DefaultFormatBundle"},
    {"type": "Collect", "keys": ["img"], "meta_keys": ["img_shape"]},
]
MMDEPLOY_PIPELINE = {
    "pipeline": {
        "input": ["img"],
        "output": ["post_output"],
        "tasks": [
            {"type": "Task", "module": "Transform", "name": "Preprocess", "transforms": _STEPS},
            {"name": "segformer", "type": "Task", "module": "Net", "input_map": {"img": "input"}},
            {"type": "Task", "module": "mmseg", "name": "postprocess", "params": {}},
        ],
    }
}
MMDEPLOY_DETAIL = {
    "codebase": {"task": "Segmentation", "codebase": "mmseg", "version": "1.2.2"},
    "codebase_config": {"type": "mmseg", "task": "Segmentation"},
}
needs_bundles = pytest.mark.skipif(
    "street-panoptic" not in embedded_names(), reason="the embedded bundles are not here"
)
sys.path.insert(0, str(ROOT / "tests" / "export" / "adopt"))


def test_rows_that_are_not_run_say_why_and_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    marked = [(row, span) for row in ROWS for span in row.spans if span.reason]
    words = [row for row in ROWS if not row.spans]
    with capsys.disabled():
        print(f"\n{len(ROWS)} habits, {len(TRIED)} are tried; not run:")
        for row, span in marked:
            print(f"  {row}: {span.code}: {span.reason}")
        for row in words:
            print(f"  {row}: {row.here}: says only")
    assert {row.tool for row in ROWS} >= {
        "Ultralytics",
        "supervision",
        "Roboflow inference",
        "jetson-inference",
        "trtexec",
        "Polygraphy",
    }
    assert {span.reason for _, span in marked} <= REASONS
    assert len(TRIED) > 0.75 * len(ROWS)
    assert len(words) < 8


def test_code_that_is_not_run_is_of_this_version() -> None:
    troubles = []
    for row in ROWS:
        for span in row.spans:
            if span.reason and span.kind == "command":
                troubles += [f"{row}: {found}" for found in map(trouble_with, split(span.code)) if found is not None]
            elif span.reason:
                compile(span.code, str(row), "exec")
    assert troubles == []


@needs_bundles
@pytest.mark.timeout(120)
@pytest.mark.parametrize("row", TRIED, ids=str)
def test_a_habit_is_met(row: Row, place: Path, known: dict[str, dict[str, object]]) -> None:
    if any(span.code.startswith("segrt adopt") for span in row.spans):
        pytest.importorskip("onnx", reason="needs onnx, to make a network")
        put_networks(place)
    for span in row.spans:
        if span.reason or span.code in WORDS:
            continue
        if span.kind == "command":
            if span.code.startswith("segrt adopt"):
                Path("my-bundle").unlink()
            run(span.code, again="segrt run small" in row.here)
        elif span.kind == "file":
            assert span.code == "/result.json" or any(
                Path(folder, span.code).is_file() for folder in ("my-bundle", "work")
            )
        else:
            names = known["semantic" if row.tool == "jetson-inference" else "instance"]
            python(span, names)


@pytest.fixture
def place(desk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder of a row's own, with what lies on the desk."""
    for path in desk.iterdir():
        (tmp_path / path.name).symlink_to(path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "supervision", SimpleNamespace(Detections=SimpleNamespace))  # type: ignore[arg-type]
    return tmp_path


@pytest.fixture(scope="module")
def known(desk: Path) -> Iterator[dict[str, dict[str, object]]]:
    """Yield the names that lines of Python use, for either technique."""
    import cv2

    image = cv2.imread(str(desk / "photo.jpg"))
    with open_bundle("street-semantic") as semantic, open_bundle("street-instance") as instance:
        yield {
            name: {"segmenter": one, "result": one(image), "image": image, "open_bundle": open_bundle}
            for name, one in (("semantic", semantic), ("instance", instance))
        }


_done: set[str] = set()


def run(line: str, *, again: bool) -> None:
    """Run a command here, once unless its files are needed `again`; a page gets a free port, a profile few frames."""
    if line in _done and not again:
        return
    _done.add(line)
    (words,) = split(line)
    words = [word.replace(":8080", ":0") for word in words]
    if words[1] == "profile":
        words += ["--frames", "10", "--warmup", "1"]
    done = CliRunner().invoke(cli, words[1:])
    assert done.exit_code == 0, f"{line}: {done.output} {done.exception}"


def python(span: Span, names: dict[str, object]) -> None:
    """Execute a line of Python; a loop has something to do, what must not be nothing is looked at."""
    if span.code.endswith(":"):
        counted = dict(names)
        exec(compile(f"count = 0\n{span.code} count += 1", span.code, "exec"), counted)
        assert counted["count"] == 6
        return
    if span.code.startswith("result = "):
        exec(compile(span.code, span.code, "exec"), names)
        return
    value = eval(compile(span.code, span.code, "eval"), names)
    assert value is not None or span.code.startswith("result.save(")
    if hasattr(value, "close"):
        value.close()


def put_networks(folder: Path) -> None:
    """Write what other toolchains export: Ultralytics' and RF-DETR's file, mmdeploy's folder."""
    import onnx
    from constant_networks import constant_model, metadata, yolo_table

    table, prototypes = yolo_table(np.random.default_rng(1))
    shape = ("batch", 3, "height", "width")
    yolo = constant_model({"output0": table[None], "output1": prototypes}, metadata(), shape=shape)
    for name in ("yolo.onnx", "yolo11n-seg.onnx"):
        onnx.save(yolo, folder / name)
    masks = np.full((1, 2, 16, 24), 5, np.float32)
    labels = np.where(np.eye(2, 91, 1), 2, -4).astype(np.float32)[None]
    boxes = np.full((1, 2, 4), 0.5, np.float32)
    onnx.save(constant_model({"dets": boxes, "labels": labels, "masks": masks}, name="input"), folder / "rfdetr.onnx")
    work = folder / "work"
    work.mkdir()
    (work / "pipeline.json").write_text(json.dumps(MMDEPLOY_PIPELINE))
    (work / "detail.json").write_text(json.dumps(MMDEPLOY_DETAIL))
    classes = np.zeros((1, 1, 64, 96), np.int64)
    onnx.save(constant_model({"output": classes}, name="input"), work / "end2end.onnx")
