"""Files are read in one place, JSON and NPZ decoded in one place each: whatever they hold ends in one line."""

import io
import os
import socket
import tracemalloc
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from segrt.runtime.bundle.locating import read_bundle
from segrt.runtime.bundle.pack.reader import Pack, is_pack
from segrt.runtime.bundle.pack.signing import read_private_key, read_public_key
from segrt.runtime.errors import SegrtError
from segrt.runtime.evaluate import open_dataset
from segrt.runtime.evaluate.datasets.label_folders import read_label_picture
from segrt.runtime.files.images import read_image
from segrt.runtime.files.json_files import JsonError, convert_json, decode_json, decode_loose_json
from segrt.runtime.files.npz_files import NpzError, read_npz
from segrt.runtime.files.reading import read_bytes
from segrt.runtime.inference.tensorrt import engine_record
from segrt.runtime.profiling.records import read_profile
from segrt.runtime.results.coco_format import read_panoptic_png
from segrt.runtime.results.labels.class_lists import read_labels

READERS: dict[str, Callable[[Path], object]] = {
    "image": read_image,
    "panoptic PNG": read_panoptic_png,
    "label picture": read_label_picture,
    "labels": lambda path: read_labels(str(path)),
    "data set": lambda path: open_dataset(path),
    "profile": read_profile,
    "bundle": read_bundle,
    "pack": Pack,
    "private key": read_private_key,
    "public key": read_public_key,
}


def pipe(path: Path) -> None:
    os.mkfifo(path)


def listening(path: Path) -> None:
    here = Path.cwd()
    os.chdir(path.parent)  # an address has at most 107 bytes
    try:
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(path.name)
    finally:
        os.chdir(here)


@pytest.mark.timeout(20)
@pytest.mark.parametrize("make", [pipe, listening])
@pytest.mark.parametrize("name", READERS)
def test_what_is_no_regular_file_is_refused_and_never_waited_for(
    name: str, make: Callable[[Path], None], tmp_path: Path
) -> None:
    path = tmp_path / "file"
    make(path)
    with pytest.raises(SegrtError, match=str(path)) as raised:
        READERS[name](path)
    assert "\n" not in str(raised.value)


@pytest.mark.timeout(20)
def test_a_pipe_is_no_pack_and_no_record(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert not is_pack(tmp_path / "pipe")
    assert engine_record.read(tmp_path / "pipe") == ("has a JSON beside it that cannot be read (is a pipe, not a file)")


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize("file", ["n" * 300, "a\0b", "\udcff" * 3 + "x"])
def test_names_that_no_file_can_have_are_refused(name: str, file: str, tmp_path: Path) -> None:
    with pytest.raises(SegrtError) as raised:
        READERS[name](tmp_path / file)
    assert "\n" not in str(raised.value)


def test_no_more_is_read_than_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"12345")
    assert read_bytes(path, 5) == b"12345"
    with pytest.raises(OSError, match="has 5 bytes, at most 4 are read"):
        read_bytes(path, 4)
    with pytest.raises(OSError, match="is a device, not a file"):
        read_bytes(Path("/dev/zero"))


@pytest.mark.parametrize(
    ("text", "why", "is_json"),
    [
        (b"[" * 100_000, ".", None),
        (b"\xff\xfe", ".", False),
        (b'"\xff"', ".", None),
        (b"1" * 5000, ".", None),
        (b'{"a":}', ".", None),
        (b"1e999", "range", None),
        (b'"text"', "Expected `int`, got `str`", True),
        (b"NaN", "malformed|invalid", False),
    ],
)
def test_whatever_is_wrong_with_json_is_one_error(text: bytes, why: str, is_json: bool | None) -> None:
    with pytest.raises(JsonError, match=why) as raised:
        decode_json(text, int)
    assert is_json in (None, raised.value.is_json)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("text", ["[" * 100_000, "1" * 5000, "", "{", "\ud800"])
def test_whatever_is_wrong_with_loose_json_is_one_error(text: str) -> None:
    with pytest.raises(JsonError):
        decode_loose_json(text)


def test_json_of_libraries_may_hold_nan_and_values_are_converted_in_the_same_way() -> None:
    assert decode_loose_json('{"a": NaN}')["a"] != 0
    assert convert_json([1, 2], tuple[int, int]) == (1, 2)
    with pytest.raises(JsonError, match="Expected `int`"):
        convert_json(["x"], list[int])


def archive(arrays: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as out:
        for name, content in arrays.items():
            out.writestr(name, content)
    return file.getvalue()


def test_a_small_file_takes_memory_by_its_size_and_one_that_says_it_is_empty_is_read_whole(tmp_path: Path) -> None:
    path = tmp_path / "small"
    path.write_bytes(b"12345")
    tracemalloc.start()
    try:
        assert read_bytes(path, 1 << 30) == b"12345"
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()
    status = Path("/proc/self/status")
    if status.is_file():  # 0 bytes, says the system
        assert read_bytes(status).startswith(b"Name:")
        with pytest.raises(OSError, match="has more than 5 bytes"):
            read_bytes(status, 5)


def array(header: str, content: bytes = b"") -> bytes:
    text = header.encode() + b"\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + content


def bomb() -> Iterator[bytes]:
    """The beginning of 3 GB, as many pieces of it as would be seen in the memory of whoever unpacked them."""
    yield array("{'descr': '|u1', 'fortran_order': False, 'shape': (3000000000,), }")
    for _ in range(20):
        yield bytes(1 << 24)


@pytest.fixture(scope="module")
def big() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as out, out.open("a.npy", "w", force_zip64=True) as entry:
        for piece in bomb():
            entry.write(piece)
    return file.getvalue()


def test_an_npz_that_unpacks_to_gigabytes_is_refused_by_its_header(big: bytes) -> None:
    assert len(big) < 400_000
    tracemalloc.start()
    try:
        with pytest.raises(NpzError, match=r"'a' has shape \[3000000000\], 3000000000 bytes, but at most 1000"):
            read_npz(big, {"a": 1000})
        assert read_npz(big, {"b": 1000}) == {}
        assert tracemalloc.get_traced_memory()[1] < 64 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("header", "why"),
    [
        ("{'descr': '|u1', 'fortran_order': False, 'shape': (100000, 100000), }", "has shape"),
        ("{'descr': '|u1', 'fortran_order': False, 'shape': (-1,), }", "has shape"),
        ("{'descr': '|u1', 'fortran_order': False, 'shape': (4,), }", "cut off"),
        ("{'descr': '|u1', 'fortran_order': False, 'shape': (1,), }", "bytes behind its end"),
        ("{'descr': '|O', 'fortran_order': False, 'shape': (1,), }", "not numbers"),
        ("{'descr': '<c16', 'fortran_order': False, 'shape': (1,), }", "not numbers"),
        ("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,), }", "not numbers"),
        ("{'descr': '|u1', 'fortran_order': False, 'shape': (1, 2", "."),
        ("[" * 2000, "."),
        ("{}", "."),
    ],
)
def test_arrays_other_than_numbers_of_the_length_that_they_say_are_refused(header: str, why: str) -> None:
    with pytest.raises(NpzError, match=why):
        read_npz(archive({"a.npy": array(header, b"ab")}), {"a": 1 << 20})


def test_damaged_archives_are_refused() -> None:
    stored = zipfile.ZIP_STORED
    good = archive({"a.npy": array("{'descr': '|u1', 'fortran_order': False, 'shape': (2,), }", b"ab")}, stored)
    assert read_npz(good, {"a": 2})["a"].tolist() == [97, 98]
    for bad in (b"", good[:40], good.replace(b"\x93NUMPY", b"\x93numpy"), good.replace(b"ab", b"xy")):
        with pytest.raises(NpzError):
            read_npz(bad, {"a": 2})
    many = archive({f"a{number}.npy": b"" for number in range(300)})
    with pytest.raises(NpzError, match="holds 300 arrays"):
        read_npz(many, {})


def test_arrays_of_every_order_are_read_as_numpy_reads_them() -> None:
    arrays = {
        "rows": np.arange(6, dtype="<i4").reshape(2, 3),
        "columns": np.asfortranarray(np.arange(6, dtype="<f8").reshape(2, 3)),
        "big_endian": np.arange(3, dtype=">f4"),
        "empty": np.zeros((0, 4), np.float16),
        "scalar": np.float32(2),
    }
    file = io.BytesIO()
    np.savez_compressed(file, **arrays)
    found = read_npz(file.getvalue(), dict.fromkeys(arrays, 64))
    for name, expected in arrays.items():
        np.testing.assert_array_equal(found[name], expected)
        assert found[name].dtype.isnative
