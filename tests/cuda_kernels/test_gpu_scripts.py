"""The parts of tests/gpu/run.sh, run on the emulated GPU, so that they do not fail on their first real one."""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from emulated_cuda import EmulatedCuda, emulated_kernels

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "gpu"))

import equality
from scenes import NAMES, scene_of

from segrt.runtime.decode.decoders import PROGRAMS

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
    assert set(found) == set(RULES)
    assert min(found.values()) > 0, json.dumps(found)
