"""Opens a video wherever it lies, for demuxing and decoding."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

import av
import av.error

from segrt.runtime.errors import VideoError
from segrt.runtime.files.reading import open_regular
from segrt.runtime.scale.archive.archive_clips import SourceFile
from segrt.runtime.scale.archive.file_systems import open_address, reason_of_arrow
from segrt.runtime.stream.sources.file_extent import missing_bytes_of
from segrt.runtime.stream.sources.video_file import NO_VIDEO_FORMATS, reason_of, video_stream


@contextmanager
def open_file(file: SourceFile) -> Iterator[BinaryIO]:
    """Yield a file open for reading from anywhere in it; raise SegrtError for one that cannot be read."""
    try:
        opened: Any = (
            open_address(file.root).system.open_input_file(file.path) if file.root else open_regular(Path(file.path))
        )
    except OSError as error:
        raise unreadable(file, error) from None
    with opened:
        yield opened


def unreadable(file: SourceFile, error: OSError) -> VideoError:
    """Return what is said of a file that its disk or address did not give, or stopped giving."""
    text = error.strerror if not file.root and error.strerror else reason_of_arrow(error, file.root)
    return VideoError(f"{file.name}: cannot be read ({text}); check it and its permissions")


@contextmanager
def open_video(file: SourceFile) -> Iterator[tuple[Any, Any, int]]:
    """Yield the container, its first proper video stream and how many bytes the file lacks by its own account.

    Raises VideoError for what cannot be opened as a video; the line names the file.
    """
    with open_file(file) as opened:
        size, missing = opened.seek(0, 2), 0
        if not size:
            raise VideoError(f"{file.name}: is empty; give a video file")
        try:
            missing = missing_bytes_of(opened, size)
            opened.seek(0)
            container = av.open(opened if file.root else file.path, mode="r", metadata_errors="replace")
        except (av.error.FFmpegError, OSError) as error:
            why = f"ends early, {missing} bytes are missing" if missing else reason_of(error)
            raise VideoError(f"{file.name}: cannot be opened as a video ({why}); copy it again") from None
        try:
            if container.format.name in NO_VIDEO_FORMATS:
                raise VideoError(f"{file.name}: is no video; give a video file")
            stream = video_stream(container, file.name)
            stream.thread_type, stream.thread_count = "AUTO", 1
            yield container, stream, missing
        finally:
            with suppress(av.error.FFmpegError, OSError):
                container.close()
