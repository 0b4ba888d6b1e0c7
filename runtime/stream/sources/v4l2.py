"""USB cameras and other Video4Linux devices."""

from fractions import Fraction
from typing import ClassVar
from urllib.parse import urlsplit

from segrt.runtime.errors import VideoError
from segrt.runtime.files.uri import redact
from segrt.runtime.stream.sources.live import Feed, LiveOptions, LiveSource
from segrt.runtime.stream.uri_options import EDGES, number, read_query, read_size, word


class V4l2Source(LiveSource):
    """The camera of `v4l2:///dev/video0?format=mjpeg&width=1280&height=720&rate=30`.

    It may also be named by its number or device, `0` or `/dev/video0`; a camera that is unplugged may return. `format`
    is FFmpeg's name (mjpeg, yuyv422, h264), `rate` frames per second; without them the driver chooses.
    """

    forms: ClassVar = {"v4l2": "v4l2:///dev/video0"}
    options: ClassVar = {"format": word, **EDGES, "rate": number(0.1, 1000)}

    def __init__(self, uri: str, source_id: str, options: LiveOptions | None = None) -> None:
        options = options or LiveOptions()
        parts = urlsplit(uri)
        if parts.netloc or not parts.path.startswith("/dev/"):
            raise VideoError(f"{redact(uri)}: names no device; give v4l2:///dev/video0")
        given = read_query(uri, self.options)
        chosen: dict[str, str] = {}
        if "format" in given:
            chosen["input_format"] = given["format"]
        size = read_size(uri, given)
        if size is not None:
            chosen["video_size"] = "{}x{}".format(*size)
        if "rate" in given:
            chosen["framerate"] = f"{given['rate']:g}"

        def connect() -> Feed:
            from segrt.runtime.stream.sources.packets import PacketFeed

            return PacketFeed(parts.path, demuxer="v4l2", timeout=options.read_timeout, options=chosen)

        rate = Fraction(given["rate"]).limit_denominator(1001) if "rate" in given else None
        super().__init__(source_id, connect, options=options, rate=rate)
