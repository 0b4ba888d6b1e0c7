"""Video files in: what PyAV decodes arrives upright, square and at its own time."""

import gc
import struct
from fractions import Fraction

import av
import numpy as np
import pytest
from video_reading import read

from segrt.runtime.stream.sources.decoded_picture import turn
from segrt.runtime.stream.sources.live import RefusedError
from segrt.runtime.stream.sources.packets import PacketFeed
from segrt.runtime.stream.sources.source_kinds import open_source


def corner_colours(image):
    """Return the names of the quadrants' colours, row by row."""
    names = {(0, 0, 1): "red", (0, 1, 0): "green", (1, 0, 0): "blue", (1, 1, 1): "white"}
    height, width = image.shape[:2]
    spots = [image[y, x] for y in (height // 4, 3 * height // 4) for x in (width // 4, 3 * width // 4)]
    return [names[tuple(int(value > 110) for value in spot)] for spot in spots]


def test_frames_come_with_index_time_and_source(tmp_path, fakes):
    path = fakes.write_video(tmp_path / "a.mp4", fakes.shades(10))
    source = open_source(path)
    assert (source.info.rate, source.info.frames, source.info.live) == (Fraction(25), 10, False)
    frames = list(source.frames())
    source.close()
    assert [frame.index for frame in frames] == list(range(10))
    assert [frame.pts for frame in frames] == pytest.approx([index / 25 for index in range(10)])
    assert {frame.source_id for frame in frames} == {str(path)}
    for frame, expected in zip(frames, fakes.shades(10), strict=True):
        assert frame.image.dtype == np.uint8
        assert frame.size == (48, 64)
        assert np.abs(frame.image.astype(int) - expected).max() <= 6
    assert [frame.capture_time for frame in frames] == sorted(frame.capture_time for frame in frames)


def test_variable_frame_rate_keeps_its_times(tmp_path, fakes):
    pts = [0, 10, 15, 400, 401, 2000]
    frames, error = read(fakes.write_video(tmp_path / "a.mp4", fakes.shades(6), pts=pts, options={"bf": "0"}))
    assert error is None
    assert [frame.pts for frame in frames] == pytest.approx([value / 1000 for value in pts], abs=1e-4)


def test_a_stream_without_times_has_none(tmp_path, fakes):
    frames, error = read(fakes.write_video(tmp_path / "a.h264", fakes.shades(5), format="h264"))
    assert error is None
    assert [frame.pts for frame in frames] == [None] * 5


@pytest.mark.parametrize("size", [(47, 63), (49, 64), (48, 65)])
def test_odd_sizes(tmp_path, fakes, size):
    path = fakes.write_video(tmp_path / "a.mp4", fakes.shades(3, size), pix_fmt="yuv444p")
    frames, _ = read(path)
    assert [frame.size for frame in frames] == [size] * 3


@pytest.mark.parametrize(
    ("codec", "pix_fmt", "suffix"),
    [
        ("libx264", "yuv420p10le", ".mp4"),
        ("libx264", "yuv422p", ".mkv"),
        ("ffv1", "gray", ".mkv"),
        ("ffv1", "gray16le", ".mkv"),
        ("png", "rgb48be", ".mov"),
        ("mpeg4", "yuv420p", ".avi"),
    ],
)
def test_depths_and_greys_become_8_bit_bgr(tmp_path, fakes, codec, pix_fmt, suffix):
    frames, error = read(fakes.write_video(tmp_path / f"a{suffix}", fakes.shades(5), codec=codec, pix_fmt=pix_fmt))
    assert error is None
    for frame, expected in zip(frames, fakes.shades(5), strict=True):
        assert frame.image.shape == (48, 64, 3)
        assert frame.image.dtype == np.uint8
        assert np.abs(frame.image.astype(int) - expected).max() <= 6


def test_grey_h264_is_limited_range_as_its_standard_says(tmp_path, fakes):
    luma = [np.round(16 + image * (219 / 255)).astype(np.uint8) for image in fakes.shades(5)]
    frames, _ = read(fakes.write_video(tmp_path / "a.mp4", luma, pix_fmt="gray"))
    for frame, expected in zip(frames, fakes.shades(5), strict=True):
        assert np.abs(frame.image.astype(int) - expected).max() <= 6


def test_full_range_is_not_stretched(tmp_path, fakes):
    images = [np.full((48, 64, 3), value, np.uint8) for value in (0, 8, 128, 247, 255)]
    path = fakes.write_video(tmp_path / "a.avi", images, codec="mjpeg", pix_fmt="yuvj420p", colour_range="JPEG")
    frames, _ = read(path)
    assert [int(frame.image.mean()) for frame in frames] == pytest.approx([0, 8, 128, 247, 255], abs=3)


@pytest.mark.parametrize("matrix", ["bt709", "smpte170m"])
def test_the_tagged_matrix_is_applied(tmp_path, matrix):
    """Red at full saturation, luma and chroma written as each standard has them: 63/102/240 and 81/90/240."""
    luma, blue, red = {"bt709": (63, 102, 240), "smpte170m": (81, 90, 240)}[matrix]
    planes = np.full((48 * 3 // 2, 64), luma, np.uint8)
    planes[48:60], planes[60:] = blue, red
    with av.open(str(tmp_path / "a.mp4"), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"colorspace": matrix, "color_range": "tv"})
        stream.height, stream.width, stream.pix_fmt = 48, 64, "yuv420p"
        container.mux(stream.encode(av.VideoFrame.from_ndarray(planes, format="yuv420p")))
        container.mux(stream.encode(None))
    frames, _ = read(tmp_path / "a.mp4")
    assert frames[0].image[20, 30].astype(int) == pytest.approx([0, 0, 255], abs=6)


@pytest.mark.skipif(int(av.__version__.split(".")[0]) < 17, reason="before PyAV 17 all of these are BT.601's")
def test_colours_that_ffmpeg_does_not_convert_are_named(tmp_path):
    """x264 writes the matrix that it is told into the stream, and what is encoded is something else."""
    path = tmp_path / "a.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"colorspace": "ycgco"})
        stream.height, stream.width, stream.pix_fmt = 48, 64, "yuv420p"
        for _ in range(60):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((72, 64), np.uint8), format="yuv420p")))
        container.mux(stream.encode(None))
    frames, error = read(path)
    assert (frames, str(error)) == (
        [],
        f"{path}: its colours are YCgCo, which FFmpeg does not convert; encode it again as BT.709",
    )
    with pytest.raises(RefusedError, match="its colours are YCgCo"):
        PacketFeed(str(path), timeout=4).read()


def test_colours_survive(tmp_path, fakes):
    frames, _ = read(fakes.write_video(tmp_path / "a.mp4", [fakes.quadrants()] * 2))
    assert corner_colours(frames[0].image) == ["red", "green", "blue", "white"]


@pytest.mark.parametrize(
    ("ratio", "size"), [(Fraction(4, 3), (64, 128)), (Fraction(1, 2), (128, 96)), (Fraction(1), (64, 96))]
)
def test_pixels_become_square(tmp_path, fakes, ratio, size):
    frames, _ = read(fakes.write_video(tmp_path / "a.mp4", [fakes.quadrants()] * 2, pixel_ratio=ratio))
    assert frames[0].size == size
    assert corner_colours(frames[0].image) == ["red", "green", "blue", "white"]


def set_matrix(path, matrix):
    """Write the display matrix a b c d into an mp4's track header (ISO/IEC 14496-12, 8.3.2, version 0)."""
    data = bytearray(path.read_bytes())
    at = data.index(b"tkhd") + 4 + 40
    a, b, c, d = (value * 65536 for value in matrix)
    data[at : at + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path.write_bytes(data)


@pytest.mark.parametrize(
    ("matrix", "expected"),
    [
        ((0, 1, -1, 0), lambda image: np.rot90(image, -1)),
        ((-1, 0, 0, -1), lambda image: np.rot90(image, 2)),
        ((0, -1, 1, 0), lambda image: np.rot90(image, 1)),
        ((-1, 0, 0, 1), lambda image: image[:, ::-1]),
    ],
)
def test_the_display_matrix_turns_the_picture(tmp_path, fakes, matrix, expected):
    path = fakes.write_video(tmp_path / "a.mp4", [fakes.quadrants()] * 2)
    set_matrix(path, matrix)
    frames, _ = read(path)
    upright = expected(fakes.quadrants())
    assert frames[0].image.shape == upright.shape
    assert corner_colours(frames[0].image) == corner_colours(upright)


@pytest.mark.parametrize(
    "matrix", [(a, b, c, d) for a, b, c, d in np.ndindex(3, 3, 3, 3) if (a, b, c, d) != (1, 1, 1, 1)]
)
def test_turn_equals_moving_every_pixel(matrix):
    """Against the definition: source pixel (x, y) goes to (a x + c y, b x + d y), moved to where the picture begins."""
    a, b, c, d = (value - 1 for value in matrix)
    image = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)
    turned = turn(image, (a, b, c, d))
    axes = np.array([[a, b], [c, d]])
    if not np.array_equal(axes @ axes.T, np.eye(2)):
        assert turned is image
        return
    places = {(a * x + c * y, b * x + d * y): image[y, x] for y in range(2) for x in range(3)}
    left, top = min(x for x, _ in places), min(y for _, y in places)
    for (x, y), value in places.items():
        assert np.array_equal(turned[y - top, x - left], value)


def test_a_picture_size_that_changes_in_mid_stream_is_followed(tmp_path, fakes):
    small = fakes.write_video(tmp_path / "a.h264", fakes.shades(4, (48, 64)), format="h264")
    large = fakes.write_video(tmp_path / "b.h264", fakes.shades(4, (96, 128)), format="h264")
    (tmp_path / "c.h264").write_bytes(small.read_bytes() + large.read_bytes())
    frames, error = read(tmp_path / "c.h264")
    assert error is None
    assert [frame.size for frame in frames] == [(48, 64)] * 4 + [(96, 128)] * 4


def test_frames_are_freed_without_the_collector(tmp_path, fakes):
    """Cyclic garbage of a frame each would let memory grow by hundreds of megabytes between two collections."""
    source = open_source(fakes.write_video(tmp_path / "a.mp4", fakes.shades(200)))
    gc.collect()
    gc.disable()
    try:
        assert sum(1 for _ in source.frames()) == 200
        assert sum(type(thing) is av.VideoFrame for thing in gc.get_objects()) < 10
    finally:
        gc.enable()
    source.close()


def test_a_title_in_an_old_encoding_is_no_obstacle(tmp_path, fakes):
    path = tmp_path / "a.mkv"
    fakes.write_video(path, fakes.shades(3), metadata={"title": "a title"})
    data = path.read_bytes()
    assert b"a title" in data
    path.write_bytes(data.replace(b"a title", b"\xe4 title"))
    frames, error = read(path)
    assert (len(frames), error) == (3, None)


def test_file_uris_are_paths(tmp_path, fakes):
    path = fakes.write_video(tmp_path / "a b.mp4", fakes.shades(2))
    frames, error = read(f"file://{tmp_path}/a%20b.mp4")
    assert (len(frames), error) == (2, None)
    assert path.exists()
