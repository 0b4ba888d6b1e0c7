"""What makes a profile's figures doubtful, in words."""

from collections.abc import Sequence

from segrt.runtime.profiling.records import Machine, Run
from segrt.runtime.profiling.statistics import slowdown

_BUSY_SHARE = 0.15
_SLOWER = 1.1
_CLOCK_DROP = 0.9
_WIDE = 0.2


def caveats_of(machine: Machine, runs: Sequence[Run]) -> list[str]:
    """Return a sentence for everything that a reader should know before believing the figures."""
    caveats = []
    if machine.other_cores_busy is not None and machine.other_cores_busy > _BUSY_SHARE * machine.cores:
        caveats.append(
            f"other programs kept {machine.other_cores_busy:.1f} of {machine.cores} processors busy: stop them, or "
            "trust the ratios only"
        )
    if machine.clock_mhz is not None and machine.clock_mhz[1] < _CLOCK_DROP * machine.clock_mhz[0]:
        caveats.append(f"the clock fell from {machine.clock_mhz[0]:.0f} to {machine.clock_mhz[1]:.0f} MHz")
    clock = machine.gpu_clock_mhz
    if clock is not None and clock[0] < _CLOCK_DROP * clock[1]:
        caveats.append(f"the GPU's clock lay between {clock[0]:.0f} and {clock[1]:.0f} MHz")
    if clock is None and any(run.gpu for run in runs):
        caveats.append("the GPU's clock is unknown: pip install nvidia-ml-py")
    if machine.governor not in (None, "performance"):
        caveats.append(
            f"the clock's governor is {machine.governor}, which makes short frames slow; set it to performance"
        )
    slower = [run for run in runs if slowdown(run.samples.get("total", [1.0])) > _SLOWER]
    if len(slower) == len(runs) and runs:
        least = min(slowdown(run.samples["total"]) for run in runs)
        caveats.append(
            f"everything became {least - 1:.0%} slower or more during the run: heat, or other programs; "
            "cool the device and measure longer"
        )
    unstable = [run.title for run in runs if not run.is_stable]
    if unstable:
        caveats.append(f"still getting faster after warming up: {', '.join(unstable)}; give more --warmup")
    wide = [
        run.title
        for run in runs
        if "total" in run.stages
        and run.stages["total"].p50_high_ms - run.stages["total"].p50_low_ms > _WIDE * run.stages["total"].p50_ms
    ]
    if wide:
        caveats.append(f"the median is known to a fifth only: {', '.join(wide)}; measure more --frames")
    return caveats
