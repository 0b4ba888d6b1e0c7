"""Bundles for the table, exported beside the checks: several processes, none of which touches the GPU."""

import os
import subprocess
import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from threading import Thread
from typing import IO

from segrt.runtime.bundle.bundle import Bundle
from segrt.runtime.bundle.locating import read_bundle

# One of each kind, with what its export is given beside random weights: small inputs, one picture for the comparison
# with torch and no search for layers that must stay in fp32. The largest first, for they take longest.
MODELS: dict[str, tuple[str, ...]] = {
    "detr-resnet101-panoptic": (),
    "maskrcnn_resnet50_fpn_v2": (),
    "mask2former-swin-tiny-coco-panoptic": (),
    "solov2-light-resnet18": (),
    "eomt-small-640-2x-coco-panoptic": (),
    "rfdetr-seg-small": ("--precision", "fp32,fp16", "--dynamic-batch"),
    "segformer-b0-ade": ("--precision", "fp32,fp16", "--dynamic-batch"),
    "edgetam-repvit-m1": (),
}
# Of the threads of sixteen: most of an export is done by one, all the same.
_THREADS = {"detr-resnet101-panoptic": 4, "maskrcnn_resnet50_fpn_v2": 4}
_OTHER_THREADS = 2


@dataclass
class Export:
    """One export under way; `seconds` that it took, once it has ended."""

    name: str
    folder: Path
    process: subprocess.Popen[bytes]
    said: IO[bytes]
    seconds: float | None = None

    def __post_init__(self) -> None:
        """Watch the process."""
        begin = time.monotonic()

        def watch() -> None:
            self.process.wait()
            self.seconds = round(time.monotonic() - begin, 1)

        Thread(target=watch, daemon=True).start()


def start(folder: Path) -> list[Export]:
    """Start exporting all models into `folder`, those that are not there yet."""
    running = []
    for name, more in MODELS.items():
        threads = str(_THREADS.get(name, _OTHER_THREADS))
        environment = os.environ | {"CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": threads}
        target = folder / name
        if (target / "manifest.json").exists():
            continue
        command = [sys.executable, "-c", "from segrt.runtime.cli import main; main()", "export", name,
                   "--weights", "random", "--parity", "quick", "--search-steps", "0", *more,
                   "--threads", threads, "--overwrite", "--out", str(target)]  # fmt: skip
        said = TemporaryFile()  # noqa: SIM115 (it lives as long as the process)
        process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=said)
        running.append(Export(name, target, process, said))
    return running


def finish(folder: Path, running: list[Export], deadline: float, left_out: list[str]) -> list[Bundle]:
    """Return the bundles that are there by `deadline` (time.monotonic); end and name the others."""
    with ExitStack() as stack:
        for export in running:
            stack.callback(export.said.close)
            try:
                code = export.process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                export.process.kill()
                export.process.wait()
                left_out.append(f"{export.name}: its export did not end in time")
                continue
            if code != 0:
                export.said.seek(0)
                last = (export.said.read().decode(errors="replace").strip().splitlines() or ["no message"])[-1]
                left_out.append(f"{export.name}: its export failed ({last})")
    return [read_bundle(folder / name) for name in MODELS if (folder / name / "manifest.json").exists()]
