"""Reads what TensorRT says of an engine's layers: the engine inspector's JSON, and times of its profiler.

The times come from `IProfiler`, as (layer, ms), or from the file that `trtexec --exportProfile` writes.
"""

import json
import re
from collections.abc import Sequence
from typing import Any

from segrt.runtime.inference.layers.raw_layer import RawLayer
from segrt.runtime.inference.tensorrt.layer_precisions import kind_of, precision_of

_ORIGIN = re.compile(r"\[ONNX Layer: ([^\]]+)\]")


def read_profile(text: str) -> list[tuple[str, float]]:
    """Return (layer, mean ms) of a file of `trtexec --exportProfile`; raise ValueError when it is none."""
    entries = json.loads(text)
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise ValueError("is no profile of trtexec")
    return [(str(entry["name"]), float(entry["averageMs"])) for entry in entries if "averageMs" in entry]


def combine(times: Sequence[tuple[str, float]], information: str) -> list[RawLayer]:
    """Return the layers in the order of `times`, with what the engine inspector's JSON `information` tells of them.

    An engine that was built without details has names alone there; kinds, precisions and nodes stay empty then.
    """
    document = json.loads(information) if information else {}
    layers: list[Any] = document.get("Layers", []) if isinstance(document, dict) else []
    details = {str(layer["Name"]): layer for layer in layers if isinstance(layer, dict) and "Name" in layer}
    layers = []
    for name, ms in times:
        layer = details.get(name, {})
        nodes = tuple(dict.fromkeys(_ORIGIN.findall(str(layer.get("Metadata", "")) + name)))
        precision = precision_of(layer) if layer else ""
        layers.append(RawLayer(name, kind_of(layer), ms, precision, nodes))
    return layers
