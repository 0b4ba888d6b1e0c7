"""Reads what TensorRT says of an engine's layers: the engine inspector's JSON, and times of its profiler.

The times come from `IProfiler`, as (layer, ms), or from the file that `trtexec --exportProfile` writes.
"""

import re
from collections.abc import Sequence

import msgspec

from segrt.runtime.files.json_files import JsonError, convert_json, decode_loose_json
from segrt.runtime.inference.layers.raw_layer import RawLayer
from segrt.runtime.inference.tensorrt.layer_precisions import InspectedLayer, inspected_layers, kind_of, precision_of

_ORIGIN = re.compile(r"\[ONNX Layer: ([^\]]+)\]")


def read_profile(text: str) -> list[tuple[str, float]]:
    """Return (layer, mean ms) of a file of `trtexec --exportProfile`; raise ValueError when it is none."""
    try:
        entries: list[_Entry] = convert_json(decode_loose_json(text), list[_Entry])
    except JsonError as error:
        raise ValueError(f"is no profile of trtexec ({error})") from None
    return [(entry.name, entry.average_ms) for entry in entries if entry.average_ms is not None]


class _Entry(msgspec.Struct, frozen=True, rename="camel"):
    name: str = ""
    average_ms: float | None = None


def combine(times: Sequence[tuple[str, float]], information: str) -> list[RawLayer]:
    """Return the layers in the order of `times`, with what the engine inspector's JSON `information` tells of them.

    An engine that was built without details has names alone there; kinds, precisions and nodes stay empty then.
    Raises ValueError when `information` is no such JSON.
    """
    known = inspected_layers(information) if information else []
    details = {layer.name: layer for layer in known if isinstance(layer, InspectedLayer)}
    layers = []
    for name, ms in times:
        layer = details.get(name, InspectedLayer())
        nodes = tuple(dict.fromkeys(_ORIGIN.findall(layer.metadata + name)))
        precision = precision_of(layer) if name in details else ""
        layers.append(RawLayer(name, kind_of(layer), ms, precision, nodes))
    return layers
