"""Reads a video to its end, or as far as it goes."""

from segrt.runtime.errors import VideoError
from segrt.runtime.stream.sources.source_kinds import open_source


def read(path):
    """Return all frames and the error that ended the source, or None."""
    source = open_source(path)
    frames, error = [], None
    try:
        for frame in source.frames():
            frames.append(frame)  # noqa: PERF402
    except VideoError as caught:
        error = caught
    source.close()
    return frames, error
