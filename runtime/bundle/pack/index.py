"""`pack.json`: every file of a pack with its length and SHA-256. It is what a signature signs."""

from typing import Annotated

import msgspec

from segrt.runtime.bundle.manifest import File
from segrt.runtime.files.json_files import JsonError, decode_json
from segrt.runtime.inference.tensors import Name

FORMAT = "1.0"
KIND = "segrt pack"
INDEX = "pack.json"
SIGNATURE = "pack.sig"
MAX_INDEX = 1 << 20


class Index(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a pack holds; `files` in the order in which they lie there, `manifest.json` first."""

    kind: str = KIND
    format: Annotated[str, msgspec.Meta(pattern=r"^[0-9]{1,6}\.[0-9]{1,6}$")] = FORMAT
    bundle: Name
    files: tuple[File, ...]


def dump_index(index: Index) -> bytes:
    """Return `index` as indented JSON that ends in a newline; equal indices give equal bytes."""
    return msgspec.json.format(msgspec.json.encode(index), indent=1) + b"\n"


def parse_index(data: bytes) -> Index:
    """Return the index in `data`; raise ValueError unless it is exactly what `dump_index` writes for it."""
    try:
        index: Index = decode_json(data, Index)
    except JsonError as error:
        raise ValueError(f"{INDEX}: {error}") from None
    if index.kind != KIND:
        raise ValueError(f"{INDEX} says kind {index.kind!r}, not {KIND!r}")
    if index.format != FORMAT:
        raise ValueError(f"{INDEX} has format {index.format}, but this segrt reads {FORMAT}")
    if dump_index(index) != data:
        raise ValueError(f"{INDEX} was changed")
    return index
