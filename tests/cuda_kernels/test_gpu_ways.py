"""The trials of whole results of tests/gpu, on the emulated GPU: that they run, and find mistakes."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from emulated_cuda import EmulatedCuda, emulated_kernels

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "gpu"))

import commands
import places
import prompts
import same_results
import soft
import tracked
import trials
from sameness import all_the_same, sameness

from segrt.runtime.bundle.locating import read_bundle
from segrt.runtime.decode.decoders import PROGRAMS
from segrt.runtime.results import Label, SemanticResult


class Clock:
    """As the script's, with as much time as it is given."""

    def __init__(self, seconds: float = 1e6) -> None:
        self.seconds = seconds

    def has(self, seconds: float) -> bool:  # noqa: D102 (as there)
        return seconds <= self.seconds


@pytest.fixture
def small(gpu: EmulatedCuda, monkeypatch: pytest.MonkeyPatch) -> EmulatedCuda:
    for module in ("decode.decoding_place", "inference.cuda.kernels", "preprocess.cuda.slot_pictures"):
        monkeypatch.setattr(f"segrt.runtime.{module}.built_files", lambda: ("antialias", "preprocess", *PROGRAMS))
    gpu.kernels = emulated_kernels(gpu)
    street = trials.source_picture

    def picture(number: int) -> Any:
        return np.ascontiguousarray(street(number)[::16, ::16])

    monkeypatch.setattr(trials, "source_picture", picture)
    monkeypatch.setattr(same_results, "large_picture", lambda: picture(3))
    monkeypatch.setattr(same_results, "TILE", "48x80,20%")
    monkeypatch.setattr(same_results, "PICTURES", 1)
    monkeypatch.setattr(tracked, "FRAMES", 2)
    monkeypatch.setattr(tracked, "SIZE", (48, 80))
    monkeypatch.setattr(tracked, "BUNDLES", ("street-panoptic",))
    return gpu


def test_pictures_and_tiles_on_both_are_the_same(small: EmulatedCuda) -> None:
    failures: list[str] = []
    left_out: list[str] = []
    bundles = [read_bundle("street-semantic")]  # the emulator takes least time for it
    rows = same_results.compare_all(bundles, failures, left_out, Clock())
    assert (failures, left_out) == ([], [])
    assert [row["same"] for row in rows] == ["equal"] * 2
    assert rows[0]["decoded on"] == "cuda"
    assert small.alive == 0


def test_what_does_not_use_the_gpu_fails_and_the_rest_goes_on() -> None:
    failures: list[str] = []
    bundles = [read_bundle("street-semantic")]
    rows = same_results.compare_all(bundles, failures, [], Clock())
    assert len(rows) == len(failures) == 2
    assert "street-semantic: runs on cpu, not on the GPU" in failures[0]


def test_without_time_everything_is_named() -> None:
    left_out: list[str] = []
    assert same_results.compare_all([read_bundle("street-semantic")], [], left_out, Clock(0)) == []
    assert tracked.compare_all([], left_out, Clock(0)) == []
    assert commands.run_all([], left_out, Clock(0)) == []
    assert "things followed: no time was left" in left_out
    assert "segrt profile: no time was left" in left_out


def test_things_are_followed_on_both(small: EmulatedCuda) -> None:
    failures: list[str] = []
    (row,) = tracked.compare_all(failures, [], Clock())
    assert failures == []
    assert row["same"] == "equal; ids of 2 of 2 frames are the same"
    assert small.alive == 0


def test_results_that_differ_are_told_and_much_is_a_failure() -> None:
    labels = (Label("a", 0, False, (0, 0, 0)), Label("b", 1, False, (1, 1, 1)))
    one = np.zeros((100, 100), np.uint8)
    little, much = one.copy(), one.copy()
    little[0, :3], much[:, :50] = 1, 1
    want, near, far = (SemanticResult(array, labels) for array in (one, little, much))
    assert sameness(want, want, "semantic") == ("equal", True)
    assert sameness(near, want, "semantic")[1]
    told, right = all_the_same([(want, want), (far, want)], "semantic")
    assert not right
    assert told.startswith("1 of 2 equal, else 50.0000% agree")


def test_a_trial_that_raises_is_a_failure_and_no_end() -> None:
    failures: list[str] = []
    row = soft.tried("division", failures, lambda: ({"same": str(1 // 0)}, True))
    assert failures == [f"division: {row['same']}"]
    assert str(row["same"]).startswith("ZeroDivisionError")


def test_commands_end_well_and_refuse_in_a_line(tmp_path: Path) -> None:
    made = commands.jobs(tmp_path, ("--backend", "onnxruntime", "--threads", "1"))
    row, right = made["segrt run with too many threads"]()
    assert right, row
    assert commands.ends_well("--version")[1]
    assert not commands.ends_well("run", "no-such-bundle", "nothing")[1]
    assert not commands.refuses("--version")[1]


def test_prompts_of_a_bundle_fit_its_pictures() -> None:
    for prompt in prompts.asked((96, 160)):
        for box in prompt.get("boxes", ()):
            assert 0 <= box[0] < box[2] <= 160
            assert 0 <= box[1] < box[3] <= 96
    assert places.GPU == "cuda"
