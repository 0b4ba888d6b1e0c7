"""Clips of a video hold the frames of the whole: none twice, none lost, their numbers, times and pixels the same."""

import hashlib
import io
from pathlib import Path
from types import SimpleNamespace

import av
import pytest
from archive_cases import X264, encoded

from segrt.runtime.errors import SegrtError, VideoError
from segrt.runtime.scale.archive import video_access
from segrt.runtime.scale.archive.archive_clips import Clip, SourceFile
from segrt.runtime.scale.archive.archive_sources import find_sources
from segrt.runtime.scale.archive.clip_cutting import cut_video
from segrt.runtime.scale.archive.clip_decoding import DamagedError, clip_frames
from segrt.runtime.stream.sources.video_file import VideoSource

Seen = list[tuple[int, float | None, str]]


def file_of(path: Path) -> SourceFile:
    (file,) = find_sources([str(path)]).files
    return file


def seen_in(frames: object) -> Seen:
    return [(frame.index, frame.pts, hashlib.md5(frame.image).hexdigest()) for frame in frames]  # type: ignore[attr-defined]


def whole(path: Path) -> Seen:
    return seen_in(VideoSource(path, "whole").frames())


def by_clips(clips: list[Clip]) -> Seen:
    return [frame for clip in clips for frame in seen_in(clip_frames(clip))]


OPEN = X264.format(bframes=3) + ":open-gop=1:b-adapt=0"
CASES = {
    "plain.mp4": (5, {}),
    "open.mp4": (5, {"options": {"x264-params": OPEN}}),
    "open.ts": (5, {"options": {"x264-params": OPEN}}),
    "refresh.mp4": (1, {"options": {"x264-params": "keyint=8:intra-refresh=1:bframes=0:threads=1"}}),
    "refresh.ts": (1, {"options": {"x264-params": "keyint=8:intra-refresh=1:bframes=0:threads=1"}}),
    "interlaced.ts": (5, {"options": {"x264-params": X264.format(bframes=2) + ":tff=1"}}),
    "varied.mkv": (5, {"varied": True}),
    "fragments.mp4": (5, {"muxing": {"movflags": "frag_keyframe+empty_moov"}}),
    "open.hevc.mp4": (
        5,
        {"codec": "libx265", "options": {"x265-params": "keyint=8:min-keyint=8:open-gop=1:bframes=3:log-level=none"}},
    ),
    "vp9.webm": (5, {"codec": "libvpx-vp9", "options": {"cpu-used": "8", "lag-in-frames": "8", "auto-alt-ref": "1"}}),
    "vp8.webm": (
        1,
        {"codec": "libvpx", "options": {"deadline": "realtime", "lag-in-frames": "8", "auto-alt-ref": "1"}},
    ),
    "mpeg4.avi": (4, {"codec": "mpeg4", "options": {"bf": "2"}}),
    "mpeg2.ts": (5, {"codec": "mpeg2video", "options": {"bf": "2"}, "rate": 25, "frames": 100}),
    "mjpeg.avi": (5, {"codec": "mjpeg", "options": {}}),
    "raw.h264": (1, {"kind": "h264"}),
}


@pytest.mark.parametrize("name", CASES)
def test_clips_hold_the_frames_of_the_whole_file(name: str, tmp_path: Path) -> None:
    count, how = CASES[name]
    try:
        path = encoded(tmp_path / name, **how)
    except av.codec.codec.UnknownCodecError:
        pytest.skip(f"this PyAV has no {how['codec']} to write with")
    clips = cut_video(file_of(path), 0.75)
    assert len(clips) == count
    assert by_clips(clips) == whole(path)
    assert [clip.first_frame for clip in clips] == sorted({clip.first_frame for clip in clips})
    assert len({clip.clip_id for clip in clips}) == count


def test_the_real_clips_are_cut_without_losing_a_frame(fixtures: Path) -> None:
    path = fixtures / "video" / "car-detection.mp4"
    clips = cut_video(file_of(path), 5.0)
    assert len(clips) == 4
    assert by_clips(clips) == whole(path)


def test_a_clip_is_as_long_as_asked_where_key_frames_allow(clip: Path) -> None:
    assert [one.frames for one in cut_video(file_of(clip), 1.5)] == [16, 16, 8]
    assert cut_video(file_of(clip), 60.0) == [Clip((file_of(clip),))]


def test_a_file_that_begins_between_two_key_frames_is_one_clip(tmp_path: Path) -> None:
    path, cut = encoded(tmp_path / "whole.ts"), tmp_path / "cut.ts"
    cut.write_bytes(path.read_bytes()[188 * 40 :])
    clips = cut_video(file_of(cut), 0.75)
    assert len(clips) == 1
    assert by_clips(clips) == whole(cut)


def test_an_edit_list_hides_frames_from_clips_too(tmp_path: Path) -> None:
    path, edited = encoded(tmp_path / "whole.mp4"), tmp_path / "edited.mp4"
    with av.open(str(path)) as source, av.open(str(edited), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        first = None
        for packet in source.demux(source.streams.video[0]):
            if packet.dts is None:
                continue
            first = packet.pts + packet.duration * 3 if first is None else first
            packet.pts, packet.dts, packet.stream = packet.pts - first, packet.dts - first, stream
            target.mux(packet)
    frames = whole(edited)
    clips = cut_video(file_of(edited), 0.75)
    assert by_clips(clips) == frames
    assert len(clips) > 1


def test_damage_costs_the_frames_it_hit_and_is_said(tmp_path: Path) -> None:
    intact, path = encoded(tmp_path / "intact.mp4", frames=96), tmp_path / "damaged.mp4"
    data = bytearray(intact.read_bytes())
    with av.open(str(intact)) as container:
        hit = [packet for packet in container.demux(video=0) if packet.size][68]
    data[hit.pos : hit.pos + hit.size] = bytes(hit.size)
    path.write_bytes(data)
    clips, good = cut_video(file_of(path), 0.75), []
    assert len(clips) == 12
    for one in clips:
        frames = clip_frames(one)
        if one.first_frame == 64:
            with pytest.raises(DamagedError, match=rf"{path}: [1-7] frames are damaged, [1-7] of these could be read"):
                good += seen_in(frames)
        else:
            good += seen_in(frames)
    assert [frame for frame in good if not 64 <= frame[0] < 72] == [
        frame for frame in whole(intact) if not 64 <= frame[0] < 72
    ]


def test_a_file_that_ends_early_gives_what_it_has_and_says_so(tmp_path: Path) -> None:
    path = encoded(tmp_path / "short.mp4", muxing={"movflags": "faststart"})
    path.write_bytes(path.read_bytes()[:-3000])
    clips = cut_video(file_of(path), 0.75)
    with pytest.raises(VideoError, match=r"short.mp4: .*(ends early, 3000 bytes are missing|reading stopped)"):
        by_clips(clips)


@pytest.mark.parametrize(
    ("data", "said"),
    [(b"", "is empty"), (b"a text\n" * 99, "video"), (b"\0" * 5000, "cannot be opened as a video")],
)
def test_what_is_no_video_is_said_in_one_line(data: bytes, said: str, tmp_path: Path) -> None:
    path = tmp_path / "no.mp4"
    path.write_bytes(data)
    with pytest.raises(SegrtError, match=f"{path}: .*{said}") as refused:
        by_clips(cut_video(file_of(path), 1.0))
    assert "\n" not in str(refused.value)


def test_an_encrypted_video_is_a_failure_not_a_wrong_result(tmp_path: Path) -> None:
    key = {"encryption_scheme": "cenc-aes-ctr", "encryption_key": "0" * 31 + "1", "encryption_kid": "0" * 31 + "2"}
    path = encoded(tmp_path / "secret.mp4", muxing=key)
    with pytest.raises(VideoError, match=f"{path}: .*(cannot be decoded|can be decoded|damaged)"):
        by_clips(cut_video(file_of(path), 0.75))


def test_a_place_that_stops_giving_bytes_is_no_damage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = encoded(tmp_path / "clip.mp4", frames=400).read_bytes()
    far = SourceFile("far://", "clip.mp4", "far://clip.mp4", "video", len(data), 0)
    limits = [len(data)]

    class Expiring(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            if self.tell() > limits[0] and self.tell() < len(data) * 3 // 4:
                raise OSError("ExpiredToken")
            return super().read(size if size is None or size < 0 else min(size, 4096))

    there = SimpleNamespace(system=SimpleNamespace(open_input_file=lambda _: Expiring(data)))
    monkeypatch.setattr(video_access, "open_address", lambda _: there)
    clips = cut_video(far, 1.5)
    limits[0] = len(data) // 3
    with pytest.raises(VideoError, match="cannot be read") as cut:
        cut_video(far, 1.5)
    assert not isinstance(cut.value, DamagedError)
    for clip in (Clip((far,)), Clip((far,), end=clips[-1].start, frames=clips[-1].first_frame)):
        with pytest.raises(VideoError, match="cannot be read") as stopped:
            list(clip_frames(clip))
        assert not isinstance(stopped.value, DamagedError)
