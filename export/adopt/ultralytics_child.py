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

    if "safe_only" not in inspect.signature(tasks.torch_safe_load).parameters:
        return "this version runs what a checkpoint holds when it reads it; `pip install -U ultralytics`"
    try:
        tasks.torch_safe_load(file, safe_only=True)
    except TypeError as error:
        return " ".join(str(error).split())
    network: Any = YOLO(file)
    if network.task not in ("segment", "semantic"):
        return f"its task is {network.task!r}, which gives no masks; give a -seg or -sem network"
    size = {"imgsz": [int(side) for side in sides]} if sides else {}
    network.export(format="onnx", simplify=False, dynamic=False, device="cpu", **size)
    return None


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
