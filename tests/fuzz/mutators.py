"""Changes files as an attacker or a bad disk would: blind to the format, or along its structure.

Each takes the bytes of a valid file and a random generator, and returns other bytes; equal generators, equal bytes.
"""

import copy
import io
import json
import random
import struct
import zipfile
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np

Mutator = Callable[[bytes, random.Random], bytes]
Field = tuple[int, int, "int | bytes"]

_NUMBERS = (0, 1, 2, 127, 128, 255, 256, 65535, 1 << 24, (1 << 31) - 1, 1 << 31, (1 << 32) - 1, 1 << 32, (1 << 63) - 1)


def blind(data: bytes, rng: random.Random) -> bytes:
    """Flip, cut, repeat, insert or overwrite bytes, one to four times."""
    changed = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        if not changed:
            return bytes(rng.randbytes(rng.randint(0, 64)))
        place = rng.randrange(len(changed))
        kind = rng.randrange(7)
        if kind == 0:
            changed[place] ^= 1 << rng.randrange(8)
        elif kind == 1:
            changed[place] = rng.choice((0, 1, 0x7F, 0x80, 0xFF))
        elif kind == 2:
            del changed[place:]
        elif kind == 3:
            del changed[place : place + rng.randint(1, 64)]
        elif kind == 4:
            changed[place:place] = rng.randbytes(rng.randint(1, 64))
        elif kind == 5:
            changed[place:place] = changed[place : place + rng.randint(1, 512)]
        else:
            form = rng.choice(("<I", ">I", "<H", ">H", "<Q"))
            number = rng.choice(_NUMBERS) & ((1 << 8 * struct.calcsize(form)) - 1)
            changed[place : place + struct.calcsize(form)] = struct.pack(form, number)
    return bytes(changed)


# JSON: a value that no writer would write, as text, since some of them have no other form.
_HOSTILE = (
    "null", "true", "[]", "{}", "[[]]", '[{"a": 1}]', '""', '"x"', "0", "-1", "1e308", "-1e308", "1e400", "NaN",
    "Infinity", "0.5", "2147483648", "4294967296", "9223372036854775808", "-9223372036854775809", "1" * 5000,
    '"' + "n" * 300 + '"', '"\\ud800"', '"\\u0000"', '"../../etc/passwd"', '"/etc/passwd"', '"\\u001b[31mred"',
    "[" * 3000 + "]" * 3000, '{"a":' * 2000 + "1" + "}" * 2000, '"\xff"', '"' + "é" * 200 + '"', "1e-400", "[1, [2]]",
    '{"size": [1, 1], "counts": "0"}', "[" + "0," * 2000 + "0]",
)  # fmt: skip
_MARK = '"\\u0001MARK\\u0001"'


def json_tree(data: bytes, rng: random.Random) -> bytes:
    """Replace, remove, rename, repeat or add values of a JSON document, one to three of them."""
    text = data
    for _ in range(rng.randint(1, 3)):
        try:
            tree = json.loads(text)
        except (ValueError, RecursionError):
            return blind(text, rng)
        places = list(_places(tree))
        if not places:
            return blind(text, rng)
        holder, key = rng.choice(places)
        kind = rng.randrange(7)
        value: str | None = None
        if kind <= 2:
            holder[key], value = "\x01MARK\x01", rng.choice(_HOSTILE)
        elif kind == 3:
            del holder[key]
        elif kind == 4 and isinstance(holder, dict):
            holder[rng.choice((f"{key}_", "", "n" * 300, "rule", "id"))] = holder.pop(key)
        elif kind == 5 and isinstance(holder[key], list) and holder[key]:
            holder[key] = (holder[key] * 1000)[: rng.choice((2, 1000, 20000)) * len(holder[key])][:20000]
        else:
            other_holder, other = rng.choice(places)
            holder[key] = copy.deepcopy(other_holder[other])
        text = json.dumps(tree).encode()
        if value is not None:
            text = text.replace(_MARK.encode(), value.encode("latin-1" if "\xff" in value else "utf-8"))
    return text


def _places(tree: Any) -> Any:
    items: Any = ()
    if isinstance(tree, dict):
        items = tree.items()
    elif isinstance(tree, list):
        items = enumerate(tree)
    for key, value in items:
        yield tree, key
        yield from _places(value)


def lines(data: bytes, rng: random.Random) -> bytes:
    """Change fields of a text of lines."""
    rows = data.split(b"\n")
    place = rng.randrange(len(rows))
    cells = rows[place].split(b",")
    cells[rng.randrange(len(cells))] = rng.choice(
        (b"", b"-1", b"1" * 5000, b"\xff\xfe", b"\x00", b'"', b"n" * 200_000, b"999", "²".encode(), b"1.5", b"a\rb")
    )
    rows[place] = b",".join(cells)
    if rng.random() < 0.2 and len(rows[place]) < 1 << 13:
        rows *= rng.choice((0, 2, 5000))
    return b"\n".join(rows)


def varint(value: int, padding: int = 0) -> bytes:
    """Encode a varint, in `padding` bytes more than it needs."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    if padding:
        out[-1] |= 0x80
        out += b"\x80" * (padding - 1) + b"\0"
    return bytes(out)


def protobuf(data: bytes, rng: random.Random) -> bytes:
    """Change a field of a protobuf message, or of a message inside it, or how it is written."""
    message = _parse(data)
    if not message:
        return blind(data, rng)
    place = rng.randrange(len(message))
    number, wire, content = message[place]
    if wire == 2 and isinstance(content, bytes) and len(content) < 1 << 16 and _parse(content) and rng.random() < 0.8:
        message[place] = (number, wire, protobuf(content, rng))
        return b"".join(map(_write, message))
    written = [_write(entry) for entry in message]
    kind = rng.randrange(12)
    if kind == 0:
        del written[place]
    elif kind == 1:
        written.insert(place, written[place])
    elif kind == 2:
        other = rng.randrange(len(written))
        written[place], written[other] = written[other], written[place]
    elif kind == 3:
        written[place] = _write((rng.choice((1, 5, 7, 13, 14, 20, 25, 0, 1 << 28, number)), wire, content))
    elif kind == 4:  # the same field in a key that some readers take for another
        written[place] = _write(message[place], high=rng.choice((1 << 32, 1 << 34, 1 << 40)))
    elif kind == 5:
        written[place] = _write(message[place], padding=rng.randint(1, 9))
    elif kind == 6:
        written[place] = _write((number, rng.randrange(8), content))
    elif kind == 7 and isinstance(content, bytes):
        length = rng.choice((*_NUMBERS, len(content) + 1))
        written[place] = varint(number << 3 | 2) + varint(length) + content
    elif kind == 8 and isinstance(content, bytes):
        written[place] = _write((number, wire, blind(content, rng)))
    elif kind == 9:
        written[place] = _write((number, 0, rng.choice((*_NUMBERS, (1 << 64) - 1))))
    elif kind == 10:
        entry = _write((1, 2, b"location")) + _write((2, 2, rng.choice((b"near", b"../far", b"/etc/passwd"))))
        written[place] += _write((13, 2, entry), high=rng.choice((0, 1 << 32))) + _write((14, 0, 1))
    else:
        nested = b""
        for _ in range(rng.choice((10, 200))):
            nested = _write((1, 2, _write((5, 2, _write((6, 2, nested))))))
        written[place] += nested
    return b"".join(written)


def _parse(data: bytes) -> list[Field]:
    """Return the fields of a message, [] for what is none."""
    fields: list[Field] = []
    position = 0
    try:
        while position < len(data):
            key, position = _read(data, position)
            number, wire = key >> 3, key & 7
            content: int | bytes
            if wire == 0:
                content, position = _read(data, position)
            elif wire == 2:
                length, position = _read(data, position)
                content = data[position : position + length]
                position += length
            elif wire in (1, 5):
                length = 8 if wire == 1 else 4
                content = data[position : position + length]
                position += length
            else:
                return []
            if number == 0 or position > len(data):
                return []
            fields.append((number, wire, content))
    except IndexError:
        return []
    return fields


def _read(data: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80 or shift > 63:
            return value, position
        shift += 7


def _write(field: Field, *, high: int = 0, padding: int = 0) -> bytes:
    number, wire, content = field
    key = varint(number << 3 | wire | high, padding)
    if isinstance(content, int):
        return key + varint(content)
    return key + (varint(len(content)) if wire == 2 else b"") + content


def npz(data: bytes, rng: random.Random) -> bytes:
    """Change arrays of an NPZ: their names, headers, lengths, or how much they unpack to."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        arrays = {name: archive.read(name) for name in archive.namelist()}
    name = rng.choice(list(arrays))
    out, kind = io.BytesIO(), rng.randrange(8)
    if kind == 0:
        arrays[name] = _npy(rng.choice(("<f4", "|u1", "<i8", "<f2", "|b1", "<c16", "|O", "<U4", "<f8")), rng)
    elif kind == 1:
        shape = rng.choice(("(100000, 100000)", "(-1,)", "()", "(0,)", "(1,)*9", "(10**12,)", "(1, 2", "[[" * 90, "{}"))
        arrays[name] = _header(f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}") + bytes(64)
    elif kind == 2:  # unpacks to far more than it has
        count = rng.choice((1 << 20, 1 << 26))
        arrays[name] = _header(f"{{'descr': '|u1', 'fortran_order': False, 'shape': ({count},), }}") + bytes(count)
    elif kind == 3:
        arrays[rng.choice(("extra.npy", "../out.npy", "head_.npy", "masks.npy", "class_map.npy"))] = arrays[name]
    elif kind == 4:
        del arrays[name]
    elif kind == 5:
        arrays[name] = blind(arrays[name], rng)
    elif kind == 6:
        array = np.load(io.BytesIO(arrays[name]), allow_pickle=False)
        value = rng.choice((-1, 0, 255, 1 << 30, float("nan"), float("inf")))
        with np.errstate(all="ignore"):
            file = io.BytesIO()
            np.save(file, np.full_like(array, np.array(value).astype(array.dtype)))
        arrays[name] = file.getvalue()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED if rng.random() < 0.7 else zipfile.ZIP_STORED) as archive:
        for entry, content in arrays.items():
            _add(archive, entry, content)
    return blind(out.getvalue(), rng) if kind == 7 else out.getvalue()


def _npy(dtype: str, rng: random.Random) -> bytes:
    shape = rng.choice(("(1,)", "(3, 8, 12)", "(24, 48)", "(4,)", "(2, 2)"))
    return _header(f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}, }}") + rng.randbytes(4096)


def _header(text: str) -> bytes:
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text.encode()


def png(data: bytes, rng: random.Random) -> bytes:
    """Change chunks of a PNG: sizes, kinds, order; checksums stay right more often than not."""
    chunks, position = [], 8
    while position + 12 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, position)
        chunks.append([kind, data[position + 8 : position + 8 + length]])
        position += 12 + length
    if len(chunks) < 2:
        return blind(data, rng)
    place, what = rng.randrange(len(chunks)), rng.randrange(8)
    if what <= 1:
        header = bytearray(chunks[0][1])
        if what == 0:
            edges = (0, 1, 24, 48, 5000, 30000, 1 << 20, 1 << 31)
            struct.pack_into(">II", header, 0, rng.choice(edges), rng.choice(edges))
        else:
            header[rng.randrange(8, 13)] = rng.randrange(256)
        chunks[0][1] = bytes(header)
    elif what == 2:
        del chunks[place]
    elif what == 3:
        chunks.insert(place, chunks[rng.randrange(len(chunks))])
    elif what == 4:
        chunks[place][0] = rng.choice((b"IDAT", b"PLTE", b"acTL", b"fcTL", b"tRNS", b"iCCP", b"eXIf", b"IEND", b"zzzz"))
    elif what == 5:
        chunks[place][1] = blind(chunks[place][1], rng)
    elif what == 6:
        packed = zlib.compress(bytes(rng.choice((1 << 10, 1 << 24))))
        chunks.insert(1, [rng.choice((b"zTXt", b"iCCP", b"IDAT")), b"x\0\0" + packed])
    wrong = rng.random() < 0.2
    out = data[:8]
    for kind, content in chunks:
        crc = zlib.crc32(kind + content) ^ (wrong and 1)
        out += struct.pack(">I", len(content)) + kind + content + struct.pack(">I", crc)
    return out if what < 7 else blind(out, rng)


def pack(data: bytes, rng: random.Random) -> bytes:
    """Change a pack as a zip: write it anew with other names and forms, or change its bytes near the directory."""
    kind = rng.randrange(4)
    if kind == 0:
        return blind(data, rng)
    if kind == 1:
        tail = rng.randint(64, 1024)
        return data[:-tail] + blind(data[-tail:], rng)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        files = [(name, archive.read(name)) for name in archive.namelist()]
    place = rng.randrange(len(files))
    name, content = files[place]
    if kind == 2:
        files[place] = (name, json_tree(content, rng) if name.endswith(".json") else blind(content, rng))
    else:
        names = ("../out", "/abs", "a/../../b", "n" * 300, "manifest.json", "pack.json", "x\x00y", "é", "a//b")
        files.insert(place, (rng.choice(names), content))
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", rng.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))) as archive:
        for name, content in files:
            _add(archive, name, content)
    return out.getvalue()


def _add(archive: zipfile.ZipFile, name: str, content: bytes) -> None:
    """Write an entry that is the same whenever it is written."""
    entry = zipfile.ZipInfo(name)
    entry.compress_type = archive.compression
    archive.writestr(entry, content)


def mixed(*mutators: Mutator) -> Mutator:
    """Return a mutator that takes one of `mutators`, the first half of the time."""

    def mutate(data: bytes, rng: random.Random) -> bytes:
        return (mutators[0] if rng.random() < 0.5 else rng.choice(mutators))(data, rng)

    return mutate
