"""The GPU's scripts: in full where there is a GPU, else that they say why not, and their parts on the CPU."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))

import report
import trials

from segrt.runtime.bundle.locating import read_bundle
from segrt.runtime.inference.cuda.presence import why_no_gpu
from segrt.runtime.segmenter import open_segmenter


def run_script(out: Path) -> subprocess.CompletedProcess[str]:
    script = Path(__file__).with_name("run.sh")
    environment = os.environ | {"PYTHON": sys.executable}
    command = [str(script), "--quick", "--frames", "20", "--out", str(out)]
    return subprocess.run(command, capture_output=True, text=True, timeout=280, env=environment, check=False)


@pytest.mark.skipif(why_no_gpu() is not None, reason=why_no_gpu() or "")
def test_engines_run_and_agree_on_this_gpu(tmp_path: Path) -> None:
    done = run_script(tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads((tmp_path / "results.json").read_bytes())
    assert found["failures"] == []


@pytest.mark.skipif(why_no_gpu() is None, reason="there is a GPU here")
def test_without_a_gpu_the_script_says_so_and_is_no_failure(tmp_path: Path) -> None:
    done = run_script(tmp_path / "results")
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"skipped: {why_no_gpu()}\n"
    assert not (tmp_path / "results").exists()


def test_the_parts_of_the_script_measure_and_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trials, "PICTURES", 1)
    monkeypatch.setattr(trials, "WARMUP", 0)
    bundle = read_bundle("street-semantic")
    with open_segmenter(bundle, backend="onnxruntime", threads=1) as segmenter:
        row = {"bundle": bundle.manifest.name, "precision": "fp32", "runs in": "onnxruntime"}
        row["largest head error"] = trials.compare_heads(segmenter, bundle, segmenter.variant)
        row |= trials.time_stages(segmenter, frames=2)
    assert float(str(row["largest head error"]).split()[0]) < 1e-5
    device = {"name": "none", "sm": "0.0", "cuda_driver": "0.0", "memory_mb": 0}
    path = tmp_path / "RESULTS.md"
    report.write_report({"device": device, "tensorrt": "none", "cuda": {}, "rows": [row], "failures": []}, path)
    (line,) = [line for line in path.read_text().splitlines() if line.startswith("| street-semantic")]
    assert f"| {row['end to end']} |" in line
