"""Writes an ONNX file whose weights lie beside its graph, weight by weight, so that there is no copy of the whole.

What is written is what protobuf itself would write of the network with its weights inside, byte for byte.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from segrt.export.graph.checks import LARGEST_FILE, too_large
from segrt.export.graph.editing import require_onnx
from segrt.export.graph.large_weights import LargeWeights
from segrt.runtime.errors import SegrtError
from segrt.runtime.files.protobuf import BYTES

if TYPE_CHECKING:
    import onnx

_GRAPH, _INITIALIZER, _RAW_DATA = 7, 5, 9  # numbers of fields in onnx.proto
_BEFORE_INITIALIZERS = ("node", "name")


def write_onnx(model: "onnx.ModelProto", weights: LargeWeights, path: Path, what: str) -> None:
    """Write `model`, with the values of its stubs inside, to `path`; raise SegrtError for more than 2 GB.

    `what` names the network in errors.
    """
    onnx = require_onnx()
    before, behind = onnx.GraphProto(), onnx.GraphProto()
    behind.CopyFrom(model.graph)
    behind.ClearField("initializer")
    for field in _BEFORE_INITIALIZERS:
        behind.ClearField(field)
    before.node.extend(model.graph.node)
    before.name = model.graph.name
    first, last = before.SerializeToString(), behind.SerializeToString()
    tensors = model.graph.initializer
    sizes = [_size(tensor, weights) for tensor in tensors]
    inside = sum(len(_tag(_INITIALIZER)) + len(_varint(size)) + size for size in sizes)
    length = len(first) + inside + len(last)
    head, tail = _around(model)
    if len(head) + length + len(tail) + 16 > LARGEST_FILE:
        raise SegrtError(too_large(what, length))
    with path.open("wb") as file:
        file.write(head + _tag(_GRAPH) + _varint(length) + first)
        for tensor, size in zip(tensors, sizes, strict=True):
            file.write(_tag(_INITIALIZER) + _varint(size))
            _write_tensor(file, tensor, weights)
        file.write(last + tail)


def _around(model: "onnx.ModelProto") -> tuple[bytes, bytes]:
    """Return the fields of the model before its graph, and those behind."""
    onnx = require_onnx()
    head, tail = onnx.ModelProto(), onnx.ModelProto()
    head.CopyFrom(model)
    head.ClearField("graph")
    tail.CopyFrom(head)
    for field, _ in tail.ListFields():
        (head if field.number > _GRAPH else tail).ClearField(field.name)
    return head.SerializeToString(), tail.SerializeToString()


def _parts(tensor: "onnx.TensorProto", weights: LargeWeights) -> Iterator[bytes | memoryview]:
    """Yield the bytes of a tensor, its values last and uncopied."""
    values = weights.of(tensor)
    if values is None:
        yield tensor.SerializeToString()
        return
    header = require_onnx().TensorProto(dims=tensor.dims, data_type=tensor.data_type, name=tensor.name)
    data = np.ascontiguousarray(values, "<f4").data.cast("B")
    yield header.SerializeToString() + _tag(_RAW_DATA) + _varint(data.nbytes)
    yield data


def _size(tensor: "onnx.TensorProto", weights: LargeWeights) -> int:
    values = weights.of(tensor)
    if values is None:
        return int(tensor.ByteSize())
    header = require_onnx().TensorProto(dims=tensor.dims, data_type=tensor.data_type, name=tensor.name)
    return int(header.ByteSize()) + len(_tag(_RAW_DATA)) + len(_varint(values.nbytes)) + values.nbytes


def _write_tensor(file: BinaryIO, tensor: "onnx.TensorProto", weights: LargeWeights) -> None:
    for part in _parts(tensor, weights):
        file.write(part)


def _tag(number: int) -> bytes:
    return _varint(number << 3 | BYTES)


def _varint(value: int) -> bytes:
    """Return `value` as protobuf writes whole numbers: 7 bits in a byte, the lowest first."""
    written = bytearray()
    while value > 0x7F:
        written.append(value & 0x7F | 0x80)
        value >>= 7
    written.append(value)
    return bytes(written)
