"""Reads the JSON of ONNX Runtime's profiler."""

from typing import Any

import msgspec

from segrt.runtime.files.json_files import JsonError, convert_json, decode_loose_json
from segrt.runtime.inference.layers.raw_layer import RawLayer

_KERNEL = "_kernel_time"


class _Event(msgspec.Struct, frozen=True):
    """What happened: begin and length in microseconds."""

    name: str = ""
    cat: str = ""
    ts: float = 0.0
    dur: float = 0.0
    args: dict[str, Any] = {}


def read_trace(text: str, *, warmup: int = 0) -> list[RawLayer]:
    """Return the layers in the order of execution, each with its mean time over the runs after the first `warmup`.

    Raises ValueError when `text` is no trace, or has no run that counts.
    """
    try:
        events: list[_Event] = convert_json(decode_loose_json(text), list[_Event])
    except JsonError as error:
        raise ValueError(f"is no trace of ONNX Runtime ({error})") from None
    starts = sorted(event.ts for event in events if event.name == "model_run")
    if len(starts) <= warmup:
        raise ValueError(f"has {len(starts)} runs, of which {warmup} do not count")
    first = starts[warmup]
    runs = len(starts) - warmup
    spent: dict[str, float] = {}
    kinds: dict[str, str] = {}
    for event in sorted(events, key=lambda event: event.ts):
        if event.cat != "Node" or not event.name.endswith(_KERNEL) or event.ts < first:
            continue
        name = event.name.removesuffix(_KERNEL)
        spent[name] = spent.get(name, 0.0) + event.dur / 1e3
        kinds[name] = str(event.args.get("op_name", ""))
    return [RawLayer(name, kinds[name], total / runs) for name, total in spent.items()]
