"""Exports Ultralytics' checkpoint FILE to ONNX beside it, in a process of its own: `… FILE [HEIGHT WIDTH]`.

The package is imported here alone, for it changes other packages, and its settings are environment variables, which
`ultralytics_checkpoint` sets. What it cannot do is the last line of stderr.
"""

import inspect
import sys
from typing import Any


def main(file: str, *sides: str) -> str | None:
    """Export; return what is wrong, or None."""
    from ultralytics import YOLO
    from ultralytics.nn import tasks

    if not _reads_networks_alone(tasks):
        return (
            "this version, or its torch, runs what a checkpoint holds when it reads it; `pip install -U ultralytics "
            "torch`, or export it to ONNX yourself and `segrt adopt` that file"
        )
    try:
        tasks.torch_safe_load(file, safe_only=True)
    except TypeError as error:
        return " ".join(str(error).split())
    network: Any = YOLO(file)
    if network.task not in ("segment", "semantic"):
        return f"its task is {network.task!r}, which gives no masks; give a -seg or -sem network"
    head = type(network.model.model[-1]).__name__
    if head.startswith("YOLOE"):
        return f"its head is {head}, and results of YOLOE were not the package's own; give a YOLO26 network"
    size = {"imgsz": [int(side) for side in sides]} if sides else {}
    network.export(format="onnx", simplify=False, dynamic=False, device="cpu", **size)
    return None


def _reads_networks_alone(tasks: Any) -> bool:
    """Whether the package reads checkpoints, those that its classes open included, by torch's own restricted way.

    Versions before 8.4.67 have a `safe_only` that lets all of torch and of Python's builtins in, and do not know the
    environment variable; later ones read without a restriction where torch is too old for it.
    """
    try:
        from ultralytics.utils import SAFE_LOAD
    except ImportError:
        return False
    has_parameter = "safe_only" in inspect.signature(tasks.torch_safe_load).parameters
    return bool(has_parameter and SAFE_LOAD and getattr(getattr(tasks, "_SafeLoad", None), "SUPPORTED", False))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
