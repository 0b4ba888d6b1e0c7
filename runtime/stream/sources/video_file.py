"""A video file as a source, decoded by PyAV."""

import time
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from stat import S_ISREG
from typing import TYPE_CHECKING, Any, ClassVar

import av
import av.error

from segrt.runtime.errors import VideoError
from segrt.runtime.files.reading import is_folder
from segrt.runtime.stream.frame import Frame, frame_of
from segrt.runtime.stream.sources.cpu_decoder import VideoDecoder
from segrt.runtime.stream.sources.file_extent import missing_bytes
from segrt.runtime.stream.sources.source import Source, SourceInfo
from segrt.runtime.stream.sources.video_decoder import open_decoder

if TYPE_CHECKING:
    from segrt.runtime.files.images import Picture
    from segrt.runtime.preprocess.cuda.device_picture import DevicePicture

NO_VIDEO_FORMATS = frozenset(("tty", "bin", "xbin", "adf", "idf"))
"""Demuxers that accept any text file, and show it as a film of letters."""


class VideoSource(Source):
    """The first proper video stream of the file at `path`.

    Frames keep their own times (`Frame.pts`, None where the file has none), so variable frame rates pass through.
    `threads` is the decoder's; one thread is fastest for what edge cameras record, larger pictures gain from more.
    """

    forms: ClassVar = {"video": "a video file"}

    @classmethod
    def why_not_on_gpu(cls) -> str | None:
        """See `Source`."""
        from segrt.runtime.stream.sources.gpu_decoder import why_no_gpu_decoder

        return why_no_gpu_decoder()

    def __init__(self, path: Path, source_id: str, *, threads: int = 1) -> None:
        self._path = path
        self._container = _open(path)
        try:
            self._stream = video_stream(self._container, path)
            self._threads = threads
            rate = self._stream.average_rate or self._stream.guessed_rate
            self.info = SourceInfo(
                source_id=source_id,
                rate=Fraction(rate) if rate else None,
                frames=self._stream.frames or None,
            )
        except BaseException:
            self._container.close()
            raise

    def frames(self) -> Iterator[Frame]:
        """Decode to the end.

        Raises VideoError after the last good frame of a file that is cut off, holds damaged frames or none at all.
        """
        count = damaged = 0
        decoder = self._decoder()
        if self.tap is not None:
            self.tap.begin(self._stream)
        try:
            for packet in self._container.demux(self._stream):
                if self.tap is not None and packet.size:
                    self.tap.packet(packet)
                try:
                    decoded = decoder.decode(packet)
                except av.error.InvalidDataError:
                    damaged += 1
                    continue
                for frame in decoded:
                    if frame.is_corrupt:
                        # Before the first good frame this is a recording that begins between two key frames.
                        damaged += 1 if count else 0
                        continue
                    picture = self._picture(decoder, frame)
                    yield frame_of(picture, count, frame.time, time.monotonic(), self.info.source_id)
                    count += 1
        except (av.error.FFmpegError, OSError) as error:
            raise VideoError(
                f"{self._path}: reading stopped after {count} frames ({reason_of(error)}); check the file and its disk"
            ) from error
        finally:
            decoder.close()
        self._check_end(count, damaged)

    def close(self) -> None:
        """Close the file."""
        self._container.close()

    def _decoder(self) -> VideoDecoder:
        try:
            return open_decoder(self._stream, self.wanted_decoder, self.info.source_id, threads=self._threads)
        except VideoError as error:
            raise VideoError(f"{self._path}: {error}") from None

    def _picture(self, decoder: VideoDecoder, frame: av.VideoFrame) -> "Picture | DevicePicture":
        try:
            return decoder.picture(frame)
        except VideoError as error:
            raise VideoError(f"{self._path}: {error}") from None

    def _check_end(self, count: int, damaged: int) -> None:
        path, of = self._path, f" of {self.info.frames}" if self.info.frames else ""
        if missing := missing_bytes(path):
            raise VideoError(
                f"{path}: ends early, {missing} bytes are missing: {count}{of} frames could be read; copy it again"
            )
        if count == 0:
            raise VideoError(f"{path}: holds no frames that can be decoded; give another video")
        if damaged:
            raise VideoError(
                f"{path}: {damaged} frames are damaged, {count}{of} could be read; copy or record it again"
            )


def _open(path: Path) -> "av.container.InputContainer":
    if is_folder(path):
        raise VideoError(f"{path}: is a folder, not a video; give the file")
    try:
        status = path.stat()
    except OSError as error:
        raise VideoError(f"{path}: cannot be opened ({error.strerror}); check the path") from None
    except ValueError:
        raise VideoError(f"{path}: cannot be opened (no file can have such a name); check the path") from None
    if not S_ISREG(status.st_mode):
        raise VideoError(f"{path}: is no regular file; give a video file")
    if status.st_size == 0:
        raise VideoError(f"{path}: is empty; give a video file")
    try:
        container = av.open(str(path), mode="r", metadata_errors="replace")
    except (av.error.FFmpegError, OSError) as error:
        if missing := missing_bytes(path):
            raise VideoError(
                f"{path}: ends early, {missing} bytes and with them its index are missing, so no frame can be read; "
                "copy it again"
            ) from None
        raise VideoError(f"{path}: cannot be opened as a video ({reason_of(error)}); give a video file") from None
    if container.format.name in NO_VIDEO_FORMATS:
        container.close()
        raise VideoError(f"{path}: is no video; give a video file")
    return container


def video_stream(container: "av.container.InputContainer", path: Path | str) -> Any:
    """Return the first stream that moves: a cover picture is not a video; raise VideoError, naming `path`, for none."""
    streams = [stream for stream in container.streams.video if not _is_cover(stream)]
    if not streams:
        # Not stream.type: PyAV 14 crashes on a stream of unknown type.
        others = ", ".join(kind for kind in ("audio", "subtitles") if getattr(container.streams, kind)) or "none of use"
        raise VideoError(f"{path}: has no video stream (what it holds: {others}); give a file with video")
    if streams[0].codec_context is None:
        raise VideoError(f"{path}: its video codec is not known to this PyAV; convert it to H.264")
    return streams[0]


def _is_cover(stream: Any) -> bool:
    disposition = getattr(stream, "disposition", None)
    flag = getattr(type(disposition), "attached_pic", None)
    return bool(disposition is not None and flag is not None and disposition & flag)


def reason_of(error: BaseException) -> str:
    """Return what FFmpeg or the system says was wrong, without the address it was wrong with."""
    return str(getattr(error, "strerror", None) or error)
