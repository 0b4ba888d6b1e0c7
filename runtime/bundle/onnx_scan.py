"""Looks into an ONNX file, without the onnx package, for tensors stored outside it.

ONNX allows a tensor to name any file, relative to the model, as its data. A bundle must not be able to make a device
read files outside its folder, so such a network is refused before a runtime sees it. Only the protobuf wire format
is walked (https://protobuf.dev/programming-guides/encoding), following the fields of onnx.proto that hold tensors.
"""

import mmap
from collections.abc import Iterator
from pathlib import Path

from segrt.runtime.errors import BundleError

_EXTERNAL_DATA, _DATA_LOCATION = 13, 14
# message: {field number: message of the field}, from onnx.proto
_FIELDS: dict[str, dict[int, str]] = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "function": {7: "node", 11: "attribute"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
}
_MAX_DEPTH = 64


def refuse_external_data(path: Path) -> None:
    """Raise BundleError when the ONNX file at `path` keeps tensors in other files, or is no ONNX file at all."""
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            external = _has_external(data, 0, len(data), "model", 0)
    except (OSError, ValueError, IndexError) as error:
        raise BundleError(f"{path}: is no ONNX file ({error}); export the network again") from None
    if external:
        raise BundleError(
            f"{path}: keeps tensors in another file; save the network as one ONNX file with its weights inside"
        )


def _has_external(data: mmap.mmap, start: int, end: int, message: str, depth: int) -> bool:
    if depth > _MAX_DEPTH:
        raise ValueError("nested too deeply")
    for number, wire, first, last in _fields(data, start, end):
        if message == "tensor":
            if number == _EXTERNAL_DATA or (number == _DATA_LOCATION and wire == 0 and first != 0):
                return True
            continue
        child = _FIELDS[message].get(number)
        if child is not None and wire == 2 and _has_external(data, first, last, child, depth + 1):
            return True
    return False


def _fields(data: mmap.mmap, start: int, end: int) -> Iterator[tuple[int, int, int, int]]:
    """Yield (field number, wire type, start, end) of a message; for varints (value, 0) instead of (start, end)."""
    position = start
    while position < end:
        key, position = _varint(data, position, end)
        number, wire = key >> 3, key & 7
        if wire == 0:
            value, position = _varint(data, position, end)
            yield number, wire, value, 0
            continue
        if wire == 2:
            length, position = _varint(data, position, end)
        elif wire in (1, 5):
            length = 8 if wire == 1 else 4
        else:
            raise ValueError(f"unknown wire type {wire} at byte {position}")
        if position + length > end:
            raise ValueError(f"cut off at byte {end}")
        yield number, wire, position, position + length
        position += length


def _varint(data: mmap.mmap, position: int, end: int) -> tuple[int, int]:
    value = shift = 0
    while position < end:
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
        shift += 7
        if shift > 63:
            break
    raise ValueError(f"cut off at byte {position}")
