"""Pictures of every kind are read as uint8 BGR, everything else ends in one line."""

import struct
from pathlib import Path

import cv2
import numpy as np
import pytest

from segrt.runtime.errors import ImageError, SegrtError
from segrt.runtime.files.finding import find_pictures, unique_names
from segrt.runtime.files.images import encode_image, read_image, write_image

BLUE_RED = np.array([[[255, 0, 0], [0, 0, 255]]], np.uint8)


def gradient(height: int = 40, width: int = 60) -> np.ndarray:
    rows, columns = np.mgrid[0:height, 0:width]
    return np.stack([rows * 255 // height, columns * 255 // width, np.full_like(rows, 80)], -1).astype(np.uint8)


def encoded(suffix: str, image: np.ndarray | None = None) -> bytes:
    return encode_image(gradient() if image is None else image, suffix)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".bmp", ".tiff", ".webp"])
def test_colour_pictures_keep_size_and_colours(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"picture{suffix}"
    write_image(path, gradient())
    image = read_image(path)
    assert (image.dtype, image.shape) == (np.uint8, (40, 60, 3))
    assert np.abs(image.astype(int) - gradient()).mean() < 6


def test_grey_becomes_three_equal_channels(tmp_path: Path) -> None:
    (tmp_path / "grey.png").write_bytes(encoded(".png", gradient()[..., 0]))
    image = read_image(tmp_path / "grey.png")
    assert image.shape == (40, 60, 3)
    assert (image == image[..., :1]).all()
    np.testing.assert_array_equal(image[..., 0], gradient()[..., 0])


@pytest.mark.parametrize("channels", [1, 3])
def test_16_bits_become_8(tmp_path: Path, channels: int) -> None:
    wide = np.repeat(np.linspace(0, 65535, 256).astype(np.uint16)[None, :, None], channels, axis=2)
    (tmp_path / "deep.png").write_bytes(encoded(".png", wide))
    image = read_image(tmp_path / "deep.png")
    assert image.shape == (1, 256, 3)
    assert np.abs(image[0, :, 0].astype(int) - np.arange(256)).max() <= 1


def test_alpha_is_left_out(tmp_path: Path) -> None:
    rgba = np.concatenate([gradient(), np.zeros((40, 60, 1), np.uint8)], axis=2)
    (tmp_path / "clear.png").write_bytes(encoded(".png", rgba))
    np.testing.assert_array_equal(read_image(tmp_path / "clear.png"), gradient())


def test_cmyk_becomes_bgr(tmp_path: Path) -> None:
    pillow = pytest.importorskip("PIL.Image")
    path = tmp_path / "print.jpg"
    pillow.new("RGB", (16, 16), (255, 0, 0)).convert("CMYK").save(path, quality=95)
    image = read_image(path)
    assert image.shape == (16, 16, 3)
    blue, green, red = image.reshape(-1, 3).mean(axis=0)
    assert red > 200
    assert max(blue, green) < 60


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(tmp_path: Path, orientation: int) -> None:
    image = np.zeros((16, 32, 3), np.uint8)
    image[:8, :16] = 255
    upright = {
        1: image,
        2: image[:, ::-1],
        3: image[::-1, ::-1],
        4: image[::-1],
        5: image.transpose(1, 0, 2),
        6: np.rot90(image, -1),
        7: np.rot90(image, 2).transpose(1, 0, 2),
        8: np.rot90(image),
    }[orientation]
    entry = struct.pack("<HHIHxxI", 0x0112, 3, 1, orientation, 0)[:12]
    body = b"Exif\0\0" + b"II*\0" + struct.pack("<IH", 8, 1) + entry + struct.pack("<I", 0)
    data = encoded(".jpg", image)
    path = tmp_path / "turned.jpg"
    path.write_bytes(data[:2] + b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body + data[2:])
    read = read_image(path)
    assert read.shape == upright.shape
    assert np.abs(read.astype(int) - upright).mean() < 8


def test_one_pixel_is_a_picture(tmp_path: Path) -> None:
    write_image(tmp_path / "dot.png", BLUE_RED[:, :1])
    np.testing.assert_array_equal(read_image(tmp_path / "dot.png"), BLUE_RED[:, :1])


def test_a_picture_without_pixels_is_refused(tmp_path: Path) -> None:
    data = bytearray(encoded(".png"))
    data[16:24] = bytes(8)
    (tmp_path / "none.png").write_bytes(data)
    with pytest.raises(ImageError, match=r"none\.png: "):
        read_image(tmp_path / "none.png")


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".bmp", ".webp", ".tiff"])
@pytest.mark.parametrize("share", [0.02, 0.3, 0.7, 0.99])
def test_cut_off_pictures_are_refused(tmp_path: Path, suffix: str, share: float) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    data = encoded(suffix, noise)
    path = tmp_path / f"cut{suffix}"
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(ImageError, match=rf"cut\{suffix}: (is cut off|is no picture|cannot be decoded)"):
        read_image(path)


def test_a_jpeg_with_a_thumbnail_is_cut_off_although_the_thumbnail_ends(tmp_path: Path) -> None:
    data, thumbnail = encoded(".jpg"), encoded(".jpg", gradient(8, 8))
    whole = data[:2] + b"\xff\xe1" + struct.pack(">H", len(thumbnail) + 2) + thumbnail + data[2:]
    path = tmp_path / "thumb.jpg"
    path.write_bytes(whole + b"trailing bytes of a camera")
    assert read_image(path).shape == (40, 60, 3)
    path.write_bytes(whole[:-20])
    with pytest.raises(ImageError, match="is cut off"):
        read_image(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"hello, I am text", "is no picture that can be decoded"),
        (b"\x00" * 5000, "is no picture that can be decoded"),
        (b"GIF89a", "(is no picture|cannot be decoded)"),
    ],
)
def test_files_that_are_no_pictures_are_refused(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "thing.jpg"
    path.write_bytes(content)
    with pytest.raises(ImageError, match=rf"thing\.jpg: {message}"):
        read_image(path)


def test_decoders_keep_quiet(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    for number, data in enumerate(
        (encoded(".png")[:-40], encoded(".jpg")[:200], b"BM" + bytes(60), b"II*\0" + bytes(9))
    ):
        path = tmp_path / f"{number}.bin"
        path.write_bytes(data)
        with pytest.raises(ImageError):
            read_image(path)
    captured = capfd.readouterr()
    assert captured.err + captured.out == ""


def test_missing_files_and_folders_are_named(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"nowhere\.png: cannot be read \(No such file or directory\)"):
        read_image(tmp_path / "nowhere.png")
    with pytest.raises(ImageError, match="is a folder, not a picture"):
        read_image(tmp_path)
    with pytest.raises(ImageError, match="/dev/zero: is a device or pipe, not a picture"):
        read_image("/dev/zero")


def test_writing_is_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "out.png"
    write_image(path, gradient())
    before = path.read_bytes()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(SegrtError, match=r"out\.png: cannot be written \(No space left on device\)"):
        write_image(path, np.zeros((4, 4, 3), np.uint8))
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["out.png"]


def test_an_unknown_suffix_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"out\.xyz: has no suffix of a picture"):
        write_image(tmp_path / "out.xyz", gradient())


def test_sources_are_files_folders_and_patterns(tmp_path: Path) -> None:
    for name in ("b.png", "a.jpg", "notes.txt", "sub/c.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    folder, file, pattern = str(tmp_path), str(tmp_path / "b.png"), str(tmp_path / "**/*.png")
    assert [path.name for path in find_pictures([folder])] == ["a.jpg", "b.png"]
    assert [path.name for path in find_pictures([file, folder])] == ["b.png", "a.jpg"]
    assert [path.name for path in find_pictures([pattern])] == ["b.png", "c.png"]
    (tmp_path / "odd[1].png").touch()
    assert [path.name for path in find_pictures([str(tmp_path / "odd[1].png")])] == ["odd[1].png"]


def test_sources_without_pictures_are_named(tmp_path: Path) -> None:
    (tmp_path / "clip.mp4").touch()
    (tmp_path / "empty").mkdir()
    for source, message in (
        ("gone.jpg", "there is no such picture or folder"),
        ("empty", "holds no pictures"),
        ("*.png", "matches no picture"),
        ("clip.mp4", "is a video; use `segrt stream`"),
    ):
        with pytest.raises(ImageError, match=message):
            find_pictures([str(tmp_path / source)])
    with pytest.raises(ImageError, match=r"rtsp://…: is no picture") as caught:
        find_pictures(["rtsp://user:secret@camera/1"])
    assert "secret" not in str(caught.value)


def test_results_of_pictures_with_one_stem_get_different_names() -> None:
    paths = [Path("a/1.jpg"), Path("b/1.jpg"), Path("b/1-2.png"), Path("b/1.png")]
    assert unique_names(paths) == ["1", "1-2", "1-2-2", "1-3"]


def test_colour_order_is_bgr(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "x.png"), BLUE_RED)
    assert read_image(tmp_path / "x.png")[0, 0].tolist() == [255, 0, 0]
