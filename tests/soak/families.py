"""Every family at its default size: `python tests/soak/families.py [--seeds 0,1,2,3,4] [--all] [NAME]...`.

Each model is exported with random weights, one process at a time, and must be within its family's limits for each seed.
Without names the smallest model of each family and technique is taken, and every architecture of
segmentation_models_pytorch; with --all every model that needs no more memory than --memory. With --check-tensorrt
NVIDIA's builder makes an engine of each. Prints a row for each, with the CPU time and the largest resident memory of
its process; exits with 1 when one fails. What stands behind "--" is given to `segrt export`:
`… NAME -- --precision fp32,fp16`.
"""

import argparse
import resource
import subprocess
import sys
import tempfile
from dataclasses import dataclass

from segrt.export.convert import memory
from segrt.export.family import Model
from segrt.export.models.catalogue import find_model, models
from segrt.export.models.smp import smp_entry

_LIMIT_S = 3600
_NAMED = [
    f"smp:{name}/{'tu-vit_tiny_patch16_224' if name == 'dpt' else 'resnet18'}" for name in smp_entry.ARCHITECTURES
]
# The process says itself what it took: of children the system tells the largest of all so far.
_PROGRAM = """
import atexit, resource, sys
from segrt.runtime.cli import main
def tell():
    used = resource.getrusage(resource.RUSAGE_SELF)
    print("took", used.ru_utime + used.ru_stime, used.ru_maxrss / 1e6, file=sys.stderr)
atexit.register(tell)
main()
"""


@dataclass(frozen=True)
class Outcome:
    """How an export ended: `reason` is empty when it was within the limits."""

    reason: str
    figures: str
    cpu_s: float
    peak_gb: float


def smallest_of_each() -> list[Model]:
    """Return the model of fewest multiply-adds of each family and technique, in the catalogue's order."""
    smallest: dict[tuple[str, str], Model] = {}
    for model in models():
        key = (model.family, model.technique)
        if key not in smallest or model.gmacs < smallest[key].gmacs:
            smallest[key] = model
    return [*smallest.values(), *map(find_model, _NAMED)]


def export(model: Model, seed: int, memory_gb: float, size: str | None, options: list[str]) -> Outcome:
    """Export `model` in a process of its own, whose address space is limited to `memory_gb` of data."""
    with tempfile.TemporaryDirectory(prefix="families-") as folder:
        command = [sys.executable, "-c", _PROGRAM, "export", model.name, "--out", f"{folder}/bundle"]
        command += ["--weights", "random", "--seed", str(seed), "--threads", "1", *(["--size", size] if size else [])]
        done = subprocess.run(
            [*command, *options],
            capture_output=True,
            text=True,
            timeout=_LIMIT_S,
            check=False,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_DATA, (int(memory_gb * 1e9),) * 2),
        )
    lines = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
    took = next((line.split()[1:] for line in reversed(lines) if line.startswith("took ")), ["nan", "nan"])
    lines = [line for line in lines if not line.startswith("took ")]
    reason = "" if done.returncode == 0 else (lines[-1] if lines else f"exit code {done.returncode}")
    figures = next((" ".join(line.split()) for line in lines if " agree" in line), "")
    return Outcome(reason, figures, float(took[0]), float(took[1]))


def main() -> None:
    """Export what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="models; the smallest of each family and technique by default")
    parser.add_argument("--seeds", default="0,1,2,3,4", help="comma-separated")
    parser.add_argument("--memory", type=float, default=6.0, help="GB; models that need more are left out")
    parser.add_argument("--size", help="HEIGHTxWIDTH instead of the default size")
    parser.add_argument("--check-tensorrt", action="store_true", help="build an engine of each, without a GPU")
    parser.add_argument("--all", action="store_true", help="every model of the catalogue")
    own, options = sys.argv[1:], []
    if "--" in own:
        place = own.index("--")
        own, options = own[:place], own[place + 1 :]
    given = parser.parse_args(own)
    options += ["--check-tensorrt"] if given.check_tensorrt else []
    chosen = [find_model(name) for name in given.names] or (list(models()) if given.all else smallest_of_each())
    failures = 0
    print(f"{'model':44}{'seed':>5}{'CPU s':>9}{'peak GB':>9}  result", flush=True)
    for model in chosen:
        if memory.needed(model, model.size) > given.memory * 1e9:
            print(f"{model.name:44}    -        -        -  left out: needs more than {given.memory:g} GB", flush=True)
            continue
        for seed in map(int, given.seeds.split(",")):
            done = export(model, seed, given.memory, given.size, options)
            failures += bool(done.reason)
            what = f"FAILED {done.reason}" if done.reason else done.figures
            print(f"{model.name:44}{seed:5}{done.cpu_s:9.0f}{done.peak_gb:9.1f}  {what}", flush=True)
    print(f"{failures} failures")
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
