"""`open_bundle(…, tile=…)`: a picture that fits one tile to the last bit, larger ones whole, files by windows."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest

from segrt.runtime import open_bundle
from segrt.runtime.bundle.locating import embedded_names
from segrt.runtime.errors import BackendError, ImageError
from segrt.runtime.files import tiff_windows
from segrt.runtime.preprocess.input_spec import InputSpec
from segrt.runtime.preprocess.picture_windows import PictureWindows
from segrt.runtime.results import InstanceResult, PanopticResult, Result, SemanticResult
from segrt.runtime.segmenter.tiles.tiled_backend import TiledServerBackend, tiled_backend
from segrt.runtime.stream.channel import Stopped
from segrt.runtime.streetworld import StreetWorld

STREETS = ("street-semantic", "street-instance", "street-panoptic")
needs_streets = pytest.mark.skipif(
    "street-panoptic" not in embedded_names(), reason="the embedded bundles are not here"
)
SIZE = (240, 400)


@pytest.fixture(scope="module")
def street() -> Any:
    return StreetWorld(910_001, wide=2).render(3.0, SIZE).image


def same(one: Result, other: Result) -> bool:
    """Whether two results are the same to the last bit, but for their timings."""
    if isinstance(one, SemanticResult):
        return bool((one.class_map == other.class_map).all())
    if isinstance(one, PanopticResult):
        return bool((one.segment_ids == other.segment_ids).all()) and one.segments == other.segments
    assert isinstance(one, InstanceResult)
    return one.rles == other.rles and all(
        (getattr(one, name) == getattr(other, name)).all() for name in ("boxes", "scores", "class_ids")
    )


@needs_streets
@pytest.mark.parametrize("name", STREETS)
def test_a_picture_that_fits_one_tile_has_its_result_to_the_last_bit(name: str, street: Any) -> None:
    with open_bundle(name, threads=1) as plain, open_bundle(name, threads=1, tile=SIZE) as tiled:
        assert same(plain(street), tiled(street))
        smaller = street[:100, :150]
        assert same(plain(smaller), tiled(smaller))
        result = tiled(street)
        assert result.image is street
        assert result.timings is not None
        assert result.timings.inference_ms > 0
        assert type(tiled) is type(plain)
        assert tiled.backend.reason.endswith("in tiles of 240x400, 48 down and 80 across pixels shared, and the whole")


@needs_streets
@pytest.mark.parametrize("name", STREETS)
@pytest.mark.parametrize("alone", ["", ",alone"])
def test_a_larger_picture_has_one_whole_result(name: str, alone: str, street: Any, tmp_path: Path) -> None:
    with open_bundle(name, threads=1, tile=f"120x200,25%{alone}") as tiled:
        result = tiled(street)
        assert result.size == SIZE
        assert same(result, tiled([street, street])[1])  # nothing is left over from the one before
        if isinstance(result, PanopticResult):
            counts = np.bincount(result.segment_ids.reshape(-1))
            assert {segment.id: segment.area for segment in result} == {
                number: count for number, count in enumerate(counts.tolist()) if number and count
            }
            stuff = [segment.class_id for segment in result if not segment.isthing]
            assert len(stuff) == len(set(stuff))
        cv2.imwrite(str(tmp_path / "street.png"), street)
        [(_, streamed)] = tiled.stream(tmp_path / "street.png")
        assert same(result, streamed)


def test_tiles_go_in_batches_where_the_network_takes_them(tiny: SimpleNamespace) -> None:
    bundle, picture = tiny.batched_semantic(), tiny.thirds(150, 250)
    results = []
    for batch in (1, 3, None):
        with open_bundle(bundle, threads=1, batch=batch, tile="40x60,10,alone") as tiled:
            results.append(tiled(picture).class_map)
            assert tiled.backend.batch == 1
            assert tiled.backend.segmenter.backend.batch == (batch or 4)  # type: ignore[attr-defined]
    assert (results[0] == results[1]).all()
    assert (results[0] == results[2]).all()


def test_what_tiles_cannot_give_is_refused(tiny: SimpleNamespace) -> None:
    picture = tiny.thirds(60, 90)
    with open_bundle(tiny.bundle("merge_queries"), threads=1, tile=(40, 60)) as tiled:
        for asked in (tiled.heads, tiled.detailed, lambda image: tiled.decoded({}, image)):
            with pytest.raises(BackendError, match="gives a result, not the heads of one network; leave out tile"):
                asked(picture)
        with pytest.raises(ImageError, match="image must be"):
            tiled(picture.astype(np.float32))
        assert tiled(picture).size == (60, 90)  # the refusals have given their slots back
        inner = tiled.backend.segmenter  # type: ignore[attr-defined]
    with pytest.raises(BackendError, match="closed"):
        tiled(picture)
    with pytest.raises(BackendError, match="closed"):
        inner.backend.acquire()


def test_an_error_amid_tiles_gives_every_slot_back(tiny: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    picture = tiny.thirds(150, 250)
    with open_bundle(tiny.bundle("merge_queries"), threads=1, tile="40x60,alone") as tiled:
        inner = tiled.backend.segmenter  # type: ignore[attr-defined]
        right, calls = inner.postprocess, iter(range(100))

        def failing(*arguments: Any) -> Result:
            if next(calls) == 3:
                raise BackendError("the fourth tile")
            return right(*arguments)

        monkeypatch.setattr(inner, "postprocess", failing)
        with pytest.raises(BackendError, match="the fourth tile"):
            tiled(picture)
        monkeypatch.undo()
        assert [inner.backend.acquire(1.0).state for _ in range(inner.backend.slots)] == ["acquired"] * 2


def test_a_server_that_executes_tiles_is_told_of_runs(tiny: SimpleNamespace) -> None:
    with open_bundle(tiny.bundle("argmax"), threads=1) as plain:
        told: list[Any] = []
        plain.backend.begin_run = lambda listener, *, endless: told.append((listener, endless))  # type: ignore[attr-defined]
        plain.backend.end_run = lambda: told.append(Stopped)  # type: ignore[attr-defined]
        plain.backend.why_no_graph = "its reason"
        backend = tiled_backend(plain, tiny_tiling())
        assert backend.why_no_graph == "its reason"
        assert isinstance(backend, TiledServerBackend)
        backend.begin_run(None, endless=True)
        backend.close()
        assert told == [(None, True), Stopped]


def tiny_tiling() -> Any:
    from segrt.runtime.preprocess.tiling import Tiling

    return Tiling.of("40x60")


@pytest.fixture
def small_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take pictures of more than 1000 pixels for too large to be held."""
    monkeypatch.setattr(tiff_windows, "MOST_PIXELS", 1000)


def write_tiff(path: Path, picture: Any, **options: Any) -> None:
    tifffile = pytest.importorskip("tifffile")
    if picture.ndim == 3:
        options.setdefault("photometric", "rgb")
    tifffile.imwrite(path, picture, **options)


@pytest.mark.usefixtures("small_limit")
@pytest.mark.parametrize(
    "options",
    [{}, {"tile": (32, 48)}, {"rowsperstrip": 7}, {"tile": (16, 16), "compression": "zlib", "predictor": True}],
    ids=str,
)
@pytest.mark.parametrize("kind", ["rgb", "rgba", "grey", "wide"])
def test_a_tiff_by_windows_is_what_it_is_as_a_whole(
    tiny: SimpleNamespace, tmp_path: Path, options: dict[str, Any], kind: str
) -> None:
    colors = np.random.default_rng(1).integers(0, 256, (150, 250, 3), dtype=np.uint8)
    given = {
        "rgb": colors,
        "rgba": np.dstack([colors, colors[..., :1]]),
        "grey": colors[..., 0],
        "wide": colors.astype(np.uint16) * 257,
    }[kind]
    path = tmp_path / "large.tif"
    write_tiff(path, given, **options)
    with open_bundle(tiny.bundle("argmax"), threads=1, tile="40x60,10,alone") as tiled:
        expected = colors[..., ::-1] if kind != "grey" else np.repeat(colors[..., :1], 3, axis=2)
        windows = tiled.read(path)
        assert not isinstance(windows, np.ndarray)
        assert windows.shape == (150, 250, 3)
        assert (windows[20:141, 33:250] == expected[20:141, 33:250]).all()
        result = tiled(path)
        assert result.image is None
        assert same(result, tiled(np.ascontiguousarray(expected)))


@pytest.mark.usefixtures("small_limit")
def test_tiffs_that_no_window_can_be_had_of_are_refused(tiny: SimpleNamespace, tmp_path: Path) -> None:
    colors = np.random.default_rng(1).integers(0, 256, (150, 250, 3), dtype=np.uint8)
    cases: dict[str, tuple[Any, dict[str, Any]]] = {
        "write it upright": (colors, {"extratags": [(274, 3, 1, 6, True)]}),
        "pixels interleaved": (np.moveaxis(colors, 2, 0), {"planarconfig": "separate", "photometric": "rgb"}),
        "write it as RGB or grey": (np.dstack([colors, colors[..., :1]]), {"photometric": "separated"}),
        "write it with uint8 or uint16": (colors[..., 0].astype(np.float32), {"photometric": "minisblack"}),
    }
    with open_bundle(tiny.bundle("argmax"), threads=1, tile="40x60") as tiled:
        for remedy, (picture, options) in cases.items():
            path = tmp_path / f"{remedy.replace(' ', '-')}.tif"
            write_tiff(path, picture, **options)
            with pytest.raises(ImageError, match=remedy) as caught:
                tiled(path)
            assert "\n" not in str(caught.value)
            assert str(path) in str(caught.value)
        whole = tmp_path / "cut.tif"
        write_tiff(whole, colors, rowsperstrip=10, compression="zlib")
        data = whole.read_bytes()
        whole.write_bytes(data[:8] + bytes(len(data) // 2) + data[8 + len(data) // 2 :])
        with pytest.raises(ImageError, match=r"cut\.tif"):
            tiled(whole)
        with pytest.raises(ImageError, match=r"missing\.tif"):
            tiled(tmp_path / "missing.tif")


@pytest.mark.usefixtures("small_limit")
def test_parts_of_a_file_that_are_too_large_are_refused(
    tiny: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "strip.tif"
    write_tiff(path, np.zeros((150, 250, 3), np.uint8), rowsperstrip=150)
    monkeypatch.setattr(tiff_windows, "_LARGEST_PART", 100_000)
    with (
        open_bundle(tiny.bundle("argmax"), threads=1, tile="40x60") as tiled,
        pytest.raises(ImageError, match=r"stored in parts of 150 x 250 pixels.*write it in tiles"),
    ):
        tiled(path)


@pytest.mark.usefixtures("small_limit")
def test_pictures_beyond_the_cores_sizes_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_tiff(tmp_path / "huge.tif", np.zeros((64, 64, 3), np.uint8))
    monkeypatch.setattr(tiff_windows, "_MOST_PIXELS_EVER", 64 * 64)
    with pytest.raises(ImageError, match="64 wide and 64 high, 4,096 pixels or more; cut it"):
        tiff_windows.TiffWindows(tmp_path / "huge.tif")
    monkeypatch.undo()
    monkeypatch.setattr(tiff_windows, "_MOST_SIDE_EVER", 63)
    with pytest.raises(ImageError, match="64 wide and 64 high, more than 63 on a side; cut it"):
        tiff_windows.TiffWindows(tmp_path / "huge.tif")


def test_pages_that_are_bands_are_refused_and_overviews_are_not(tmp_path: Path) -> None:
    tifffile = pytest.importorskip("tifffile")
    path, bands = tmp_path / "pages.tif", np.zeros((2, 64, 64), np.uint16)
    tifffile.imwrite(path, bands, photometric="minisblack")
    values = InputSpec("x", "float32", (1, 2, 64, 64), color="bands", values="uint16")
    with pytest.raises(ImageError, match=r"pages\.tif: has 2 pages, which are bands.*; write it as one page"):
        PictureWindows(path, [values])
    assert PictureWindows(path, [InputSpec("x", "float32", (1, 3, 64, 64))]).shape == (64, 64, 3)  # as OpenCV reads it
    with tifffile.TiffWriter(path) as file:
        file.write(np.dstack([*bands]), photometric="minisblack", planarconfig="contig")
        file.write(np.zeros((32, 32, 2), np.uint16), photometric="minisblack", planarconfig="contig", subfiletype=1)
    assert PictureWindows(path, [values]).shape == (64, 64, 2)


def test_few_decoded_parts_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    picture = np.random.default_rng(1).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    write_tiff(tmp_path / "tiles.tif", picture, tile=(16, 16))
    monkeypatch.setattr(tiff_windows, "_KEPT_BYTES", 3 * 16 * 16 * 3)
    windows = tiff_windows.TiffWindows(tmp_path / "tiles.tif")
    for corner in (0, 20, 3):
        assert (windows[corner : corner + 40, 5:64] == picture[corner : corner + 40, 5:64]).all()
        assert len(windows._kept) == 3


def test_other_files_are_no_windows(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "small.tif"), np.zeros((9, 9, 3), np.uint8))
    (tmp_path / "empty.tif").touch()
    (tmp_path / "words.tif").write_text("no TIFF")
    assert not any(tiff_windows.needs_windows(path) for path in (*tmp_path.iterdir(), tmp_path / "none.tif", tmp_path))
