"""Checks, then times, on a GPU; see `run.sh`. Each part writes what it found, or why it could not."""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

import commands
import cuda_interface
import equality
import exports
import peers
import prepared_pictures
import prompts
import same_results
import tracked
import transformers_way
import trials
from report import write_report

from segrt.runtime.bundle.bundle import Bundle
from segrt.runtime.bundle.locating import read_bundle
from segrt.runtime.errors import SegrtError
from segrt.runtime.inference.cuda.choice import installed_packages, open_cuda
from segrt.runtime.inference.cuda.interface import Cuda
from segrt.runtime.inference.cuda.kernels import why_no_kernels
from segrt.runtime.inference.cuda.presence import why_no_gpu
from segrt.runtime.inference.tensorrt.flavor import find_flavor

EMBEDDED = ("street-semantic", "street-instance", "street-panoptic")
PRECISIONS = ("fp32", "tf32", "fp16", "int8")
COMPILED = "segformer-b0-ade"  # torch.compile takes long, so that it is timed for one network
# How long a row of the table may take at most, as far as is known before: what does not fit is left out.
_ROW_SECONDS, _PEER_SECONDS, _COMPILE_SECONDS = 12, 20, 45
_EXPORT_SHARE = 0.6  # of all the time, for what still exports when the checks are done


class Clock:
    """The seconds that are left of a run."""

    def __init__(self, seconds: float) -> None:
        self.begin, self.seconds = time.monotonic(), seconds

    @property
    def gone(self) -> float:
        """Seconds since the beginning."""
        return round(time.monotonic() - self.begin, 1)

    def has(self, seconds: float) -> bool:
        """Whether so much is left."""
        return self.gone + seconds <= self.seconds


def main() -> int:
    """Run everything that this machine can; return 1 when something is wrong, 0 also when there is no GPU."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("gpu-results"))
    parser.add_argument("--bundles", type=Path, help="folder of bundles to take instead of exporting them")
    parser.add_argument("--frames", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=280, help="what does not fit is left out and named")
    parser.add_argument("--quick", action="store_true", help="the embedded bundles, and nothing beside them")
    options = parser.parse_args()
    reason = why_no_gpu()
    if reason is None and not installed_packages():
        reason = "neither cuda-python nor pycuda is installed (pip install 'segrt[gpu]')"
    if reason is not None:
        print(f"skipped: {reason}")
        return 0
    return measure(options)


def measure(options: argparse.Namespace) -> int:
    """Check, time and report."""
    clock = Clock(options.seconds)
    options.out.mkdir(parents=True, exist_ok=True)
    failures: list[str] = []
    left_out: list[str] = []
    found: dict[str, Any] = {"failures": failures, "left out": left_out, "trials": [], "times": []}
    own = not options.quick and options.bundles is None
    running = exports.start(options.out / "bundles") if own else []
    found |= correctness(failures)
    found["checking_s"] = clock.gone
    write(found, options.out, clock)
    embedded = [read_bundle(name) for name in EMBEDDED]
    found["trials"] += whole_results(embedded, failures, left_out, clock)  # while others are still exported
    found["trials"] += tracked.compare_all(failures, left_out, clock)
    found["trials"] += commands.run_all(failures, left_out, clock)
    write(found, options.out, clock)
    if own:
        deadline = clock.begin + max(clock.gone, _EXPORT_SHARE * clock.seconds)
        others = exports.finish(options.out / "bundles", running, deadline, left_out)
        written = {bundle.manifest.name for bundle in others}
        found["exports"] = {export.name: export.seconds for export in running if export.name in written}
    else:
        folders = sorted(options.bundles.glob("*/manifest.json")) if options.bundles else []
        others = [read_bundle(path.parent) for path in folders]
    found["trials"] += whole_results(others, failures, left_out, clock)
    write(found, options.out, clock)
    for what, seconds, rows in jobs(embedded, others, options, failures):
        if not clock.has(seconds):
            left_out.append(f"{what}: no time was left")
            continue
        found["times"] += rows()
        write(found, options.out, clock)
    write(found, options.out, clock)
    print((options.out / "RESULTS.md").read_text())
    return 1 if failures else 0


def whole_results(
    bundles: list[Bundle], failures: list[str], left_out: list[str], clock: Clock
) -> list[dict[str, object]]:
    """Compare what the GPU and the CPU make of the same pictures and prompts, from the picture to the result."""
    return prompts.compare_all(bundles, failures, left_out, clock) + same_results.compare_all(
        bundles, failures, left_out, clock
    )


def correctness(failures: list[str]) -> dict[str, Any]:
    """Return what is right: doctor, CUDA's own interface, kernels against the core, the embedded bundles."""
    found: dict[str, Any] = {"doctor": doctor(), "rules": []}
    cuda = open_cuda()
    with cuda.current():
        found["device"] = asdict(cuda.device)
        found["rules"] = kernels(cuda, failures)
    if found["rules"]:
        found["rules"] += prepared_pictures.compare_all(cuda, failures)
    with cuda.current():
        found["cuda"] = cuda_interface.check_and_time(cuda, failures)
    cuda.close()
    try:
        found["tensorrt"] = str(find_flavor())
    except SegrtError as error:
        found["tensorrt"] = f"unverified: {error}"
    rows = [
        trials.check(bundle, precision, backend, failures)
        for bundle in map(read_bundle, EMBEDDED)
        for precision in precisions_of(bundle)
        for backend in backends(found)
    ]
    return found | {"checks": [row for row in rows if row is not None]}


def kernels(cuda: Cuda, failures: list[str]) -> list[dict[str, object]]:
    """Compare every rule's kernels with the core."""
    why = why_no_kernels(cuda.device)
    if why is not None:
        failures.append(f"kernels: {why}")
        return []
    return equality.compare_all(cuda, failures)


def backends(found: dict[str, Any]) -> tuple[str, ...]:
    """Return the backends to run in."""
    return ("onnxruntime",) if found["tensorrt"].startswith("unverified") else ("onnxruntime", "tensorrt")


def precisions_of(bundle: Bundle) -> list[str]:
    """Return the bundle's precisions, those that one can execute it at included."""
    return [name for name in PRECISIONS if name in bundle.precisions]


def jobs(
    embedded: list[Bundle], others: list[Bundle], options: argparse.Namespace, failures: list[str]
) -> list[tuple[str, float, Callable[[], list[dict[str, object]]]]]:
    """Return (what, the seconds that it may take, what makes its rows), the most telling first."""
    made: list[tuple[str, float, Callable[[], list[dict[str, object]]]]] = []
    others = [bundle for bundle in others if not bundle.manifest.takes_prompts]  # whose times `prompts` has
    for bundle in (*embedded, *others):
        for precision in precisions_of(bundle):

            def ours(bundle: Bundle = bundle, precision: str = precision) -> list[dict[str, object]]:
                return [trials.time_one(bundle, precision, "onnxruntime", options.frames)]

            made.append((f"{bundle.manifest.name} {precision}", _ROW_SECONDS, ours))
    for bundle in others:

        def usual(bundle: Bundle = bundle) -> list[dict[str, object]]:
            return transformers_way.run(bundle, min(20, options.frames))

        def eager(bundle: Bundle = bundle) -> list[dict[str, object]]:
            return peers.run(bundle, min(30, options.frames), failures, compiled=False)

        made.append((f"{bundle.manifest.name} in transformers", _PEER_SECONDS, usual))
        made.append((f"{bundle.manifest.name} in torch", _PEER_SECONDS, eager))
    for bundle in (bundle for bundle in others if bundle.manifest.name == COMPILED):

        def compiled(bundle: Bundle = bundle) -> list[dict[str, object]]:
            return peers.run(bundle, min(30, options.frames), failures, compiled=True)

        made.append((f"{bundle.manifest.name} in torch.compile", _COMPILE_SECONDS, compiled))
    return made


def write(found: dict[str, Any], out: Path, clock: Clock) -> None:
    """Write what is known by now, so that nothing is lost when the run is ended."""
    found["all_s"] = clock.gone
    (out / "results.json").write_text(json.dumps(found, indent=1))
    write_report(found, out / "RESULTS.md")


def doctor() -> object:
    """Return what `segrt doctor` says of this machine."""
    command = [sys.executable, "-c", "from segrt.runtime.cli import main; main()", "doctor", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    document = json.loads(done.stdout) if done.stdout else {}
    return {name: document.get(name) for name in ("features", "decoding")} if document else done.stderr


if __name__ == "__main__":
    sys.exit(main())
