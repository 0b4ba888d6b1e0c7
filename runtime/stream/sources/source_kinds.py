"""The kinds of sources: scheme → class, and what the classes say of themselves.

Importing this loads none of them.
"""

import re
from collections.abc import Iterable
from os import PathLike, fspath
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from segrt.runtime.errors import VideoError
from segrt.runtime.files.uri import redact, scheme_of
from segrt.runtime.registry import Registry
from segrt.runtime.stream.sources.source import Source

if TYPE_CHECKING:
    from segrt.runtime.stream.sources.live import LiveOptions

_ROOM = "segrt.runtime.stream.sources"
_FILES = ("video", "images")  # what a path without a scheme may be

# A class is called with (uri, source_id, LiveOptions); "video" and "images" with (path, source_id).
SOURCES: Registry[type[Source]] = Registry(
    "source",
    {
        "video": f"{_ROOM}.video_file:VideoSource",
        "images": f"{_ROOM}.image_files:ImageSource",
        "rtsp": f"{_ROOM}.network_camera:NetworkSource",
        "rtsps": f"{_ROOM}.network_camera:NetworkSource",
        "http": f"{_ROOM}.network_camera:NetworkSource",
        "https": f"{_ROOM}.network_camera:NetworkSource",
        "v4l2": f"{_ROOM}.v4l2:V4l2Source",
        "csi": f"{_ROOM}.gstreamer:CsiSource",
        "gst": f"{_ROOM}.gstreamer:GstreamerSource",
        "street": f"{_ROOM}.street_camera:StreetSource",
    },
)
_NUMBER = re.compile("[0-9]{1,2}")
_DEVICE = re.compile("/dev/video[0-9]{1,3}")
AnySource = str | PathLike[str] | Source


def open_source(uri: str | PathLike[str], source_id: str | None = None, options: "LiveOptions | None" = None) -> Source:
    """Open a video file, a picture, a folder of pictures, or what a registered scheme names.

    Raises VideoError or ImageError, naming the source and the remedy.
    """
    text = _camera_or(fspath(uri))
    name = source_id or redact(text)
    path = _path_of(text)
    kind = kind_of(text)
    if kind not in SOURCES:
        raise VideoError(f"{redact(text)}: sources of scheme {scheme_of(text)!r} are not known; use {known_sources()}")
    if path is not None and redact(text) != text and not path.exists():
        raise VideoError(f"{redact(text)}: is no file; an address begins with its scheme, as rtsp:// does")
    make: Any = SOURCES.load(kind)
    source: Source = make(text, name, options) if path is None else make(path, name)
    return source


def open_sources(sources: AnySource | Iterable[AnySource], options: "LiveOptions | None" = None) -> list[Source]:
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
                source = open_source(source, _unique(redact(_camera_or(fspath(source))), taken), options)
                taken.add(source.info.source_id)
            opened.append(source)
    except BaseException:
        for source in opened:
            source.close()
        raise
    return opened


def kind_of(spec: str) -> str:
    """Return the name in `SOURCES` of the kind that `spec` is of; one that is not in it for an unknown scheme."""
    spec = _camera_or(spec)
    path = _path_of(spec)
    if path is None:
        scheme = str(scheme_of(spec))
        return f"{scheme}://" if scheme in _FILES else scheme
    # With numpy, which whoever asks only for the table can do without.
    from segrt.runtime.files.images import SUFFIXES
    from segrt.runtime.files.rasters import ARRAYS

    return "images" if path.is_dir() or path.suffix.lower() in SUFFIXES | ARRAYS else "video"


def known_sources() -> str:
    """Return the schemes for errors: "rtsp, … and street, or a file or folder"."""
    schemes = list(_examples())
    return f"{', '.join(schemes[:-1])} and {schemes[-1]}, or a file or folder"


def sources_for_help() -> str:
    """Return how sources are written, for the help: "a video file, …, or live: rtsp://..., …"."""
    files = [text for name in _FILES for text in SOURCES.load(name).forms.values()]
    return f"{', '.join(files)}, or live: {', '.join(filter(None, _examples().values()))}"


def files_of(spec: str) -> tuple[Path, ...]:
    """Return the files and folders that the source `spec` reads; none of an unknown kind."""
    kind = kind_of(spec)
    path = _path_of(_camera_or(spec))
    return SOURCES.load(kind).files(spec if path is None else str(path)) if kind in SOURCES else ()


def extras_of(specs: Iterable[str]) -> set[str]:
    """Return the extras of segrt that the sources `specs` need."""
    kinds = {kind for spec in specs if (kind := kind_of(spec)) in SOURCES}
    return {needs.extra for kind in kinds if (needs := SOURCES.load(kind).needs) is not None and needs.extra}


def _camera_or(spec: str) -> str:
    """Return the address of a USB camera that is named by its number or device, 0 or /dev/video0; else `spec`."""
    if _DEVICE.fullmatch(spec):
        return f"v4l2://{spec}"
    return f"v4l2:///dev/video{spec}" if _NUMBER.fullmatch(spec) and not Path(spec).exists() else spec


def _path_of(spec: str) -> Path | None:
    """Return the path that `spec` names, itself or as file://, or None for another scheme."""
    scheme = scheme_of(spec)
    if scheme == "file":
        return Path(unquote(urlsplit(spec).path))
    return Path(spec) if scheme is None else None


def _examples() -> dict[str, str]:
    """Return the schemes that are worth naming → an example, "" where another scheme's serves."""
    examples: dict[str, str] = {}
    for name in SOURCES:
        forms = SOURCES.load(name).forms or {name: f"{name}://..."}
        if name in forms and name not in _FILES:
            examples[name] = forms[name]
    return examples


def _unique(name: str, taken: set[str]) -> str:
    candidate, number = name, 2
    while candidate in taken:
        candidate, number = f"{name}#{number}", number + 1
    return candidate
