"""Opens a source by its URI: scheme → class. A new kind of source is one file and one line here."""

from collections.abc import Iterable
from os import PathLike, fspath
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from segrt.runtime.errors import VideoError
from segrt.runtime.files.images import SUFFIXES
from segrt.runtime.files.uri import redact, scheme_of
from segrt.runtime.registry import Registry
from segrt.runtime.stream.sources.live import LiveOptions
from segrt.runtime.stream.sources.source import Source

# A class is called with (uri, source_id, LiveOptions); "images" and "video" with (path, source_id).
SOURCES: Registry[Any] = Registry(
    "source",
    {
        "images": "segrt.runtime.stream.sources.image_files:ImageSource",
        "video": "segrt.runtime.stream.sources.video_file:VideoSource",
        "street": "segrt.runtime.stream.sources.street_camera:StreetSource",
        "rtsp": "segrt.runtime.stream.sources.network_camera:NetworkSource",
        "rtsps": "segrt.runtime.stream.sources.network_camera:NetworkSource",
        "http": "segrt.runtime.stream.sources.network_camera:NetworkSource",
        "https": "segrt.runtime.stream.sources.network_camera:NetworkSource",
        "v4l2": "segrt.runtime.stream.sources.v4l2:V4l2Source",
        "csi": "segrt.runtime.stream.sources.gstreamer:CsiSource",
        "gst": "segrt.runtime.stream.sources.gstreamer:GstreamerSource",
    },
)
AnySource = str | PathLike[str] | Source


KNOWN = "rtsp, http, https, v4l2, csi, gst and street, or a file or folder"


def open_source(uri: str | PathLike[str], source_id: str | None = None, options: LiveOptions | None = None) -> Source:
    """Open a video file, a picture, a folder of pictures, or what a registered scheme names.

    Raises VideoError or ImageError, naming the source and the remedy.
    """
    text = fspath(uri)
    name = source_id or redact(text)
    scheme = scheme_of(text)
    if scheme == "file":
        text, scheme = unquote(urlsplit(text).path), None
    if scheme is not None:
        if scheme not in SOURCES or scheme in ("images", "video"):
            raise VideoError(f"{redact(text)}: sources of scheme {scheme!r} are not known; use {KNOWN}")
        opened: Source = SOURCES.load(scheme)(text, name, options)
        return opened
    path = Path(text)
    kind = "images" if path.is_dir() or path.suffix.lower() in SUFFIXES else "video"
    source: Source = SOURCES.load(kind)(path, name)
    return source


def open_sources(sources: AnySource | Iterable[AnySource], options: LiveOptions | None = None) -> list[Source]:
    """Open one or several sources, giving each an id of its own; sources that are open already are taken as they are.

    Raises VideoError or ImageError; then none is left open.
    """
    several = [sources] if isinstance(sources, (str, PathLike, Source)) else list(sources)
    if not several:
        raise VideoError("no source was given; name at least one video, picture or folder")
    opened: list[Source] = []
    ids = [source.info.source_id for source in several if isinstance(source, Source)]
    taken = set(ids)
    if len(taken) < len(ids):
        raise VideoError(f"sources must have ids of their own, but got {ids}")
    try:
        for source in several:
            if not isinstance(source, Source):
                source = open_source(source, _unique(redact(fspath(source)), taken), options)
                taken.add(source.info.source_id)
            opened.append(source)
    except BaseException:
        for source in opened:
            source.close()
        raise
    return opened


def _unique(name: str, taken: set[str]) -> str:
    candidate, number = name, 2
    while candidate in taken:
        candidate, number = f"{name}#{number}", number + 1
    return candidate
