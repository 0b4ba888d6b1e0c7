"""Reads the JSON of ONNX Runtime's profiler."""

import json

from segrt.runtime.inference.layers.raw_layer import RawLayer

_KERNEL = "_kernel_time"


def read_trace(text: str, *, warmup: int = 0) -> list[RawLayer]:
    """Return the layers in the order of execution, each with its mean time over the runs after the first `warmup`.

    Raises ValueError when `text` is no trace, or has no run that counts.
    """
    events = json.loads(text)
    if not isinstance(events, list):
        raise ValueError("is no trace of ONNX Runtime")
    starts = sorted(event["ts"] for event in events if event.get("name") == "model_run")
    if len(starts) <= warmup:
        raise ValueError(f"has {len(starts)} runs, of which {warmup} do not count")
    first = starts[warmup]
    runs = len(starts) - warmup
    spent: dict[str, float] = {}
    kinds: dict[str, str] = {}
    for event in sorted(events, key=lambda event: event.get("ts", 0)):
        name = str(event.get("name", ""))
        if event.get("cat") != "Node" or not name.endswith(_KERNEL) or event["ts"] < first:
            continue
        name = name.removesuffix(_KERNEL)
        spent[name] = spent.get(name, 0.0) + event["dur"] / 1e3
        kinds[name] = str(event.get("args", {}).get("op_name", ""))
    return [RawLayer(name, kinds[name], total / runs) for name, total in spent.items()]
