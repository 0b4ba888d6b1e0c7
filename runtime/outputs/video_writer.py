"""Writes uint8 BGR pictures at given times into an H.264 mp4 that is playable at every moment.

While it grows the file is fragmented, a fragment a frame, each flushed to the system, so a killed process leaves
everything but the few frames inside the encoder (`lookahead`). When it is closed, libavformat (7.1 and newer,
"hybrid_fragmented") turns it in place into a plain mp4 with one index at its end, which every player can seek in and
whose frames can be counted without reading them. The index is not moved to the front ("faststart"): that would copy
the whole file, and a server that knows ranges lets browsers play it as it is.
"""

from contextlib import suppress
from fractions import Fraction
from pathlib import Path

import av
import av.error
import cv2
import numpy as np

from segrt.runtime.errors import VideoError
from segrt.runtime.files.images import Picture
from segrt.runtime.files.swscale import one_thread
from segrt.runtime.outputs.output_files import failed_write
from segrt.runtime.outputs.place import Anchor, delete_empty

TICKS = 90_000
"""Ticks a second: whole for all common rates, 30000/1001 included; the clock of MPEG's transport streams."""
LOOKAHEAD = 5  # frames; no B-frames: a frame leaves the encoder 5 frames later, and files stay as small
_LONGEST_SIDE = 16_384  # of x264
_KEY_SECONDS = 2  # from key frame to key frame, what a seek has to decode
_HYBRID_SINCE = (61, 7)
_HEAD_BYTES = 4096  # more than what libavformat goes back to when it closes a file
_LOWEST_RATE, _HIGHEST_RATE = Fraction(1, 60), 1000  # what containers state beyond is a mistake


class Mp4Writer:
    """Encodes H.264 (yuv420p) with libx264; `rate` is the nominal frames per second (None: 25).

    The first picture sets the size; an odd side gains a repeated line, and a picture of another size is fitted in,
    with black around it. `crf` is x264's quality (lower is better), `preset` its effort, `threads` its threads,
    `lookahead` how many frames it holds back to spend bits better. A failure leaves no file without a frame in it.
    """

    def __init__(
        self,
        path: Path,
        *,
        rate: Fraction | None = None,
        crf: int = 20,
        preset: str = "veryfast",
        threads: int = 1,
        lookahead: int = LOOKAHEAD,
    ) -> None:
        self._path = path
        self._rate = rate if rate and _LOWEST_RATE <= rate <= _HIGHEST_RATE else Fraction(25)
        self._options = {
            "crf": str(crf),
            "preset": preset,
            "bf": "0",
            "rc-lookahead": str(lookahead),
        }
        if not lookahead:
            self._options["tune"] = "zerolatency"
        self._threads = threads
        self._container: av.container.OutputContainer | None = None
        self._stream: av.VideoStream | None = None
        self._clock = Clock(self._rate)
        self._anchor: Anchor | None = None
        self._frames = 0
        self._whole = 0  # bytes that end with a whole fragment
        self._before_fragments = 0  # bytes
        self._head = b""

    def write(self, picture: Picture, pts: float | None) -> None:
        """Encode `picture`, uint8 BGR (H, W, 3), shown from `pts` seconds on (None: one nominal frame after the last).

        Raises VideoError when the file cannot be written or was deleted or replaced; what is in it stays playable.
        """
        try:
            if self._container is None:
                self._start(picture.shape[0], picture.shape[1])
            else:
                self._check_place()
            assert self._stream is not None
            picture = _fit(picture, self._stream.height, self._stream.width)
            frame = av.VideoFrame.from_ndarray(picture, format="bgr24")
            frame = frame.reformat(
                format="yuv420p", dst_colorspace=self._matrix, dst_color_range="MPEG", **one_thread()
            )
            frame.pts = self._clock.ticks(pts)
            frame.time_base = Fraction(1, TICKS)
            self._mux(frame)
            self._frames += 1
        except (av.error.FFmpegError, OSError) as error:
            raise self._failed(error) from error
        except BaseException:
            self._salvage()
            raise

    def close(self) -> None:
        """Write what the encoder still holds, and the index. Without a frame there is no file."""
        if self._container is None:
            return
        try:
            self._mux(None)
            self._container.close()
            self._container = None
            self._check_place()
        except (av.error.FFmpegError, OSError) as error:
            raise self._failed(error) from error
        except BaseException:
            self._salvage()
            raise
        finally:
            self._let_go()

    def _start(self, height: int, width: int) -> None:
        if max(height, width) > _LONGEST_SIDE:
            raise VideoError(
                f"{self._path}: pictures of {width}x{height} are too large for H.264, whose sides are {_LONGEST_SIDE} "
                "pixels at most; write pictures, with a folder in place of the video"
            )
        try:
            av.codec.Codec("libx264", "w")
        except av.codec.codec.UnknownCodecError:
            raise VideoError(
                f"{self._path}: this PyAV has no libx264 to write H.264 with; install PyAV from PyPI (pip install av)"
            ) from None
        self._path.open("wb").close()  # libavformat opens the file with the first packet; from here on it is ours
        self._anchor = Anchor(self._path)
        self._container = av.open(str(self._path), "w", options=mp4_options())
        # Untagged video is taken for BT.601 below 720 lines and for BT.709 from there on; so even a player that
        # ignores the tags shows the right colours.
        self._matrix, tag = ("ITU709", "bt709") if height >= 720 else ("ITU601", "smpte170m")
        colours = {"colorspace": tag, "color_primaries": tag, "color_trc": tag, "color_range": "tv"}
        stream = self._container.add_stream("libx264", rate=self._rate, options={**self._options, **colours})
        stream.height, stream.width = height + height % 2, width + width % 2
        stream.pix_fmt = "yuv420p"
        stream.thread_count = self._threads
        stream.gop_size = max(1, round(self._rate * _KEY_SECONDS))
        stream.codec_context.time_base = Fraction(1, TICKS)
        self._stream = stream

    def _mux(self, frame: av.VideoFrame | None) -> None:
        assert self._stream is not None
        assert self._container is not None
        for packet in self._stream.encode(frame):
            if not packet.duration:
                packet.duration = self._clock.period
            self._container.mux(packet)
            self._whole = self._path.stat().st_size
            if not self._head:
                self._before_fragments = self._whole
                with self._path.open("rb") as file:
                    self._head = file.read(_HEAD_BYTES)

    @property
    def _written(self) -> str:
        return f"{self._frames} frames were encoded"

    def _failed(self, error: BaseException) -> VideoError:
        """Save what can be saved; return the error of a failed write."""
        try:
            if self._anchor is not None:
                self._anchor.check(self._written)
        except VideoError as gone:  # the reason, whatever libavformat makes of it
            return gone
        finally:
            self._salvage()
        return failed_write(self._path, error, self._written)

    def _check_place(self) -> None:
        assert self._anchor is not None
        self._anchor.check(self._written)

    def _salvage(self) -> None:
        """After a failed write: cut off the fragment that was not finished and undo what closing did to the head.

        A file that was moved away is finished where it is now.
        """
        container, self._container = self._container, None
        if container is not None:
            with suppress(av.error.FFmpegError, OSError):  # the disk is still full: the index cannot be written
                container.close()
        if self._anchor is None or not self._anchor.stands():
            self._let_go()
            return
        self._let_go()
        with suppress(OSError):
            if self._whole <= self._before_fragments and b"moof" not in self._head:
                delete_empty(self._path)
                return
            with self._path.open("r+b") as file:
                file.write(self._head)
                file.truncate(self._whole)

    def _let_go(self) -> None:
        if self._anchor is not None:
            self._anchor.release()


def mp4_options() -> dict[str, str]:
    """Return libavformat's options for an mp4 that is playable at every moment (see this module)."""
    flags = "frag_every_frame+empty_moov+default_base_moof"
    if av.library_versions["libavformat"][:2] >= _HYBRID_SINCE:
        flags += "+hybrid_fragmented"
    return {"movflags": flags, "flush_packets": "1"}


class Clock:
    """Turns presentation times into strictly rising ticks that begin at 0."""

    def __init__(self, rate: Fraction) -> None:
        self.period = max(1, round(TICKS / rate))
        self._offset: int | None = None
        self._last: int | None = None

    def ticks(self, pts: float | None) -> int:
        """Return the ticks of `pts` seconds; a missing time, or one that runs backwards, follows one period later."""
        following = 0 if self._last is None else self._last + self.period
        if pts is None:
            ticks = following
        else:
            stated = round(pts * TICKS)
            if self._offset is None or (self._last is not None and stated + self._offset <= self._last):
                self._offset = following - stated
            ticks = stated + self._offset
        self._last = ticks
        return ticks


def _fit(picture: Picture, height: int, width: int) -> Picture:
    rows, columns = picture.shape[:2]
    if (rows, columns) == (height, width):
        return np.ascontiguousarray(picture)
    if height - rows in (0, 1) and width - columns in (0, 1):
        return np.asarray(
            cv2.copyMakeBorder(picture, 0, height - rows, 0, width - columns, cv2.BORDER_REPLICATE), dtype=np.uint8
        )
    scale = min(height / rows, width / columns)
    new_rows, new_columns = max(1, round(rows * scale)), max(1, round(columns * scale))
    canvas = np.zeros((height, width, 3), dtype=np.uint8)
    top, left = (height - new_rows) // 2, (width - new_columns) // 2
    canvas[top : top + new_rows, left : left + new_columns] = cv2.resize(
        picture, (new_columns, new_rows), interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    )
    return canvas
