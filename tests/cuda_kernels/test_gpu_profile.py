"""`segrt profile` on a GPU: stages by its own clock, idle gaps, in the text, the JSON and the page."""

import json
import sys
import time
from pathlib import Path

import pytest
from emulated_cuda import EmulatedCuda

from segrt.runtime.cli import main
from segrt.runtime.decode import decoding_place


def test_the_gpus_stages_and_gaps_are_in_the_text_the_json_and_the_page(
    gpu: EmulatedCuda, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("plotly")
    gpu.clock = time.perf_counter
    monkeypatch.setattr(decoding_place, "built_files", lambda: ("antialias", "argmax", "preprocess"))
    monkeypatch.setattr(
        "segrt.runtime.preprocess.cuda.slot_pictures.built_files", lambda: ("antialias", "argmax", "preprocess")
    )
    monkeypatch.setattr(
        "segrt.runtime.inference.cuda.kernels.built_files", lambda: ("antialias", "argmax", "preprocess")
    )
    written, page = tmp_path / "profile.json", tmp_path / "profile.html"
    arguments = ["profile", "street-semantic", "--source", "street://?seed=1&width=96&height=64", "--frames", "12",
                 "--warmup", "2", "--no-cold", "--threads", "1", "--json", str(written),
                 "--html", str(page)]  # fmt: skip
    monkeypatch.setattr(sys, "argv", ["segrt", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    said = capsys.readouterr()
    assert not ended.value.code, said.err
    profile = json.loads(written.read_bytes())
    (run,) = profile["runs"]
    assert (run["device"], run["decode_device"], run["decode_reason"]) == ("cuda", "cuda", "the heads lie there")
    told = run["gpu"]
    assert {"network", "decode", "download"} <= set(told["stages"])
    assert set(told["stages"]) <= {"upload", "preprocess", "network", "decode", "download"}
    for stage in told["stages"].values():
        assert 0 < stage["p50_ms"] <= stage["p99_ms"] < 1e4
    assert 0 < told["busy_share"] <= 1
    assert 0 <= told["idle_ms"] <= told["longest_idle_ms"]
    assert {span["stage"] for span in run["spans"]} >= {"preprocess", "inference", "postprocess"}
    assert (
        any("clock is unknown" in note or "clock lay" in note for note in profile["notes"])
        or profile["machine"]["gpu_clock_mhz"]
    )
    assert "on the GPU, median ms by its own clock" in said.out
    assert "<h2>On the GPU</h2>" in page.read_text()
    assert gpu.alive == 0
