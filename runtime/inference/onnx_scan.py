"""Looks into an ONNX file, without the onnx package, for what no runtime shall see: tensors stored outside it.

ONNX allows a tensor to name any file, relative to the model, as its data. A bundle must not be able to make a device
read files outside its folder, so such a network is refused before a runtime sees it. Only the protobuf wire format
is walked, following the fields of onnx.proto that hold tensors.
"""

import mmap
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from segrt.runtime.errors import BundleError
from segrt.runtime.files.protobuf import BYTES, VARINT, fields
from segrt.runtime.files.reading import open_regular

_TENSOR = {13: BYTES, 14: VARINT}  # external_data, data_location
_OPERATOR = 4
_LOOPS = frozenset({b"Loop", b"Scan"})
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
_MOST_FIELDS = 5_000_000  # some seconds; a network of 20,000 nodes has 300,000


@dataclass(frozen=True)
class OnnxTraits:
    """What the scan learns of a network: whether it has loops, so that nobody knows how long it runs."""

    has_loops: bool


def refuse_external_data(path: Path) -> OnnxTraits:
    """Raise BundleError when the ONNX file at `path` keeps tensors in other files, or is no ONNX file at all."""
    with mapped(path) as data:
        return scan(data, str(path))


@contextmanager
def mapped(path: Path) -> Iterator[mmap.mmap]:
    """Map the file at `path` for reading; raise BundleError when it cannot be read."""
    try:
        with open_regular(path) as file:
            data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except (OSError, ValueError) as error:
        raise _no_onnx(str(path), getattr(error, "strerror", None) or error) from None
    with data:
        yield data


def scan(data: "bytes | mmap.mmap", where: str) -> OnnxTraits:
    """Return what `data`, an ONNX file, is like; raise BundleError as `refuse_external_data` does."""
    scanner = _Scanner(data)
    try:
        scanner.visit(0, len(data), "model", 0)
    except (ValueError, IndexError) as error:
        raise _no_onnx(where, error) from None
    if scanner.has_external:
        raise BundleError(
            f"{where}: keeps tensors in another file; save the network as one ONNX file with its weights inside"
        )
    return OnnxTraits(scanner.has_loops)


class _Scanner:
    def __init__(self, data: "bytes | mmap.mmap") -> None:
        self._data = data
        self._seen = 0
        self.has_external = self.has_loops = False

    def visit(self, start: int, end: int, message: str, depth: int) -> None:
        """Walk one message and those in it; raise ValueError for what no writer of ONNX writes."""
        if depth > _MAX_DEPTH:
            raise ValueError("nested too deeply")
        children = _FIELDS.get(message, {})
        for number, wire, first, last in fields(self._data, start, end):
            self._seen += 1
            if self._seen > _MOST_FIELDS:
                raise ValueError(f"more than {_MOST_FIELDS} fields")
            if message == "tensor":
                if number in _TENSOR:
                    _check_wire(number, wire, _TENSOR[number])
                    self.has_external |= wire == BYTES or first != 0
            elif number in children:
                _check_wire(number, wire, BYTES)
                self.visit(first, last, children[number], depth + 1)
            elif message == "node" and number == _OPERATOR and wire == BYTES and last - first == 4:
                self.has_loops |= bytes(self._data[first:last]) in _LOOPS


def _check_wire(number: int, wire: int, wanted: int) -> None:
    if wire != wanted:
        raise ValueError(f"field {number} has wire type {wire}, not {wanted}")


def _no_onnx(where: str, why: object) -> BundleError:
    return BundleError(f"{where}: is no ONNX file ({why}); export the network again")
