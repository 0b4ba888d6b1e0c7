"""Cold start and memory of a candidate, in processes of its own."""

import json
import subprocess
import sys
import time
from pathlib import Path
from statistics import median
from typing import NamedTuple

import msgspec

from segrt.runtime.errors import BackendError
from segrt.runtime.inference.execution import WantedPlace
from segrt.runtime.profiling.candidate import Candidate

_RUNS = 3
_FRAMES = 5
_TIMEOUT_SECONDS = 300
_CHILD = "import sys; from segrt.runtime.profiling.cold import answer; answer(sys.argv[1])"


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
    engines = candidate.engines
    folder = None if engines.engine_dir is None else str(engines.engine_dir)
    task = _Task(
        candidate.bundle,
        candidate.precision,
        candidate.backend,
        candidate.threads,
        size,
        folder,
        engines.build,
        engines.trust,
        candidate.decode_on,
    )
    starts = []
    for _ in range(runs):
        begin = time.monotonic()
        command = [sys.executable, "-c", _CHILD, json.dumps(msgspec.to_builtins(task))]
        child = subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT_SECONDS, check=False)
        if child.returncode:
            last = (child.stderr.strip().splitlines() or ["no message"])[-1]
            raise BackendError(f"{candidate.bundle}: a process of its own cannot open it ({last})")
        said = msgspec.json.decode(child.stdout.splitlines()[-1], type=_Answer)
        # The monotonic clock is the machine's: both processes read the same.
        starts.append(ColdStart((said.first_result - begin) * 1e3, said.peak_rss_mb, said.gpu_mb))
    return ColdStart(
        median(start.ms for start in starts), median(start.peak_rss_mb for start in starts), starts[-1].gpu_memory_mb
    )


class _Task(msgspec.Struct, frozen=True):
    """What a process of its own is told: the candidate, the pictures' size (H, W), what is done about engines."""

    bundle: str
    precision: str
    backend: str
    threads: int
    size: tuple[int, int]
    engine_dir: str | None
    build: bool
    trust: bool
    decode_on: WantedPlace


class _Answer(msgspec.Struct, frozen=True):
    """What it says: when the first result was there (monotonic, seconds), its peak memory, what it holds on a GPU."""

    first_result: float
    peak_rss_mb: float
    gpu_mb: float | None


def answer(text: str) -> None:
    """Open the candidate of a task's JSON, segment some grey pictures, and print the answer as JSON."""
    from segrt.runtime.inference.engine_policy import EnginePolicy
    from segrt.runtime.preprocess.channels import image_input, level_picture
    from segrt.runtime.profiling.nvml import gpu_state
    from segrt.runtime.segmenter import find_bundle, open_segmenter

    task = msgspec.convert(json.loads(text), _Task)
    folder = None if task.engine_dir is None else Path(task.engine_dir)
    engines = EnginePolicy(folder, build=task.build, trust=task.trust)
    with open_segmenter(
        find_bundle(task.bundle),
        precision=task.precision,
        backend=task.backend,
        threads=task.threads,
        engines=engines,
        decode_on=task.decode_on,
        trial_prompt=True,
    ) as segmenter:
        image = level_picture(image_input(segmenter.manifest.inputs), task.size)
        segmenter(image)
        there = time.monotonic()
        for _ in range(_FRAMES):
            segmenter(image)
        gpu = gpu_state()
    said = _Answer(there, _peak_rss_mb(), None if gpu is None else gpu.memory_mb)
    print(msgspec.json.encode(said).decode())


def _peak_rss_mb() -> float:
    """Return the most memory that this process ever had in use.

    VmHWM, not getrusage's figure: Linux hands that one on to what a process starts, so that it would be the profiler's.
    """
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    return 0.0
