"""Baselines, budgets, Pareto fronts and caveats, on figures made by hand."""

import os
import sys
from pathlib import Path
from types import SimpleNamespace

import msgspec
import numpy as np
import pytest

from segrt.runtime.errors import SegrtError
from segrt.runtime.profiling.baseline import compare
from segrt.runtime.profiling.budget import Budget, lost_accuracy, pareto_front, parse_budget
from segrt.runtime.profiling.caveats import caveats_of
from segrt.runtime.profiling.interleaved import figures
from segrt.runtime.profiling.machine_state import Watch, busy_seconds, clocks_mhz, model, power, processor, temperature
from segrt.runtime.profiling.nvml import GpuState, gpu_state
from segrt.runtime.profiling.records import Accuracy, Machine, Profile, Run, read_profile


def run(name="net", total=20.0, spread=0.5, accuracy=None, technique="panoptic", seed=0, **changes):
    rng = np.random.default_rng(seed)
    samples = {
        "preprocess": (1 + rng.normal(0, 0.01, 100)).tolist(),
        "inference": (total - 1 + rng.normal(0, spread, 100)).tolist(),
    }
    samples["total"] = [a + b for a, b in zip(*samples.values(), strict=True)]
    stages = {stage: figures(values) for stage, values in samples.items()}
    known = None if accuracy is None else Accuracy("pq", accuracy, 10)
    made = Run(
        bundle=name, technique=technique, backend="onnxruntime", precision="fp32", device="cpu", frames=100,
        stages=stages, fps=50.0, peak_rss_mb=100.0, samples=samples, accuracy=known,
    )  # fmt: skip
    return msgspec.structs.replace(made, **changes)


def test_the_same_again_is_no_regression():
    for seed in range(20):
        comparison = compare(Profile([run(seed=0)]), Profile([run(seed=seed + 1)]), 0.0)
        assert not comparison.regressions


def test_a_slower_stage_is_named():
    comparison = compare(Profile([run(total=20)]), Profile([run(total=26, seed=1)]), 0.1)
    assert {change.title for change in comparison.regressions} == {"net fp32"}
    assert [change.stage for change in comparison.changes if change.is_regression] == ["inference", "total"]
    assert comparison.regressions[0].ratio == pytest.approx(1.3, abs=0.02)
    assert not compare(Profile([run(total=20)]), Profile([run(total=26, seed=1)]), 0.5).regressions
    assert not compare(Profile([run(total=26)]), Profile([run(total=20, seed=1)]), 0.0).regressions


def test_noise_fails_nothing_even_where_medians_differ():
    loud = compare(Profile([run(spread=15)]), Profile([run(total=21.5, spread=15, seed=1)]), 0.0)
    assert not loud.regressions
    assert all(change.is_noise for change in loud.changes if change.stage == "total")


def test_candidates_of_one_profile_alone_are_listed():
    comparison = compare(Profile([run("a"), run("b")]), Profile([run("b"), run("c")]), 0.1)
    assert (comparison.missing, comparison.new) == (["a fp32"], ["c fp32"])
    assert {change.title for change in comparison.changes} == {"b fp32"}


@pytest.mark.parametrize(
    ("text", "budget"),
    [("33ms@p99", Budget(33, "p99")), ("20.5 ms@mean", Budget(20.5, "mean")), ("40MS", Budget(40, "p99"))],
)
def test_budgets_are_read(text, budget):
    assert parse_budget(text) == budget


@pytest.mark.parametrize("text", ["", "33", "33ms@p98", "-3ms", "0ms", "fast"])
def test_wrong_budgets_are_refused(text):
    with pytest.raises(SegrtError, match=r"--budget .*33ms@p99"):
        parse_budget(text)


def test_the_budget_and_what_it_costs():
    runs = [run("slow", 40, accuracy=0.5), run("fast", 10, accuracy=0.45), run("other", 10, technique="semantic")]
    met = [Budget(20, "p50").is_met(candidate) for candidate in runs]
    assert met == [False, True, True]
    assert lost_accuracy(runs[1], runs) == pytest.approx(0.05)
    assert lost_accuracy(runs[2], runs) is None


def test_the_front_holds_whatever_nothing_beats_in_both():
    runs = [
        run("best", 40, accuracy=0.5), run("fast", 10, accuracy=0.45), run("beaten", 20, accuracy=0.4),
        run("alone", 90, accuracy=0.1, technique="semantic"), run("unknown", 1),
    ]  # fmt: skip
    assert [winner.bundle for winner in pareto_front(runs)] == ["best", "fast", "alone"]


def machine(**changes):
    return msgspec.structs.replace(Machine("cpu", 4, "Linux", "3.11", {}), **changes)


def test_caveats_are_said_only_where_there_are_any():
    assert caveats_of(machine(), [run(spread=0.1)]) == []
    assert "processors busy" in caveats_of(machine(other_cores_busy=2.0), [run(spread=0.1)])[0]
    assert "clock fell" in caveats_of(machine(clock_mhz=(1500.0, 900.0)), [run(spread=0.1)])[0]
    assert "governor is powersave" in caveats_of(machine(governor="powersave"), [run(spread=0.1)])[0]
    hot = run(spread=0.1)
    hot.samples["total"][:] = list(np.linspace(20, 30, 100))
    assert any("slower or more during the run" in caveat for caveat in caveats_of(machine(), [hot]))
    assert any("still getting faster" in caveat for caveat in caveats_of(machine(), [run(spread=0.1, is_stable=False)]))
    assert any("known to a fifth only" in caveat for caveat in caveats_of(machine(), [run(spread=40)]))


def write(root: Path, path: str, text: str) -> None:
    file = root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


def test_a_jetson_tells_its_clocks_temperature_and_power(tmp_path):
    write(tmp_path, "proc/device-tree/model", "NVIDIA Jetson Orin Nano Developer Kit\0")
    write(tmp_path, "proc/stat", "cpu  1000 0 500 9000 0 10 5 0 0 0\ncpu0 1 2 3\n")
    write(tmp_path, "proc/cpuinfo", "processor : 0\nmodel name\t: ARMv8 Processor rev 1 (v8l)\n")
    for core, clock in enumerate((1510400, 729600)):
        write(tmp_path, f"sys/devices/system/cpu/cpu{core}/cpufreq/scaling_cur_freq", f"{clock}\n")
    write(tmp_path, "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", "schedutil\n")
    write(tmp_path, "sys/class/thermal/thermal_zone0/temp", "48500\n")
    write(tmp_path, "sys/class/thermal/thermal_zone1/temp", "51250\n")
    write(tmp_path, "sys/class/thermal/thermal_zone2/temp", "-256000\n")
    rail = "sys/bus/i2c/drivers/ina3221/1-0040/hwmon/hwmon1"
    for number, (label, millivolts, milliamperes) in enumerate(
        [("VDD_IN", 5000, 1400), ("VDD_CPU_GPU_CV", 4900, 500)], start=1
    ):
        write(tmp_path, f"{rail}/in{number}_label", label)
        write(tmp_path, f"{rail}/in{number}_input", str(millivolts))
        write(tmp_path, f"{rail}/curr{number}_input", str(milliamperes))
    assert model(tmp_path) == "NVIDIA Jetson Orin Nano Developer Kit"
    assert processor(tmp_path) == "ARMv8 Processor rev 1 (v8l)"
    assert clocks_mhz(tmp_path) == pytest.approx(1120)
    assert temperature(tmp_path) == 51.25
    assert power(tmp_path) == pytest.approx(7.0)
    assert busy_seconds(tmp_path) == pytest.approx(15.15)
    found = Watch(tmp_path).finish()
    assert (found.governor, found.power_w, found.temperature_c) == ("schedutil", pytest.approx(7.0), (51.25, 51.25))


def test_a_machine_that_tells_nothing_is_no_error(tmp_path):
    found = Watch(tmp_path).finish()
    assert (found.clock_mhz, found.temperature_c, found.power_w, found.other_cores_busy) == (None,) * 4


def test_profiles_are_written_and_read(tmp_path):
    profile = Profile([run()], machine=machine(), notes=["a note"])
    profile.write(tmp_path / "deep" / "p.json")
    again = read_profile(tmp_path / "deep" / "p.json")
    assert again.runs[0].stages == profile.runs[0].stages
    (tmp_path / "x.json").write_text("{}")
    with pytest.raises(SegrtError, match="is no profile"):
        read_profile(tmp_path / "x.json")
    with pytest.raises(SegrtError, match="cannot be read"):
        read_profile(tmp_path / "none.json")


def test_a_desktop_gpu_tells_memory_power_and_clock(monkeypatch):
    class Nvml:
        """The management library with one GPU that does not tell its temperature."""

        NVML_TEMPERATURE_GPU, NVML_CLOCK_SM = 0, 1

        def __getattr__(self, name):
            answers = {
                "nvmlDeviceGetHandleByIndex": "gpu",
                "nvmlDeviceGetPowerUsage": 87_500,
                "nvmlDeviceGetClockInfo": 1755,
                "nvmlDeviceGetComputeRunningProcesses": [
                    SimpleNamespace(pid=os.getpid(), usedGpuMemory=512e6),
                    SimpleNamespace(pid=1, usedGpuMemory=9e9),
                ],
            }
            if name == "nvmlDeviceGetTemperature":
                raise RuntimeError("not supported")
            return lambda *_: answers.get(name)

    monkeypatch.setitem(sys.modules, "pynvml", Nvml())
    assert gpu_state() == GpuState(512.0, 87.5, None, 1755.0)
    assert Watch(Path("/nosuch")).finish().power_w == 87.5


def test_no_gpu_is_no_error(monkeypatch):
    monkeypatch.setitem(sys.modules, "pynvml", None)
    assert gpu_state() is None
