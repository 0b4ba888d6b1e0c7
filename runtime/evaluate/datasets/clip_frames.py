"""What all layouts of clips have in common: ids of frames, their order and sizes."""

import re
from collections.abc import Sequence
from pathlib import Path

from segrt.runtime.errors import SegrtError
from segrt.runtime.evaluate.datasets.dataset import ClipSpan, ImageId
from segrt.runtime.files.images import MOST_PIXELS


def frame_id(video_id: ImageId, image_id: ImageId) -> str:
    """Return the id of a frame among those of all clips."""
    return f"{video_id}/{image_id}"


def below(video_id: ImageId, file_name: str) -> str:
    """Return a frame's file below the folder of all videos, whether or not its name has that of the video."""
    return file_name if file_name.startswith(f"{video_id}/") else f"{video_id}/{file_name}"


def check_order(source: Path | str, video: str, names: Sequence[str]) -> None:
    """Raise SegrtError when the frames of a clip are not in the order of the numbers in their names, or come twice."""
    keys = [_by_number(name) for name in names]
    for index in range(1, len(keys)):
        before, after = keys[index - 1], keys[index]
        if after <= before:
            raise SegrtError(
                f"{source}: video {video!r} has frame {names[index]!r} after {names[index - 1]!r}; list each frame "
                "once, in the order of time"
            )


def checked_spans(source: Path | str, spans: Sequence[ClipSpan]) -> tuple[ClipSpan, ...]:
    """Return the spans; raise SegrtError when there is none, one is empty, or two have one name."""
    names = [span.name for span in spans]
    twice = next((name for name in names if names.count(name) > 1), None)
    empty = next((span.name for span in spans if span.stop == span.start), None)
    if not spans or empty is not None:
        what = "holds no videos" if not spans else f"has no frames of video {empty!r}"
        raise SegrtError(f"{source} {what}; give a file with at least a frame of each")
    if twice is not None:
        raise SegrtError(f"{source} has video {twice!r} twice; each id must be unique")
    return tuple(spans)


def frame_size(path: Path, height: int, width: int) -> tuple[int, int] | None:
    """Return (height, width) as a file states it, None where it does not; raise SegrtError when it cannot be."""
    if height * width > MOST_PIXELS or min(height, width) < 0:
        raise SegrtError(f"{path} has frames {width} pixels wide and {height} high, at most {MOST_PIXELS:,} are read")
    return (height, width) if height and width else None


def _by_number(name: str) -> list[tuple[str, int]]:
    """Return a key by which names are in the order of the numbers in them: "f9" before "f10"."""
    parts = re.split(r"([0-9]{1,18})", name)
    return [(text, int(number)) for text, number in zip(parts[::2], [*parts[1::2], "0"], strict=True)]
