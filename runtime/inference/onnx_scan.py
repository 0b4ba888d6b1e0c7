"""Looks into an ONNX file, without the onnx package, for tensors stored outside it.

ONNX allows a tensor to name any file, relative to the model, as its data. A bundle must not be able to make a device
read files outside its folder, so such a network is refused before a runtime sees it. Only the protobuf wire format
is walked, following the fields of onnx.proto that hold tensors.
"""

import mmap
from pathlib import Path

from segrt.runtime.errors import BundleError
from segrt.runtime.files.protobuf import fields

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
    for number, wire, first, last in fields(data, start, end):
        if message == "tensor":
            if number == _EXTERNAL_DATA or (number == _DATA_LOCATION and wire == 0 and first != 0):
                return True
            continue
        child = _FIELDS[message].get(number)
        if child is not None and wire == 2 and _has_external(data, first, last, child, depth + 1):
            return True
    return False
