"""The GPU's stages, idle gaps and clocks, from times that are known."""

from pathlib import Path

import pytest

from segrt.runtime.inference.cuda.device_array import GpuTimes
from segrt.runtime.profiling import nvml
from segrt.runtime.profiling.caveats import caveats_of
from segrt.runtime.profiling.gpu_trace import gpu_cells, gpu_run, merged, stages_of
from segrt.runtime.profiling.interleaved import figures
from segrt.runtime.profiling.records import GpuRun, Machine, Run


def test_work_of_two_slots_at_once_is_counted_once() -> None:
    assert merged([(5.0, 7.0), (0.0, 2.0), (1.0, 3.0), (6.0, 6.5)]) == [(0.0, 3.0), (5.0, 7.0)]


def test_busy_share_and_gaps_follow_from_the_spans() -> None:
    stages = {"network": figures([1.0, 3.0])}
    run = gpu_run(stages, [(0.0, 2.0), (1.0, 3.0), (5.0, 7.0), (8.0, 10.0)], "it has loops")
    assert run == GpuRun(stages, 0.7, 1.0, 2.0, "it has loops")
    assert gpu_cells(run) == ["-", "-", "2.000", "-", "-", "70%", "1.000", "2.000"]


def test_a_gpu_that_never_waits_is_wholly_busy() -> None:
    run = gpu_run({"network": figures([1.0])}, [(0.0, 2.0), (1.0, 3.0), (3.0, 4.0)], "")
    assert run is not None
    assert (run.busy_share, run.idle_ms, run.longest_idle_ms) == (1.0, 0.0, 0.0)


def test_without_a_gpu_there_is_nothing_to_tell() -> None:
    assert gpu_run({}, [], "") is None
    alone = gpu_run({"network": figures([1.0])}, [], "")
    assert alone is not None
    assert gpu_cells(alone)[-3:] == ["-", "-", "-"]


def test_stages_are_those_that_took_time() -> None:
    assert stages_of(GpuTimes(0.1, 2.0, 0.0, 0.3, 0.2)) == {
        "upload": 0.1, "network": 2.0, "decode": 0.3, "preprocess": 0.2,
    }  # fmt: skip


def test_clocks_come_from_nvidia_smi_where_the_library_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_library(name: str) -> None:
        raise ImportError(name)

    monkeypatch.setattr(nvml, "import_module", no_library)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert nvml.gpu_state() is None
    program = tmp_path / "nvidia-smi"
    for output, state in (
        ("71.52, 41, 1980", nvml.GpuState(None, 71.52, 41.0, 1980.0)),
        ("[N/A], 41, 1410", nvml.GpuState(None, None, 41.0, 1410.0)),
        ("No devices were found", None),
    ):
        program.write_text(f"#!/bin/sh\necho '{output}'\n")
        program.chmod(0o755)
        assert nvml.gpu_state() == state
    program.write_text("#!/bin/sh\nexit 9\n")
    assert nvml.gpu_state() is None


def run_on_gpu() -> Run:
    stages = {"total": figures([3.0, 3.0])}
    return Run(bundle="b", technique="semantic", backend="onnxruntime", precision="fp32", device="cuda", frames=2,
               stages=stages, fps=1.0, peak_rss_mb=None, gpu=GpuRun(stages), samples={"total": [3.0, 3.0]})  # fmt: skip


def machine(clock: tuple[float, float] | None) -> Machine:
    return Machine("p", 2, "Linux", "3.11", {}, gpu_clock_mhz=clock)


def test_a_clock_that_is_unknown_or_falls_is_a_caveat() -> None:
    run = run_on_gpu()
    assert "the GPU's clock is unknown: pip install nvidia-ml-py" in caveats_of(machine(None), [run])
    assert "the GPU's clock lay between 1200 and 1980 MHz" in caveats_of(machine((1200.0, 1980.0)), [run])
    assert not any("clock" in note for note in caveats_of(machine((1900.0, 1980.0)), [run]))
