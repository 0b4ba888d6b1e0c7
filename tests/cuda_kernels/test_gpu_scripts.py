"""The parts of tests/gpu/run.sh, run on the emulated GPU, so that they do not fail on their first real one."""

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from emulated_cuda import EmulatedCuda, emulated_kernels

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "gpu"))

import cuda_interface
import equality
import exports
import measure
import prepared_pictures
import transformers_way
import trials
from gpu_scenes import NAMES, scene_of

from segrt.runtime import open_bundle
from segrt.runtime.authoring.verification import Check
from segrt.runtime.decode.decoders import PROGRAMS
from segrt.runtime.errors import SegrtError

SIZE = (27, 40)


@pytest.fixture
def cuda() -> EmulatedCuda:
    made = EmulatedCuda()
    made.kernels = emulated_kernels(made)
    return made


@pytest.mark.parametrize("name", NAMES)
def test_every_rule_is_compared_with_the_core_and_is_equal(name: str, cuda: EmulatedCuda) -> None:
    if NAMES[name] not in PROGRAMS:
        pytest.skip("the rule has no program")
    row = equality.compare(cuda, scene_of(name, SIZE, "float16", 0.2), 1)
    assert row["equal"] == "yes"
    assert {"CPU", "GPU", "result on the host"} <= set(row)
    assert cuda.alive == 0


def test_pictures_are_compared_with_the_cpu(cuda: EmulatedCuda, monkeypatch: pytest.MonkeyPatch) -> None:
    known = prepared_pictures.inputs()
    monkeypatch.setattr(prepared_pictures, "SIZES", [(31, 47)])
    monkeypatch.setattr(
        prepared_pictures,
        "inputs",
        lambda: {name: known[name] for name in ("street-panoptic", "nearest bytes 512x1024")},
    )
    failures: list[str] = []
    rows = prepared_pictures.compare_all(cuda, failures, repeat=1)
    assert failures == []
    assert [row["equal"] for row in rows] == ["yes", "yes"]
    monkeypatch.setattr(prepared_pictures, "fill_inputs", lambda *_: None)
    prepared_pictures.compare_all(cuda, failures, repeat=1)
    assert len(failures) == 2
    assert "values of" in failures[0]
    assert cuda.alive == 0


def test_a_difference_is_told_and_fails(cuda: EmulatedCuda, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(equality, "NAMES", {"argmax, 21 classes": "argmax"})
    failures: list[str] = []
    equality.compare_all(cuda, failures, [SIZE], repeat=0)
    assert failures == []
    real = equality.Queues.decoded

    def wrong(queues: Any) -> Any:
        result = real(queues)
        result.class_map[3, 4] += 1
        return result

    monkeypatch.setattr(equality.Queues, "decoded", wrong)
    equality.compare_all(cuda, failures, [SIZE], repeat=0)
    assert failures[0] == "argmax, 21 classes float32 27x40: 1 of 1080 values of class_map differ"


def test_results_that_differ_in_a_bit_or_in_kind_are_no_equals() -> None:
    class Result:
        def __init__(self, values: np.ndarray) -> None:
            self.values = values

    one = Result(np.array([0.0, np.nan], np.float32))
    assert equality.difference(one, Result(one.values.copy())) == ""
    assert equality.difference(Result(-one.values), one) == "2 of 2 values of values differ"
    assert "is float64 (2,), not float32" in equality.difference(Result(one.values.astype(float)), one)
    assert equality.difference(3, one) == "int is no Result"


def test_a_result_that_knows_its_picture_is_the_one_that_does_not() -> None:
    picture = np.zeros((4, 6, 3), np.uint8)
    with open_bundle("street-semantic", threads=1) as segmenter:
        result, heads, geometry = segmenter.detailed(picture)
        decoded = segmenter.decoded(heads, geometry)
    assert (result.image is None, decoded.image is None) == (False, True)
    assert equality.difference(result, decoded) == equality.difference(decoded, result) == ""


def test_a_scene_of_every_rule_has_something_to_decode() -> None:
    from segrt.runtime.decode.decoders import RULES, find_decoder

    found = {}
    for name in NAMES:
        scene = scene_of(name, (54, 80), "float32", 0.3)
        result = find_decoder(scene.context.decode, "cpu")(scene.heads, scene.geometry, scene.context)
        rule = scene.context.decode.rule_name
        found[rule] = len(getattr(result, "segments", getattr(result, "rles", [1])))
        if hasattr(result, "class_map"):
            found[rule] = len(np.unique(result.class_map)) - 1
    assert set(found) == set(RULES) - {"prompted_masks"}  # which has no program
    assert min(found.values()) > 0, json.dumps(found)


def small_picture(number: int) -> np.ndarray:
    return np.random.default_rng(number).integers(0, 256, (96, 160, 3), np.uint8)


@pytest.fixture
def small(gpu: EmulatedCuda, monkeypatch: pytest.MonkeyPatch) -> EmulatedCuda:
    """Let the script see the emulated GPU, and small pictures and scenes."""
    for module in ("decode.decoding_place", "inference.cuda.kernels", "preprocess.cuda.slot_pictures"):
        monkeypatch.setattr(f"segrt.runtime.{module}.built_files", lambda: ("antialias", "preprocess", *PROGRAMS))
    gpu.kernels = emulated_kernels(gpu)
    monkeypatch.setattr(measure, "open_cuda", lambda: gpu)
    monkeypatch.setattr(measure, "doctor", dict)
    monkeypatch.setattr(measure, "EMBEDDED", ("street-semantic",))
    monkeypatch.setattr(measure, "find_flavor", lambda: fail("none"))
    monkeypatch.setattr(prepared_pictures, "inputs", dict)
    monkeypatch.setattr(trials, "source_picture", small_picture)
    monkeypatch.setattr(trials, "PICTURES", 1)
    monkeypatch.setattr(trials, "WARMUP", 1)
    monkeypatch.setattr(measure.tracked, "compare_all", lambda *_: [])  # see test_gpu_ways.py
    monkeypatch.setattr(measure.commands, "run_all", lambda *_: [])
    monkeypatch.setattr(measure.same_results, "large_picture", lambda: small_picture(9))
    monkeypatch.setattr(measure.same_results, "TILE", "64x96,20%")
    monkeypatch.setattr(cuda_interface, "REPEAT", 2)
    monkeypatch.setattr(cuda_interface, "SIZES", (1 << 10, 1 << 12, 1 << 14))
    real = equality.compare_all
    monkeypatch.setattr(equality, "NAMES", {"argmax, 21 classes": "argmax"})
    monkeypatch.setattr(equality, "compare_all", lambda cuda, failures: real(cuda, failures, [SIZE], repeat=1))
    return gpu


def fail(text: str) -> Any:
    raise SegrtError(text)


def options(tmp_path: Path, **changed: Any) -> argparse.Namespace:
    given = {"out": tmp_path, "bundles": None, "frames": 3, "seconds": 280.0, "quick": True}
    return argparse.Namespace(**given | changed)


def test_the_whole_script_runs_checks_first_and_reports(
    small: EmulatedCuda, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    small.clock = time.perf_counter
    code = measure.measure(options(tmp_path))
    found = json.loads((tmp_path / "results.json").read_bytes())
    assert found["failures"] == [], "nothing is wrong"
    assert code == 0
    checks = {row["precision"]: row for row in found["checks"]}
    assert checks["fp32"]["golden frames"] == checks["fp32"]["two pictures"] == "ok"
    assert checks["fp32"]["GPU and CPU decode"] == "equal"
    assert float(checks["fp32"]["largest head error"].split()[0]) < 1e-5
    assert [row["equal"] for row in found["rules"]] == ["yes", "yes"]
    assert "tf32" in checks
    row = found["times"][0]
    assert {"upload", "preprocess", "network", "decode", "end to end", "p99 end to end"} <= set(row)
    page = capsys.readouterr().out
    assert page == (tmp_path / "RESULTS.md").read_text() + "\n"
    assert f"| street-semantic | fp32 | segrt, onnxruntime | {row['upload']} |" in page
    assert small.alive == 0


def test_what_does_not_fit_the_time_is_left_out_and_named(small: EmulatedCuda, tmp_path: Path) -> None:
    assert small.alive == 0
    assert measure.measure(options(tmp_path, seconds=0.0)) == 0
    found = json.loads((tmp_path / "results.json").read_bytes())
    assert found["times"] == []
    assert "street-semantic fp32: no time was left" in found["left out"]
    assert found["checks"], "checks are made all the same"


def test_kernels_that_do_not_load_and_a_wrong_network_are_failures(
    small: EmulatedCuda, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert small.alive == 0
    monkeypatch.setattr(measure, "why_no_kernels", lambda _: "this build has none")
    monkeypatch.setattr(trials, "verify", lambda _: [Check("f", "logits", "3", "2", False)])
    assert measure.measure(options(tmp_path)) == 1
    failures = json.loads((tmp_path / "results.json").read_bytes())["failures"]
    assert failures[0] == "kernels: this build has none"
    assert "street-semantic fp32 onnxruntime: f logits 3" in failures
    assert "- kernels: this build has none" in (tmp_path / "RESULTS.md").read_text()


def test_an_export_that_fails_or_takes_too_long_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exports, "MODELS", {"no-such-model": ()})
    left_out: list[str] = []
    running = exports.start(tmp_path)
    assert exports.finish(tmp_path, running, time.monotonic() + 100, left_out) == []
    (told,) = left_out
    assert told.startswith("no-such-model: its export failed (segrt: error: ")
    left_out.clear()
    running = exports.start(tmp_path)
    assert exports.finish(tmp_path, running, time.monotonic(), left_out) == []
    assert left_out == ["no-such-model: its export did not end in time"]


def test_transformers_usual_way_is_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    transformers = pytest.importorskip("transformers")
    monkeypatch.setattr(prepared_pictures, "inputs", dict)
    monkeypatch.setattr(trials, "source_picture", small_picture)
    monkeypatch.setattr(trials, "PICTURES", 1)
    config = transformers.SegformerConfig(depths=[1, 1, 1, 1], hidden_sizes=[8, 8, 16, 16], num_labels=5)
    model = transformers.SegformerForSemanticSegmentation(config)
    processor = transformers.SegformerImageProcessor(size={"height": 64, "width": 64})
    row = transformers_way.timed(model, processor, "semantic", 2, half=False, device="cpu")
    assert set(row) == {"preprocess", "network", "decode", "end to end", "p99 end to end"}
    assert min(row.values()) > 0  # type: ignore[type-var]
    assert row["end to end"] == pytest.approx(sum(list(row.values())[:3]), rel=0.5)  # type: ignore[arg-type]
