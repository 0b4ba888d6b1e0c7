"""Video files that are cut off, damaged or none: their frames come, and what is wrong is said in one line."""

import av
import numpy as np
import pytest
from video_reading import read

from segrt.runtime.errors import SegrtError, VideoError
from segrt.runtime.stream.sources.file_extent import missing_bytes
from segrt.runtime.stream.sources.source_kinds import open_source

FASTSTART = {"movflags": "faststart"}


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".avi", ".mov"])
def test_a_whole_file_lacks_nothing(tmp_path, fakes, suffix):
    assert missing_bytes(fakes.write_video(tmp_path / f"a{suffix}", fakes.shades(20))) == 0


@pytest.mark.parametrize(
    ("suffix", "options"),
    [
        (".mp4", FASTSTART),
        (".mp4", {"movflags": "frag_keyframe+empty_moov"}),
        (".mkv", {}),
        (".avi", {}),
        (".mov", FASTSTART),
    ],
)
def test_a_cut_off_file_gives_its_frames_and_then_says_so(tmp_path, fakes, suffix, options):
    noise = [np.random.default_rng(index).integers(0, 255, (48, 64, 3), np.uint8) for index in range(60)]
    path = fakes.write_video(tmp_path / f"a{suffix}", noise, options={"g": "5"}, container_options=options)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 6 // 10])
    frames, error = read(path)
    assert 10 < len(frames) < 50
    assert error is not None
    assert str(error).startswith(
        f"{path}: ends early, {len(data) - len(data) * 6 // 10} bytes are missing"
    ) or "a.mp4" in str(error)
    assert f"{len(frames)}" in str(error)
    assert "copy it again" in str(error)
    assert [frame.index for frame in frames] == list(range(len(frames)))


def test_damaged_frames_are_left_out_and_counted(tmp_path, fakes):
    path = fakes.write_video(tmp_path / "a.avi", fakes.shades(20), codec="png", pix_fmt="rgb24")
    data = bytearray(path.read_bytes())
    for start in [at for at in range(len(data)) if data[at : at + 4] == b"IDAT"][5:7]:
        data[start : start + 40] = b"\xff" * 40
    path.write_bytes(data)
    frames, error = read(path)
    assert len(frames) == 18
    assert "2 frames are damaged, 18 of 20 could be read" in str(error)


@pytest.mark.parametrize(
    ("suffix", "codec"), [(".mp4", "libx264"), (".mkv", "libx264"), (".avi", "mpeg4"), (".ts", "libx264")]
)
def test_damage_anywhere_is_frames_or_one_line_and_nothing_else(tmp_path, fakes, suffix, codec):
    """Bytes flipped, cut out and put in at random: no other exception, no crash, no hang."""
    rng = np.random.default_rng(0)
    noise = [rng.integers(0, 255, (48, 64, 3), np.uint8) for _ in range(12)]
    whole = fakes.write_video(
        tmp_path / f"whole{suffix}", noise, codec=codec, format="mpegts" if suffix == ".ts" else None
    )
    path = tmp_path / f"damaged{suffix}"
    for _ in range(25):
        data = bytearray(whole.read_bytes())
        for _ in range(int(rng.integers(1, 20))):
            at = int(rng.integers(0, len(data) if rng.random() < 0.7 else 1000))
            data[at : at + int(rng.integers(0, 30))] = rng.bytes(int(rng.integers(0, 30)))
        path.write_bytes(data)
        try:
            source = open_source(path)
            count = sum(1 for _ in source.frames())
            source.close()
            assert count <= 13
        except VideoError as error:
            assert "\n" not in str(error)  # noqa: PT017


def make_bad(kind, tmp_path, fakes):
    path = tmp_path / f"{kind}.mp4"
    if kind == "folder":
        path.mkdir()
    elif kind == "empty":
        path.write_bytes(b"")
    elif kind == "text":
        path.write_text("not a video\n" * 100)
    elif kind == "noise":
        path.write_bytes(np.random.default_rng(0).bytes(10_000))
    elif kind == "no index":
        fakes.write_video(path, fakes.shades(50))
        path.write_bytes(path.read_bytes()[:1500])
    elif kind == "sound":
        with av.open(str(path), "w") as container:
            stream = container.add_stream("aac", rate=8000)
            for start in range(0, 4096, 1024):
                frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
                frame.sample_rate, frame.pts = 8000, start
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
    elif kind == "no frames":
        with av.open(str(path), "w", options={"movflags": "empty_moov+frag_keyframe"}) as container:
            stream = container.add_stream("libx264", rate=25)
            stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
            stream.codec_context.open()
            container.start_encoding()
    return path


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("missing", "cannot be opened.*check the path"),
        ("folder", "no pictures|is a folder"),
        ("empty", "is empty; give"),
        ("text", "is no video|cannot be opened as a video"),
        ("noise", "cannot be opened as a video.*give a video file"),
        ("no index", "ends early.*index.*copy it again"),
        ("sound", "no video stream.*audio.*give a file with video"),
        ("no frames", "holds no frames|cannot be opened as a video|no video stream"),
    ],
)
def test_what_is_no_video_is_refused_in_one_line(tmp_path, fakes, kind, message):
    path = make_bad(kind, tmp_path, fakes)
    with pytest.raises(SegrtError, match=message) as failure:
        list(open_source(path).frames())
    assert str(path) in str(failure.value)
    assert "\n" not in str(failure.value)
