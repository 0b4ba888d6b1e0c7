"""What the machine is, and how it was while it was measured: load of others, clocks, temperature, power.

Everything is read from Linux's own files, below a root that tests replace; what a device does not tell stays None.
"""

import os
import platform
import time
from collections.abc import Iterator
from importlib.metadata import distributions
from pathlib import Path
from statistics import mean

from segrt.runtime.profiling.nvml import gpu_state
from segrt.runtime.profiling.records import Machine

_PACKAGES = ("segrt", "numpy", "opencv-python-headless", "onnxruntime", "onnxruntime-gpu", "tensorrt", "tensorrt-rtx")
_TICK = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100


class Watch:
    """Observes the machine from its making to `finish`."""

    def __init__(self, root: Path = Path("/")) -> None:
        self._root = root
        self._begin = time.monotonic()
        self._busy = busy_seconds(root)
        self._own = _own_seconds()
        self._clocks = clocks_mhz(root)
        self._warmth = temperature(root)
        self._power: list[float] = []
        self._gpu_clocks: list[float] = []
        self._has_gpu = True  # until it does not answer
        self.look()

    def look(self) -> None:
        """Read the power, of the board or else of the GPU, and the GPU's clock; they hold for the moment only."""
        watts = power(self._root)
        gpu = gpu_state() if self._has_gpu else None
        self._has_gpu = self._has_gpu and gpu is not None
        if gpu is not None:
            watts = gpu.power_w if watts is None else watts
            self._gpu_clocks += [] if gpu.clock_mhz is None else [gpu.clock_mhz]
        if watts is not None:
            self._power.append(watts)

    def finish(self) -> Machine:
        """Return the machine and how it was."""
        self.look()
        elapsed = max(time.monotonic() - self._begin, 1e-9)
        busy = busy_seconds(self._root)
        others = None
        if busy is not None and self._busy is not None:
            others = max(0.0, (busy - self._busy - (_own_seconds() - self._own)) / elapsed)
        clocks, warmth = clocks_mhz(self._root), temperature(self._root)
        return Machine(
            processor=processor(self._root),
            cores=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
            system=model(self._root) or f"{platform.system()} {platform.release()}, {platform.machine()}",
            python=platform.python_version(),
            versions=versions(),
            governor=_text(self._root / "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
            clock_mhz=(self._clocks, clocks) if self._clocks is not None and clocks is not None else None,
            temperature_c=(self._warmth, warmth) if self._warmth is not None and warmth is not None else None,
            power_w=mean(self._power) if self._power else None,
            other_cores_busy=others,
            gpu_clock_mhz=(min(self._gpu_clocks), max(self._gpu_clocks)) if self._gpu_clocks else None,
        )


def processor(root: Path) -> str:
    """Return the processor's name."""
    for line in (_text(root / "proc/cpuinfo") or "").splitlines():
        if line.startswith(("model name", "Model")):
            return line.split(":", 1)[1].strip()
    return platform.machine()


def model(root: Path) -> str | None:
    """Return the board's name where there is a device tree: a Jetson, a Raspberry Pi."""
    name = _text(root / "proc/device-tree/model")
    return name.strip("\0 ") if name else None


def versions() -> dict[str, str]:
    """Return the installed packages that matter, name → version."""
    installed = {package.metadata["Name"]: package.version for package in distributions()}
    return {package: installed[package] for package in _PACKAGES if package in installed}


def busy_seconds(root: Path) -> float | None:
    """Return the CPU seconds of all programs since the machine started (/proc/stat: user, nice, system, irq …)."""
    line = (_text(root / "proc/stat") or "").partition("\n")[0].split()
    if not line or line[0] != "cpu":
        return None
    user, nice, system, _idle, _iowait, irq, softirq = (int(value) for value in line[1:8])
    return (user + nice + system + irq + softirq) / _TICK


def clocks_mhz(root: Path) -> float | None:
    """Return the mean clock of the processors in MHz (cpufreq)."""
    clocks = list(_numbers(root, "sys/devices/system/cpu/cpu[0-9]*/cpufreq/scaling_cur_freq"))
    return mean(clocks) / 1e3 if clocks else None


def temperature(root: Path) -> float | None:
    """Return the hottest zone in °C."""
    zones = [value / 1e3 for value in _numbers(root, "sys/class/thermal/thermal_zone*/temp") if value > 0]
    return max(zones, default=None)


def power(root: Path) -> float | None:
    """Return the watts of all rails (Jetson's INA3221: in*_input in mV, curr*_input in mA)."""
    watts = 0.0
    seen = False
    for current in sorted(root.glob("sys/bus/i2c/drivers/ina3221/*/hwmon/hwmon*/curr[0-9]_input")):
        number = current.name[4]
        label = _text(current.with_name(f"in{number}_label")) or ""
        volts = _number(current.with_name(f"in{number}_input"))
        amperes = _number(current)
        # VDD_IN is the whole board; its parts are not added to it.
        if volts is None or amperes is None or ("VDD_IN" not in label and "VIN_SYS" not in label):
            continue
        watts += volts * amperes / 1e6
        seen = True
    return watts if seen else None


def _own_seconds() -> float:
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def _numbers(root: Path, pattern: str) -> Iterator[float]:
    for path in sorted(root.glob(pattern)):
        value = _number(path)
        if value is not None:
            yield value


def _number(path: Path) -> float | None:
    try:
        return float(path.read_text())
    except (OSError, ValueError):
        return None


def _text(path: Path) -> str | None:
    try:
        return path.read_text().rstrip("\n")
    except (OSError, UnicodeDecodeError):
        return None
