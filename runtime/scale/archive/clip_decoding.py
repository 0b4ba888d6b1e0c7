"""Decodes the frames of one clip: those that the whole file has there, with its numbers and times."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import av.error

from segrt.runtime.errors import VideoError
from segrt.runtime.files.images import Picture
from segrt.runtime.scale.archive.archive_clips import Clip, SourceFile
from segrt.runtime.scale.archive.video_access import open_video, unreadable
from segrt.runtime.stream.sources.cpu_decoder import Upright
from segrt.runtime.stream.sources.video_file import reason_of


@dataclass(frozen=True)
class ClipFrame:
    """A frame of a file: its number there, seconds (None where the file states none), uint8 BGR (H, W, 3)."""

    index: int
    pts: float | None
    image: Picture


class DamagedError(VideoError):
    """Some frames of a clip could not be decoded; those that could were yielded before."""


class _LateStartError(Exception):
    """The decoder gave no good frame at the clip's beginning: its key frame alone is not enough to begin with."""


def clip_frames(clip: Clip, every: int = 1) -> Iterator[ClipFrame]:
    """Yield the frames of a clip of a video, in the order of their times; of `every` so many that one by its number.

    Raises VideoError for a file that cannot be read, DamagedError after the last frame where some were damaged.
    """
    if clip.start is None and clip.end is None:
        yield from _whole(clip, every)
        return
    if clip.start is not None:
        try:
            yield from _part(clip, clip.start, every, strict=True)
            return
        except _LateStartError:
            pass
    yield from _part(clip, clip.before, every)


def _whole(clip: Clip, every: int) -> Iterator[ClipFrame]:
    """Yield all frames of a file, counted as they come."""
    (file,) = clip.files
    count, damage = 0, _Damage()
    with open_video(file) as (container, stream, missing):
        upright = Upright(stream)
        for picture in _decoded(file, container, stream, damage):
            if picture.is_corrupt:
                damage.corrupt += 1 if count else 0  # before the first good one: begun between two key frames
                continue
            if count % every == 0:
                yield ClipFrame(count, picture.time, upright.picture(picture))
            count += 1
    damage.check(clip, count, None, missing)


def _part(clip: Clip, begin: int | None, every: int, *, strict: bool = False) -> Iterator[ClipFrame]:
    """Yield the clip's frames, decoding from the key frame at `begin` (ticks), or from the file's beginning.

    Where the first frame is not the clip's, as after a damaged key frame, `strict` raises _LateStartError: frames of
    before may help, as they do when the whole file is decoded.
    """
    (file,) = clip.files
    count, damage, place = 0, _Damage(), clip.first_frame
    with open_video(file) as (container, stream, missing):
        upright = Upright(stream)
        for picture in _decoded(file, container, stream, damage, begin):
            if picture.pts is None or picture.is_corrupt:
                damage.corrupt += 1
                continue
            if clip.start is not None and picture.pts < clip.start:
                continue
            if clip.end is not None and picture.pts >= clip.end:
                break
            if strict and not count and picture.pts != clip.start:
                raise _LateStartError
            if place % every == 0:
                yield ClipFrame(place, picture.time, upright.picture(picture))
            count, place = count + 1, place + 1
        if strict and not count:
            raise _LateStartError
    damage.check(clip, count, clip.frames, missing if clip.end is None else 0)


@dataclass
class _Damage:
    """What went wrong with packets and frames of a clip."""

    corrupt: int = 0
    stopped: str = ""

    def check(self, clip: Clip, count: int, expected: int | None, missing: int) -> None:
        """Raise DamagedError, or VideoError where nothing could be decoded."""
        name = clip.files[0].name
        lost = self.corrupt if expected is None else max(0, expected - count)
        if self.stopped:
            raise _error(count, f"{name}: reading stopped after {count} frames ({self.stopped})")
        if missing:
            raise _error(count, f"{name}: ends early, {missing} bytes are missing: {count} frames could be read")
        if not count:
            raise VideoError(f"{name}: holds no frames that can be decoded; is it encrypted, or no video?")
        if lost:
            raise DamagedError(f"{name}: {lost} frames are damaged, {count} of these could be read")


def _error(count: int, text: str) -> VideoError:
    return (DamagedError if count else VideoError)(f"{text}; copy it again")


def _decoded(file: SourceFile, container: Any, stream: Any, damage: _Damage, begin: int | None = None) -> Iterator[Any]:
    """Yield what the decoder gives from the key frame at `begin` on; without one, from the file's beginning."""
    try:
        for packet in _packets_from(container, stream, begin):
            try:
                yield from packet.decode()
            except av.error.InvalidDataError:  # noqa: PERF203 (one packet's, others follow)
                damage.corrupt += 1
    except av.error.FFmpegError as error:
        damage.stopped = reason_of(error)
    except OSError as error:  # the file's place, not its bytes: another time it may all be there
        raise unreadable(file, error) from None


def _packets_from(container: Any, stream: Any, begin: int | None) -> Iterator[Any]:
    if begin is None:
        yield from container.demux(stream)
        return
    container.seek(begin, stream=stream, backward=True)
    packets = container.demux(stream)
    for packet in packets:
        if packet.pts == begin and packet.is_keyframe:
            yield packet
            yield from packets
            return
        if not packet.size or (packet.is_keyframe and packet.pts is not None and packet.pts > begin):
            break
    # The container's index led behind the key frame, or nowhere: look for it from the beginning.
    container.seek(0, backward=True)
    packets = container.demux(stream)
    for packet in packets:
        if packet.pts == begin and packet.is_keyframe:
            yield packet
            yield from packets
            return
