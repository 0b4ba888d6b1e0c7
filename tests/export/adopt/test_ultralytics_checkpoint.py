"""`segrt export ultralytics:FILE.pt`: Ultralytics' own package exports, segrt adopts; refusals where it cannot."""

import os
import signal
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from click.testing import CliRunner
from constant_networks import constant_model, metadata, yolo_table

from segrt.export.adopt.adopt_options import AdoptOptions
from segrt.export.adopt.adopting import adopt_network
from segrt.export.adopt.ultralytics_checkpoint import adopt_checkpoint
from segrt.export.cli.export import export
from segrt.export.synthetic_pictures import synthetic_picture
from segrt.runtime import open_bundle
from segrt.runtime.bundle.locating import read_bundle
from segrt.runtime.decode.prototype_masks import PrototypeMasks
from segrt.runtime.errors import SegrtError
from segrt.runtime.preprocess.picture import network_inputs
from segrt.runtime.results import InstanceResult, SemanticResult

SIZE = (128, 160)
needs_ultralytics = pytest.mark.skipif(
    find_spec("ultralytics") is None, reason="needs Ultralytics' package (AGPL-3.0), which is not installed for tests"
)
# What the child uses of the package, which here exports whatever lies beside the checkpoint.
PACKAGE = """
import os, shutil
class YOLO:
    def __init__(self, file):
        self.file, (self.task, *others) = file, open(file).read().split()
        head = type(others[0] if others else "Segment", (), {})()
        self.model = type("SegmentationModel", (), {"model": [head], "names": {0: "cat"}})()
    def export(self, *, format, simplify, dynamic, device, imgsz=None):
        wanted = {"YOLO_OFFLINE": "true", "YOLO_AUTOINSTALL": "false", "ULTRALYTICS_SAFE_LOAD": "1"}
        assert all(os.environ.get(name) == value for name, value in wanted.items())
        assert format == "onnx"
        shutil.copy(os.path.realpath(self.file) + ".exported", self.file[:-3] + ".onnx")
"""
TASKS = """
class _SafeLoad:
    SUPPORTED = True
def torch_safe_load(weight, safe_only=None):
    assert safe_only
    if open(weight).read() == "evil":
        raise TypeError("ERROR: the file references types\\noutside the format")
"""


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put a package of Ultralytics' name, with nothing but what is called of it, before all others."""
    inner = tmp_path / "packages" / "ultralytics" / "nn"
    inner.mkdir(parents=True)
    (inner.parent / "__init__.py").write_text(PACKAGE)
    (inner / "__init__.py").write_text("")
    (inner.parent / "utils.py").write_text("import os\nSAFE_LOAD = os.environ['ULTRALYTICS_SAFE_LOAD'] == '1'\n")
    (inner / "tasks.py").write_text(TASKS)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "packages"))
    monkeypatch.syspath_prepend(str(tmp_path / "packages"))
    monkeypatch.delitem(sys.modules, "ultralytics", raising=False)
    return inner


def checkpoint(tmp_path: Path, content: str = "segment") -> Path:
    """Write a checkpoint as the package above takes it."""
    table, prototypes = yolo_table(np.random.default_rng(1))
    model = constant_model({"output0": table[None], "output1": prototypes}, metadata())
    path = tmp_path / "yolo11n-seg.pt"
    path.write_text(content)
    onnx.save(model, f"{path}.exported")
    return path


def test_what_the_package_exports_is_adopted_and_its_licence_said(tmp_path: Path, package: Path) -> None:  # noqa: ARG001
    path = checkpoint(tmp_path)
    done = CliRunner().invoke(export, [f"ultralytics:{path}", "--out", str(tmp_path / "bundle"), "--size", "64x96"])
    assert done.exit_code == 0, done.output
    assert "AGPL-3.0" in done.stderr
    manifest = read_bundle(tmp_path / "bundle").manifest
    assert manifest.source.licence == "AGPL-3.0"
    assert manifest.source.weights == "yolo11n-seg.pt"
    assert manifest.decode == PrototypeMasks(rows="yolo", iou_threshold=0.7)
    assert sorted(entry.name for entry in tmp_path.iterdir() if entry.suffix == ".onnx") == []


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("detect", "its task is 'detect', which gives no masks; give a -seg or -sem network"),
        (
            "segment YOLOESegment",
            (
                "its head is YOLOESegment, whose classes are prompts, and none are set; in Python, "
                "`model = YOLOE(FILE)`, `model.set_classes([NAMES])`, `model.save(FILE)`, and give that, or a -pf "
                "network"
            ),
        ),
        ("evil", "ERROR: the file references types outside the format"),
    ],
)
def test_what_the_package_cannot_do_is_one_line(tmp_path: Path, package: Path, content: str, message: str) -> None:  # noqa: ARG001
    path = checkpoint(tmp_path, content)
    with pytest.raises(SegrtError) as refused:
        adopt_checkpoint(path, tmp_path / "bundle", AdoptOptions())
    assert str(refused.value) == f"ultralytics:{path}: Ultralytics' package does not export it: {message}"
    assert not (tmp_path / "bundle").exists()


@pytest.mark.parametrize(
    ("tasks", "utils"),
    [
        ("def torch_safe_load(weight): pass\n", "SAFE_LOAD = True\n"),
        # Versions up to 8.4.66: a `safe_only` that lets builtins in, and no word of the environment variable.
        ("def torch_safe_load(weight, safe_only=False): pass\n", ""),
        (TASKS, "SAFE_LOAD = False\n"),
        (TASKS.replace("SUPPORTED = True", "SUPPORTED = False"), "SAFE_LOAD = True\n"),  # torch is too old
    ],
)
def test_a_package_that_runs_what_a_checkpoint_holds_is_refused(
    tmp_path: Path, package: Path, tasks: str, utils: str
) -> None:
    (package / "tasks.py").write_text(tasks)
    (package.parent / "utils.py").write_text(utils)
    with pytest.raises(SegrtError, match="runs what a checkpoint holds when it reads it; `pip install -U ultralytics"):
        adopt_checkpoint(checkpoint(tmp_path), tmp_path / "bundle", AdoptOptions())


def test_a_size_that_the_package_rounds_is_refused(tmp_path: Path, package: Path) -> None:  # noqa: ARG001
    with pytest.raises(
        SegrtError, match=r"^--size 60x96: Ultralytics' package makes 64x96 of it for .*yolo11n-seg\.pt"
    ):
        adopt_checkpoint(checkpoint(tmp_path), tmp_path / "bundle", AdoptOptions(size=(60, 96)))
    assert not (tmp_path / "bundle").exists()


def test_errors_name_the_checkpoint_and_whose_options_they_mean(
    tmp_path: Path,
    package: Path,  # noqa: ARG001
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(path: Path, *others: Any) -> list[str]:  # noqa: ARG001
        raise SegrtError(f"{path}: cannot be guessed; give --rows yolo")

    monkeypatch.setattr("segrt.export.adopt.ultralytics_checkpoint.adopt_network", refuse)
    monkeypatch.setenv("HOME", str(tmp_path))
    path = checkpoint(tmp_path)
    with pytest.raises(SegrtError) as refused:
        adopt_checkpoint(Path("~") / path.name, tmp_path / "bundle", AdoptOptions())
    assert str(refused.value) == (
        f"ultralytics:{path}: cannot be guessed; give --rows yolo (an option of `segrt adopt`: export the checkpoint "
        "to ONNX yourself, and adopt that file)"
    )


def test_a_termination_ends_the_export_as_ctrl_c_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    def adopt(*given: Any) -> list[str]:  # noqa: ARG001
        os.kill(os.getpid(), signal.SIGTERM)
        return []

    monkeypatch.setattr("segrt.export.adopt.ultralytics_checkpoint.adopt_checkpoint", adopt)
    previous = signal.signal(signal.SIGTERM, lambda number, frame: seen.append(number))  # noqa: ARG005
    try:
        done = CliRunner().invoke(export, [f"ultralytics:{tmp_path / 'x.pt'}", "--out", str(tmp_path / "bundle")])
        assert signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL
    finally:
        signal.signal(signal.SIGTERM, previous)
    assert (done.exit_code, seen) == (1, [])
    assert "written and verified" not in done.output


@pytest.mark.parametrize(
    ("name", "words", "message"),
    [
        ("none.pt", [], "none.pt: there is no such file; give a checkpoint of Ultralytics, .pt"),
        ("other.onnx", [], "must be a checkpoint of Ultralytics, .pt; `segrt adopt` takes .onnx files"),
        ("other.pt", ["--precision", "fp16"], "--precision: ultralytics:.* which takes --size and --labels alone"),
        ("other.pt", ["--threads", "2"], "--threads: ultralytics:.* which takes --size and --labels alone"),
        ("other.pt", [], "needs Ultralytics' package .*; `pip install ultralytics`"),
    ],
)
def test_what_is_no_checkpoint_and_what_the_package_does_not_take_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, words: list[str], message: str
) -> None:
    monkeypatch.setattr("segrt.export.adopt.ultralytics_checkpoint.find_spec", lambda package: None)  # noqa: ARG005
    for file in ("other.pt", "other.onnx"):
        (tmp_path / file).touch()
    done = CliRunner().invoke(export, [f"ultralytics:{tmp_path / name}", "--out", str(tmp_path / "bundle"), *words])
    with pytest.raises(SegrtError, match=message):
        raise done.exception  # type: ignore[misc]


@needs_ultralytics
@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    "name",
    [
        *("yolov8n-seg", "yolov9c-seg", "yolo11n-seg", "yolo12n-seg", "yolo26n-seg", "yolo26n-sem"),
        *("yoloe-v8s-seg", "yoloe-11s-seg", "yoloe-11s-seg-pf", "yoloe-26n-seg", "yoloe-26n-seg-pf"),
    ],
)
def test_results_are_ultralytics_own(name: str, tmp_path: Path) -> None:
    from ultralytics_networks import letterboxed, matches, own_prediction, ultralytics_network

    # The first two fit; both resize the third, within a grey level, and the network is given what the bundle's is.
    pictures = [synthetic_picture(seed, size) for seed, size in ((1, SIZE), (2, (SIZE[0], 96)), (3, (211, 150)))]
    theirs, path = ultralytics_network(name, tmp_path, letterboxed(pictures, SIZE))
    adopt_checkpoint(path, tmp_path / "bundle", AdoptOptions(size=SIZE))
    found = 0
    with open_bundle(tmp_path / "bundle", threads=1) as segmenter:
        for picture in pictures:
            fed = next(iter(network_inputs(segmenter.manifest.inputs, picture)[0].values()))
            fits = picture.shape[0] <= SIZE[0] and picture.shape[1] <= SIZE[1]
            result, wanted = segmenter(picture), own_prediction(theirs, picture, SIZE, fed=None if fits else fed)
            if isinstance(result, SemanticResult):
                same = result.class_map == np.asarray(wanted.semantic_mask.data).squeeze()
                assert same.mean() >= 0.999
                found += len(np.unique(result.class_map))
                continue
            assert isinstance(result, InstanceResult)
            assert len(result) == len(wanted)
            found += len(wanted)
            assert [match for match in matches(result, wanted) if not match.is_same] == []
    assert found >= 2


@needs_ultralytics
def test_a_yoloe_without_classes_is_refused_with_what_sets_them(tmp_path: Path) -> None:
    from ultralytics_networks import letterboxed, ultralytics_network

    pixels = letterboxed([synthetic_picture(1, SIZE)], SIZE)
    _, path = ultralytics_network("yoloe-11s-seg", tmp_path, pixels, classes_set=False)
    with pytest.raises(SegrtError, match=r"whose classes are prompts, and none are set; in Python, .*set_classes"):
        adopt_checkpoint(path, tmp_path / "bundle", AdoptOptions(size=SIZE))


@needs_ultralytics
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ["yolo26n-seg", "yoloe-26n-seg"])
def test_a_file_that_suppresses_nothing_is_adopted_as_the_package_reads_it(name: str, tmp_path: Path) -> None:
    from ultralytics_networks import letterboxed, matches, own_prediction, ultralytics_network

    pictures = [synthetic_picture(1, SIZE)]
    theirs, _ = ultralytics_network(name, tmp_path, letterboxed(pictures, SIZE))
    file = theirs.export(format="onnx", nms=False, agnostic_nms="yoloe" in name, imgsz=list(SIZE), verbose=False)
    adopt_network(Path(file), tmp_path / "bundle", AdoptOptions())
    decode = read_bundle(tmp_path / "bundle").manifest.decode
    assert decode == PrototypeMasks(rows="detections")
    with open_bundle(tmp_path / "bundle", threads=1) as segmenter:
        result = segmenter(pictures[0])
        wanted = own_prediction(theirs, pictures[0], SIZE, nms=False)
        assert isinstance(result, InstanceResult)
        assert len(result) == len(wanted) > 0
        assert [match for match in matches(result, wanted) if not match.is_same] == []
