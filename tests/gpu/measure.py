"""Builds, verifies, compares and times on a GPU; see `run.sh`. Each part writes what it found, or why it could not."""

import argparse
import json
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

import cuda_interface
import peers
import trials
from report import write_report

from segrt.runtime.bundle.bundle import Bundle
from segrt.runtime.bundle.locating import read_bundle
from segrt.runtime.errors import SegrtError
from segrt.runtime.inference.cuda.choice import installed_packages, open_cuda
from segrt.runtime.inference.cuda.presence import why_no_gpu
from segrt.runtime.inference.tensorrt.flavor import find_flavor

MODELS = ("deeplabv3_resnet50", "maskrcnn_resnet50_fpn_v2", "detr-resnet101-panoptic")
EMBEDDED = ("street-semantic", "street-instance", "street-panoptic")
PRECISIONS = ("fp32", "tf32", "fp16", "int8")


def main() -> int:
    """Run everything that this machine can; return 1 when something is wrong, 0 also when there is no GPU."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("gpu-results"))
    parser.add_argument("--bundles", type=Path, help="folder of bundles to take instead of exporting them")
    parser.add_argument("--calibration", type=Path, help="pictures for int8")
    parser.add_argument("--frames", type=int, default=100)
    parser.add_argument("--quick", action="store_true", help="the embedded bundles, fp32 alone")
    options = parser.parse_args()

    reason = why_no_gpu()
    if reason is None and not installed_packages():
        reason = "neither cuda-python nor pycuda is installed (pip install 'segrt[gpu]')"
    if reason is not None:
        print(f"skipped: {reason}")
        return 0
    options.out.mkdir(parents=True, exist_ok=True)
    found: dict[str, object] = {"doctor": doctor()}
    failures: list[str] = []
    cuda = open_cuda()
    with cuda.current():
        found["device"] = asdict(cuda.device)
        found["cuda"] = cuda_interface.check_and_time(cuda, failures)
    cuda.close()
    try:
        flavor = find_flavor()
        found["tensorrt"] = str(flavor)
    except SegrtError as error:
        found["tensorrt"] = f"unverified: {error}"
    bundles = prepare(options, failures)
    rows: list[dict[str, object]] = []
    for bundle in bundles:
        for precision in (name for name in PRECISIONS if name in bundle.precisions):
            for backend in ("tensorrt", "onnxruntime"):
                rows += trials.run(bundle, bundle.variant(precision), backend, options.frames, failures)
        rows += peers.run(bundle, options.frames, failures)
    found["rows"], found["failures"] = rows, failures
    (options.out / "results.json").write_text(json.dumps(found, indent=1))
    write_report(found, options.out / "RESULTS.md")
    print((options.out / "RESULTS.md").read_text())
    return 1 if failures else 0


def doctor() -> object:
    """Return what `segrt doctor` says of this machine."""
    command = [sys.executable, "-c", "from segrt.runtime.cli import main; main()", "doctor", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return json.loads(done.stdout)["features"] if done.stdout else done.stderr


def prepare(options: argparse.Namespace, failures: list[str]) -> list[Bundle]:
    """Return the bundles to measure: the embedded ones, those of a folder, or freshly exported ones."""
    if options.quick:
        return [read_bundle(name) for name in EMBEDDED]
    if options.bundles:
        return [read_bundle(path.parent) for path in sorted(options.bundles.glob("*/manifest.json"))]
    bundles = []
    for name in MODELS:
        folder = options.out / "bundles" / name
        if not folder.exists():
            command = [sys.executable, "-c", "from segrt.runtime.cli import main; main()", "export", name,
                       "--weights", "random", "--out", str(folder)]  # fmt: skip
            precisions = "fp32,fp16,int8" if options.calibration else "fp32,fp16"
            command += ["--precision", precisions]
            command += ["--calibration", str(options.calibration)] if options.calibration else []
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode != 0:
                failures.append(f"export of {name}: {done.stderr.strip().splitlines()[-1:]}")
                continue
        bundles.append(read_bundle(folder))
    return bundles


if __name__ == "__main__":
    sys.exit(main())
