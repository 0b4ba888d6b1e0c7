"""GStreamer pipelines: CSI cameras, hardware decoders, and whatever else a pipeline can read.

GStreamer comes from the system with its Python bindings (python3-gi), never from a package index.
"""

import time
from typing import TYPE_CHECKING, Any, ClassVar, Protocol
from urllib.parse import urlsplit

import numpy as np

from segrt.runtime.errors import VideoError
from segrt.runtime.files.uri import redact, redact_error
from segrt.runtime.outputs.gstreamer_bindings import start
from segrt.runtime.stream.sources.live import Feed, LiveOptions, LiveSource, Shot
from segrt.runtime.stream.uri_options import EDGES, number, read_query, read_size, whole

if TYPE_CHECKING:
    from collections.abc import Callable

    from segrt.runtime.files.images import Picture
    from segrt.runtime.preprocess.cuda.device_picture import DevicePicture

_SINK = "appsink name=segrt max-buffers=2 drop=true sync=false"
_LAST_WORDS = 0.2  # seconds; a sink that has ended says so a little before its pipeline does


class GstreamerSource(LiveSource):
    """`gst:PIPELINE`, for instance `gst:videotestsrc is-live=true ! videoconvert ! appsink`.

    The pipeline may end in an appsink; what is missing (conversion to BGR, the appsink) is added.
    """

    forms: ClassVar = {"gst": "gst:PIPELINE"}

    @classmethod
    def why_not_on_gpu(cls) -> str | None:
        """See `Source`."""
        return _why_no_nvmm()

    def __init__(self, uri: str, source_id: str, options: LiveOptions | None = None) -> None:
        text = uri.partition(":")[2].strip().removeprefix("//").strip()
        if not text:
            raise VideoError("gst: names no pipeline; give gst:videotestsrc ! appsink")
        start(redact(uri))
        _open(self, source_id, lambda _: text, options)


class CsiSource(LiveSource):
    """`csi://0?width=1280&height=720&fps=30`: the camera on a Jetson's (or Raspberry Pi's) CSI connector."""

    forms: ClassVar = {"csi": "csi://0"}
    options: ClassVar = {**EDGES, "fps": number(1, 240)}

    @classmethod
    def why_not_on_gpu(cls) -> str | None:
        """See `Source`."""
        return _why_no_nvmm()

    def __init__(self, uri: str, source_id: str, options: LiveOptions | None = None) -> None:
        parts = urlsplit(uri)
        try:
            sensor = whole(0, 63)(parts.netloc)
        except ValueError:
            raise VideoError(f"{redact(uri)}: names no sensor; give csi://0") from None
        given = read_query(uri, self.options)
        gst = start(redact(uri))
        size, fps = read_size(uri, given) or (1280, 720), given.get("fps", 30)
        on_host, in_hardware = (csi_pipeline(gst, redact(uri), sensor, size, fps, nvmm=nvmm) for nvmm in (False, True))
        _open(self, source_id, lambda nvmm: in_hardware if nvmm else on_host, options)


def _why_no_nvmm() -> str | None:
    from segrt.runtime.stream.sources.nvmm import why_no_nvmm

    return why_no_nvmm()


def csi_pipeline(gst: Any, name: str, sensor: int, size: tuple[int, int], fps: float, *, nvmm: bool = False) -> str:
    """Return the pipeline of a CSI camera for the elements that this system has; with `nvmm` pictures stay in hardware.

    Raises VideoError, naming source `name`, without any.
    """
    shape = f"width={size[0]},height={size[1]},framerate={round(fps)}/1"
    if gst.ElementFactory.find("nvarguscamerasrc"):
        camera = f"nvarguscamerasrc sensor-id={sensor} ! video/x-raw(memory:NVMM),{shape}"
        return camera if nvmm else f"{camera} ! nvvidconv ! video/x-raw,format=BGRx"
    if gst.ElementFactory.find("libcamerasrc"):
        return f"libcamerasrc ! video/x-raw,{shape}"
    raise VideoError(f"{name}: this GStreamer has neither nvarguscamerasrc (JetPack) nor libcamerasrc; install one")


def _open(source: LiveSource, source_id: str, pipeline: "Callable[[bool], str]", options: LiveOptions | None) -> None:
    options = options or LiveOptions()

    def connect() -> Feed:
        nvmm = source.wanted_decoder == "cuda"  # never by itself: see `nvmm`
        pictures: PictureReader = BgrPictures()
        if nvmm:
            from segrt.runtime.stream.sources.nvmm import NvmmPictures

            pictures = NvmmPictures()
        return GstreamerFeed(pipeline(nvmm), options.read_timeout, pictures)

    LiveSource.__init__(source, source_id, connect, options=options)


class PictureReader(Protocol):
    """Makes pictures of what an appsink gives: `ending` is what comes before it, `format` that of its caps."""

    ending: str
    format: str

    def picture(self, data: Any, caps: Any) -> "Picture | DevicePicture":
        """Return the picture of a mapped buffer's `data`, whose caps' structure is `caps`."""

    def close(self) -> None:
        """Free what it holds."""


class BgrPictures:
    """BGR in the host's memory."""

    ending = "videoconvert ! video/x-raw,format=BGR"
    format = "BGR"

    def picture(self, data: Any, caps: Any) -> "Picture":
        """See `PictureReader`."""
        width, height = caps.get_value("width"), caps.get_value("height")
        stride = (width * 3 + 3) // 4 * 4
        rows = np.frombuffer(data, np.uint8)[: stride * height].reshape(height, stride)
        picture: Picture = rows[:, : width * 3].reshape(height, width, 3).copy()
        return picture

    def close(self) -> None:
        """Hold nothing."""


class GstreamerFeed(Feed):
    """Runs a pipeline and takes pictures from its appsink: BGR ones by default."""

    def __init__(self, pipeline: str, timeout: float, pictures: PictureReader | None = None) -> None:
        self._pictures = pictures or BgrPictures()
        self._gst = start(redact("gst:" + pipeline))
        self._timeout = timeout
        self._address = "gst:" + pipeline
        try:
            self._pipeline = self._gst.parse_launch(_with_sink(pipeline, self._pictures.ending))
        except Exception as error:  # GLib.Error, whose class comes with gi
            raise VideoError(f"is no GStreamer pipeline ({self._text(error)})") from None
        self._sink = self._find_sink()
        self._sink.set_property("max-buffers", 2)
        self._sink.set_property("drop", True)
        self._pipeline.set_state(self._gst.State.PLAYING)

    def read(self) -> Shot:
        """Return the next picture; raise VideoError after an error, the end, or nothing for the timeout."""
        sample = self._sink.try_pull_sample(int(self._timeout * self._gst.SECOND))
        if sample is None:
            raise VideoError(self._reason())
        arrived = time.monotonic()
        caps = sample.get_caps().get_structure(0)
        if caps.get_value("format") != self._pictures.format:
            raise VideoError(f"the appsink gives {caps.get_value('format')}; put '{self._pictures.ending}' before it")
        buffer = sample.get_buffer()
        mapped, info = buffer.map(self._gst.MapFlags.READ)
        if not mapped:
            raise VideoError("a picture cannot be read from the pipeline's memory")
        try:
            picture = self._pictures.picture(info.data, caps)
        finally:
            buffer.unmap(info)
        pts = None if buffer.pts == self._gst.CLOCK_TIME_NONE else buffer.pts / self._gst.SECOND
        return Shot(picture, pts, arrived)

    def close(self) -> None:
        """Stop the pipeline."""
        self._pipeline.set_state(self._gst.State.NULL)
        self._pictures.close()

    def _find_sink(self) -> Any:
        elements = self._pipeline.iterate_recurse()
        while True:
            state, element = elements.next()
            if state != self._gst.IteratorResult.OK:
                raise VideoError("the pipeline has no appsink; end it in '! appsink'")
            if element.get_factory() and element.get_factory().get_name() == "appsink":
                return element

    def _reason(self) -> str:
        types = self._gst.MessageType.ERROR | self._gst.MessageType.EOS
        wait = int(_LAST_WORDS * self._gst.SECOND)
        message = self._pipeline.get_bus().timed_pop_filtered(wait, types)
        if message is None:
            return f"nothing came for {self._timeout:g} s"
        if message.type == self._gst.MessageType.EOS:
            return "the stream has ended"
        return f"the pipeline failed ({self._text(message.parse_error()[0])})"

    def _text(self, error: Any) -> str:
        return redact_error(str(getattr(error, "message", error)), self._address)


def _with_sink(pipeline: str, ending: str) -> str:
    last = pipeline.rpartition("!")[2].split()
    if last and last[0] == "appsink":
        before = pipeline.rpartition("!")[0].rstrip().rstrip("!")
        return f"{before} ! {ending} ! {' '.join(last)}" if before else pipeline
    return f"{pipeline} ! {ending} ! {_SINK}"
