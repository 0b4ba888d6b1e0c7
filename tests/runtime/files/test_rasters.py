"""Arrays from files: values as they stand, bands in their order, one line for what cannot be read."""

import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from segrt.runtime.errors import ImageError
from segrt.runtime.files import rasters
from segrt.runtime.files.picture_size import tiff_pages
from segrt.runtime.files.rasters import read_raster

RNG = np.random.default_rng(1)


def values(shape: tuple[int, ...], dtype: Any) -> Any:
    return (RNG.random(shape) * (200 if dtype == np.uint8 else 60_000)).astype(dtype)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32, np.float64])
@pytest.mark.parametrize("shape", [(7, 9), (7, 9, 1), (7, 9, 12)])
def test_npy_is_read_as_it_is(tmp_path: Path, dtype: Any, shape: tuple[int, ...]) -> None:
    array = values(shape, dtype)
    for name, given in (("c", array), ("f", np.asfortranarray(array))):
        np.save(tmp_path / f"{name}.npy", given)
        np.testing.assert_array_equal(read_raster(tmp_path / f"{name}.npy"), array)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_the_pages_of_a_tiff_are_its_bands(tmp_path: Path, dtype: Any) -> None:
    bands = values((20, 30, 6), dtype)
    path = tmp_path / "bands.tif"
    assert cv2.imwritemulti(str(path), [np.ascontiguousarray(band) for band in np.moveaxis(bands, 2, 0)])
    assert tiff_pages(path.read_bytes()) == [(20, 30, 1)] * 6
    np.testing.assert_array_equal(read_raster(path), bands)


@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_colours_come_red_first_and_grey_alone(tmp_path: Path, suffix: str, dtype: Any) -> None:
    color = values((20, 30, 3), dtype)
    cv2.imwrite(str(tmp_path / f"color{suffix}"), color[..., ::-1])
    np.testing.assert_array_equal(read_raster(tmp_path / f"color{suffix}"), color)
    cv2.imwrite(str(tmp_path / f"grey{suffix}"), color[..., 0])
    np.testing.assert_array_equal(read_raster(tmp_path / f"grey{suffix}"), color[..., 0])


def test_alpha_is_the_fourth_channel(tmp_path: Path) -> None:
    picture = values((20, 30, 4), np.uint8)
    cv2.imwrite(str(tmp_path / "alpha.png"), picture[..., [2, 1, 0, 3]])
    np.testing.assert_array_equal(read_raster(tmp_path / "alpha.png"), picture)


@pytest.mark.parametrize("samples", [2, 4, 5, 6])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("planar", ["contig", "separate"])
def test_bands_in_one_page_are_tifffiles(tmp_path: Path, samples: int, dtype: Any, planar: str) -> None:
    tifffile = pytest.importorskip("tifffile")
    bands = values((20, 30, samples), dtype)
    path = tmp_path / "bands.tif"
    given = bands if planar == "contig" else np.moveaxis(bands, 2, 0)
    tifffile.imwrite(path, given, photometric="minisblack", planarconfig=planar)
    np.testing.assert_array_equal(read_raster(path), bands)


def tiff_of(samples: int) -> bytes:
    """The header of a TIFF with so many values a pixel, in little-endian order, and nothing behind it."""
    tags = [(256, 30), (257, 20), (277, samples)]
    entries = b"".join(
        tag.to_bytes(2, "little") + (3).to_bytes(2, "little") + (1).to_bytes(4, "little") + value.to_bytes(4, "little")
        for tag, value in tags
    )
    return b"II*\0" + (8).to_bytes(4, "little") + len(tags).to_bytes(2, "little") + entries + (0).to_bytes(4, "little")


def test_bands_in_one_page_are_never_read_wrongly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """OpenCV makes grey of two bands, and of four, without a word."""
    monkeypatch.setitem(sys.modules, "tifffile", None)
    for samples in (2, 4, 6):
        path = tmp_path / f"{samples}.tif"
        path.write_bytes(tiff_of(samples))
        with pytest.raises(ImageError, match=rf"has {samples} bands in a page; `pip install 'segrt\[tiff\]'` reads"):
            read_raster(path)


def test_pages_that_differ_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "mixed.tif"
    cv2.imwritemulti(str(path), [np.zeros((8, 9), np.uint8), np.zeros((9, 9), np.uint8)])
    with pytest.raises(ImageError, match="its 2 pages must be bands of one size and type"):
        read_raster(path)


def test_endless_and_huge_files_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = bytearray(tiff_of(1))
    data[-4:] = (8).to_bytes(4, "little")  # the page is its own successor
    assert tiff_pages(bytes(data)) == []
    path = tmp_path / "bands.tif"
    cv2.imwritemulti(str(path), [np.zeros((8, 9), np.uint8)] * 5)
    monkeypatch.setattr(rasters, "MOST_PIXELS", 300)
    with pytest.raises(ImageError, match="has more than 300 values in its 5 pages; make it smaller"):
        read_raster(path)


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("a.npy", b"", "is no array"),
        ("a.npy", b"\x93NUMPY\x01\x00", "is no array"),
        ("a.npy", "complex", "holds complex128, not numbers"),
        ("a.npy", "objects", "not numbers"),
        ("a.npy", "cut", "is cut off"),
        ("a.npy", "int64", r"must hold uint8, uint16 or floats .* but has int64 \[2, 3\]"),
        ("a.npy", "line", r"must hold uint8, uint16 or floats .* but has uint8 \[5\]"),
        ("a.png", b"text", "is no picture that can be decoded"),
        ("a.tif", b"II*\0" + bytes(40), "is no picture that can be decoded"),
        ("b.npy", None, "cannot be read"),
    ],
)
def test_damaged_files_end_in_one_line(tmp_path: Path, name: str, data: Any, message: str) -> None:
    path = tmp_path / name
    arrays: dict[str, Any] = {
        "complex": np.zeros(3, complex),
        "objects": np.array([None]),
        "int64": np.zeros((2, 3), np.int64),
        "line": np.zeros(5, np.uint8),
        "cut": np.zeros((9, 9), np.uint8),
    }
    if isinstance(data, str):
        np.save(path, arrays[data], allow_pickle=True)
        if data == "cut":
            path.write_bytes(path.read_bytes()[:-5])
    elif data is not None:
        path.write_bytes(data)
    with pytest.raises(ImageError, match=message) as caught:
        read_raster(path)
    assert "\n" not in str(caught.value)
