"""How large a picture is comes from its header, and what is too large is never decoded."""

import io
import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest

from segrt.runtime.errors import ImageError
from segrt.runtime.evaluate.datasets.label_folders import read_label_picture
from segrt.runtime.files import images
from segrt.runtime.files.images import decode_image, encode_image, read_image
from segrt.runtime.files.picture_size import jpeg_scans, picture_size
from segrt.runtime.results.coco_format import read_panoptic_png

pillow = pytest.importorskip("PIL.Image")

NOISE = np.random.default_rng(0).integers(0, 255, (37, 53, 3), np.uint8)


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png_bomb(width: int, height: int) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    )


def by_pillow(form: str, **options: object) -> bytes:
    file = io.BytesIO()
    pillow.fromarray(NOISE).save(file, form, **options)
    return file.getvalue()


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".bmp", ".tif", ".jp2", ".ppm", ".pgm", ".pbm"])
def test_sizes_are_read_of_every_format_that_opencv_writes(suffix: str) -> None:
    grey = suffix in (".pgm", ".pbm")
    assert picture_size(encode_image(NOISE[..., 0] if grey else NOISE, suffix)) == (37, 53)


@pytest.mark.parametrize(
    ("form", "options"),
    [
        ("TIFF", {"big_tiff": True}),
        ("TIFF", {"compression": "tiff_lzw"}),
        ("WEBP", {"lossless": True}),
        ("WEBP", {"exif": b"Exif\0\0II*\0\x08\0\0\0\0\0"}),
        ("JPEG", {"progressive": True}),
        ("JPEG2000", {}),
        ("BMP", {}),
    ],
)
def test_sizes_are_read_of_what_pillow_writes(form: str, options: dict[str, object]) -> None:
    assert picture_size(by_pillow(form, **options)) == (37, 53)


def test_a_big_endian_tiff_and_comments_in_a_pnm_are_read() -> None:
    entries = struct.pack(">HHIHH", 256, 3, 1, 53, 0) + struct.pack(">HHII", 257, 4, 1, 37)
    assert picture_size(b"MM\0*" + struct.pack(">IH", 8, 2) + entries) == (37, 53)
    assert picture_size(b"P5 # a camera\n53 37\n255\n") == (37, 53)


def test_of_two_sizes_the_larger_one_counts() -> None:
    data = encode_image(NOISE, ".jpg")
    start = data.index(b"\xff\xc0")
    frame = data[start : start + 2 + struct.unpack_from(">H", data, start + 2)[0]]
    huge = frame[:5] + struct.pack(">HH", 60000, 60000) + frame[9:]
    assert picture_size(data[:start] + frame + huge + data[start + len(frame) :]) == (60000, 60000)


@pytest.mark.parametrize(
    "data", [b"", b"GIF89a\x01\0\x01\0", b"\x89PNG\r\n\x1a\n", b"BM", b"II*\0\xff\xff\xff\xff", b"P5", b"text"]
)
def test_headers_that_are_not_whole_have_no_size(data: bytes) -> None:
    assert picture_size(data) is None


@pytest.mark.parametrize("read", [read_image, read_panoptic_png, read_label_picture])
@pytest.mark.parametrize(("width", "height"), [(30_000, 30_000), (1, 200_000_000), (1 << 31, 1 << 31)])
def test_a_picture_of_a_kilobyte_that_says_gigabytes_is_refused_by_its_header(
    read: object, width: int, height: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert callable(read)
    path = tmp_path / "bomb.png"
    path.write_bytes(png_bomb(width, height))

    def never(*_: object, **__: object) -> None:
        raise AssertionError("it was decoded")

    monkeypatch.setattr(cv2, "imdecode", never)
    with pytest.raises(
        ImageError, match=rf"bomb\.png: is {width} pixels wide and {height} high, more than 160,000,000"
    ):
        read(path)


def test_every_format_has_the_same_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "MOST_PIXELS", 37 * 53 - 1)
    for suffix in (".png", ".jpg", ".webp", ".bmp", ".tif", ".jp2", ".ppm"):
        with pytest.raises(ImageError, match="is 53 pixels wide and 37 high, more than"):
            decode_image(encode_image(NOISE, suffix), "picture")
    monkeypatch.setattr(images, "MOST_PIXELS", 37 * 53)
    assert decode_image(encode_image(NOISE, ".png"), "picture").shape == (37, 53, 3)


def test_a_jpeg_of_thousands_of_scans_is_refused() -> None:
    data = by_pillow("JPEG", progressive=True)
    scans = jpeg_scans(data)
    assert 5 < scans < 20
    assert decode_image(data, "picture").shape == (37, 53, 3)
    start = data.rindex(b"\xff\xda")
    endless = data[:start] + data[start:-2] * 500 + data[-2:]
    assert jpeg_scans(endless) == scans + 499
    with pytest.raises(ImageError, match=f"is a JPEG of {scans + 499} scans"):
        decode_image(endless, "picture")
