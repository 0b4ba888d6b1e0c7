"""Cold start and memory of a candidate, in processes of its own."""

import subprocess
import sys
import time
from pathlib import Path
from statistics import median
from typing import NamedTuple

import msgspec

from segrt.runtime.errors import BackendError
from segrt.runtime.profiling.candidate import Candidate

_RUNS = 3
_FRAMES = 5
_TIMEOUT_SECONDS = 300
_CHILD = """
import json, sys, time
told = json.loads(sys.argv[1])
import numpy
from segrt.runtime.profiling.cold import first_result
print(json.dumps(first_result(**told)))
"""


class ColdStart(NamedTuple):
    """Milliseconds from starting a process to its first result, imports included; its peak resident megabytes.

    `gpu_memory_mb` is what it holds on a GPU that tells.
    """

    ms: float
    peak_rss_mb: float
    gpu_memory_mb: float | None = None


def cold_start(candidate: Candidate, size: tuple[int, int], runs: int = _RUNS) -> ColdStart:
    """Start processes that open the candidate and segment some grey pictures of `size` (H, W); return the medians.

    Raises BackendError when one fails.
    """
    told = {
        "bundle": candidate.bundle,
        "precision": candidate.precision,
        "backend": candidate.backend,
        "threads": candidate.threads,
        "size": size,
    }
    found = []
    for _ in range(runs):
        begin = time.monotonic()
        command = [sys.executable, "-c", _CHILD, msgspec.json.encode(told).decode()]
        child = subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT_SECONDS, check=False)
        if child.returncode:
            last = (child.stderr.strip().splitlines() or ["no message"])[-1]
            raise BackendError(f"{candidate.bundle}: a process of its own cannot open it ({last})")
        said = msgspec.json.decode(child.stdout.splitlines()[-1], type=dict[str, float | None])
        # The monotonic clock is the machine's: both processes read the same.
        found.append(ColdStart(((said["first_result"] or 0) - begin) * 1e3, said["peak_rss_mb"] or 0, said["gpu"]))
    return ColdStart(
        median(start.ms for start in found), median(start.peak_rss_mb for start in found), found[-1].gpu_memory_mb
    )


def first_result(bundle: str, precision: str, backend: str, threads: int, size: list[int]) -> dict[str, float | None]:
    """Open the candidate and segment; return when the first result was there (monotonic) and the peak memory."""
    import numpy as np

    from segrt.runtime.profiling.nvml import gpu_state
    from segrt.runtime.segmenter import open_bundle

    image = np.full((*size, 3), 128, np.uint8)
    with open_bundle(bundle, precision=precision, backend=backend, threads=threads) as segmenter:
        segmenter(image)
        there = time.monotonic()
        for _ in range(_FRAMES):
            segmenter(image)
        gpu = gpu_state()
    return {
        "first_result": there,
        "peak_rss_mb": _peak_rss_mb(),
        "gpu": None if gpu is None else gpu.memory_mb,
    }


def _peak_rss_mb() -> float:
    """Return the most memory that this process ever had in use.

    VmHWM, not getrusage's figure: Linux hands that one on to what a process starts, so that it would be the profiler's.
    """
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    return 0.0
