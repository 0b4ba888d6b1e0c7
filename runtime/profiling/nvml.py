"""What NVIDIA's management library tells of a desktop GPU, where `nvidia-ml-py` and a driver are there.

A Jetson has no such library for memory and power; there both are the board's (see `machine`).
"""

import os
import shutil
import subprocess
from importlib import import_module
from typing import Any, NamedTuple

_QUERY = ("power.draw", "temperature.gpu", "clocks.sm")


class GpuState(NamedTuple):
    """Megabytes that this process holds, watts, °C and MHz of the first GPU; None for what it does not tell."""

    memory_mb: float | None
    power_w: float | None
    temperature_c: float | None
    clock_mhz: float | None


def gpu_state() -> GpuState | None:
    """Return the state of the first GPU, or None without one; from nvidia-smi where the library is not installed."""
    try:
        nvml = import_module("pynvml")
    except ImportError:
        return _from_nvidia_smi()
    try:
        nvml.nvmlInit()
    except Exception:  # no driver, no device: the library's errors share no importable base
        return None
    try:
        device = nvml.nvmlDeviceGetHandleByIndex(0)
        return GpuState(
            memory_mb=_memory(nvml, device),
            power_w=_answer(lambda: nvml.nvmlDeviceGetPowerUsage(device) / 1e3),
            temperature_c=_answer(lambda: float(nvml.nvmlDeviceGetTemperature(device, nvml.NVML_TEMPERATURE_GPU))),
            clock_mhz=_answer(lambda: float(nvml.nvmlDeviceGetClockInfo(device, nvml.NVML_CLOCK_SM))),
        )
    except Exception:  # a device that fell off the bus
        return None
    finally:
        nvml.nvmlShutdown()


def _from_nvidia_smi() -> GpuState | None:
    program = shutil.which("nvidia-smi")
    if program is None:
        return None
    command = [program, "--id=0", f"--query-gpu={','.join(_QUERY)}", "--format=csv,noheader,nounits"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=5, check=True)
        power, temperature, clock = (_number(word) for word in done.stdout.strip().split(","))
    except (OSError, subprocess.SubprocessError, ValueError):
        return None
    return GpuState(None, power, temperature, clock)


def _number(word: str) -> float | None:
    """Return what nvidia-smi says, None for "[N/A]"."""
    try:
        return float(word)
    except ValueError:
        return None


def _memory(nvml: Any, device: Any) -> float | None:
    processes = _answer(lambda: nvml.nvmlDeviceGetComputeRunningProcesses(device)) or []
    here = [process.usedGpuMemory for process in processes if process.pid == os.getpid()]
    return sum(here) / 1e6 if here and None not in here else None


def _answer(ask: Any) -> Any:
    """Return the answer, or None where this GPU does not support the question."""
    try:
        return ask()
    except Exception:  # NVMLError_NotSupported, of a module that may be missing here
        return None
