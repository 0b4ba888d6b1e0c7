"""Cuts a video into clips at key frames, where that changes no frame: else the whole file is one clip.

A clip has the frames whose presentation times are from its key frame's to before the next clip's; those of a group that
are shown before their key frame (open groups: ISO/IEC 14496-15, "leading pictures") belong to the clip before.
"""

from array import array
from dataclasses import dataclass, field
from typing import Any

import av.error
import numpy as np
import numpy.typing as npt

from segrt.runtime.scale.archive.archive_clips import Clip, SourceFile
from segrt.runtime.scale.archive.key_frames import begins_anew
from segrt.runtime.scale.archive.video_access import open_video, unreadable

CUTTABLE = frozenset({"av1", "dnxhd", "h264", "hevc", "mjpeg", "mpeg2video", "mpeg4", "prores", "vp9"})
"""Codecs of which a packet is a frame, as their containers have them; VP8 for one has packets that are not shown."""
_LOOKED_AT = 48  # packets of the beginning whose frames must be as many, at the times that their packets state


@dataclass
class _Packets:
    """What a demuxer says of a stream: presentation times in ticks, where key frames are, what is not shown."""

    times: "array[int]" = field(default_factory=lambda: array("q"))
    keys: list[int] = field(default_factory=list)
    hidden: list[int] = field(default_factory=list)
    untimed: bool = False


def cut_video(file: SourceFile, seconds: float) -> list[Clip]:
    """Return the clips of a video, each of at least `seconds` where key frames allow it.

    Raises VideoError for a file that cannot be opened; of one that ends early there are clips as far as it goes.
    """
    try:
        return _cut(file, seconds)
    except OSError as error:  # the file's place, not its bytes: another time it may all be there
        raise unreadable(file, error) from None


def _cut(file: SourceFile, seconds: float) -> list[Clip]:
    whole = [Clip((file,))]
    with open_video(file) as (container, stream, _):
        codec, tick = stream.codec_context.name, stream.time_base
        if codec not in CUTTABLE or not tick:
            return whole
        duration = float(container.duration or 0) / 1_000_000
        if 0 < duration <= seconds or not _frames_are_packets(container, stream):
            return whole
    with open_video(file) as (container, stream, _):
        packets = _demuxed(container, stream)
    if packets.untimed or not packets.keys or packets.keys[0] != 0:
        return whole
    times = np.frombuffer(packets.times, np.int64) if packets.times else np.zeros(0, np.int64)
    shown = np.delete(times, packets.hidden)
    shown.sort()
    if not len(shown) or np.any(shown[1:] == shown[:-1]):
        return whole
    borders = _borders(times, packets.keys, seconds / float(tick))
    return _between(file, borders, shown, float(tick))


def _frames_are_packets(container: Any, stream: Any) -> bool:
    """Say whether the first packets give frames at just their times, one each."""
    expected, decoded = [], []
    try:
        for number, packet in enumerate(container.demux(stream)):
            if packet.size and not packet.is_discard:
                expected.append(packet.pts)
            decoded += [picture.pts for picture in packet.decode()]
            if number >= _LOOKED_AT:
                break
    except av.error.FFmpegError:
        return False
    if None in expected or None in decoded or not decoded:
        return False
    return decoded == sorted(expected)[: len(decoded)]


def _demuxed(container: Any, stream: Any) -> _Packets:
    packets = _Packets()
    codec, extradata = stream.codec_context.name, bytes(stream.codec_context.extradata or b"")
    try:
        for packet in container.demux(stream):
            if not packet.size:
                continue
            if packet.pts is None:
                packets.untimed = True
                break
            if packet.is_keyframe and begins_anew(codec, bytes(packet), extradata):
                packets.keys.append(len(packets.times))
            if packet.is_discard:
                packets.hidden.append(len(packets.times))
            packets.times.append(packet.pts)
    except av.error.FFmpegError:
        packets.untimed = True  # whoever decodes it says where it is damaged
    return packets


def _borders(times: npt.NDArray[np.int64], keys: list[int], ticks: float) -> list[int]:
    """Return the times of key frames to cut at: nothing shown later comes before them in the file."""
    latest = np.maximum.accumulate(times)
    borders = [int(times[0])]
    for key in keys[1:]:
        if times[key] >= borders[-1] + ticks and latest[key - 1] < times[key]:
            borders.append(int(times[key]))
    return borders


def _between(file: SourceFile, borders: list[int], shown: npt.NDArray[np.int64], tick: float) -> list[Clip]:
    """Return a clip from each border to the next, the first from the file's beginning and the last to its end."""
    places = [0, *np.searchsorted(shown, borders[1:]).tolist(), len(shown)]
    starts: list[int | None] = [None, *borders[1:]]
    ends: list[int | None] = [*borders[1:], None]
    clips = []
    for number, (start, end) in enumerate(zip(starts, ends, strict=True)):
        frames = places[number + 1] - places[number]
        before = borders[number - 1] if number else None
        seconds = (None if at is None else at * tick for at in (start, end))
        if frames:
            clips.append(Clip((file,), start, end, places[number], frames, before, *seconds))
    return clips
