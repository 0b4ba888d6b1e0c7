"""The kinds of sinks: suffix or scheme → class, and what the classes say of themselves.

Importing this loads none of them.
"""

from collections.abc import Iterable, Sequence
from os import PathLike, fspath
from pathlib import Path
from typing import TYPE_CHECKING, Any

from segrt.runtime.errors import VideoError
from segrt.runtime.files.uri import redact, scheme_of
from segrt.runtime.outputs.sink_options import SinkOptions
from segrt.runtime.outputs.written_files import WrittenFiles
from segrt.runtime.registry import Registry

if TYPE_CHECKING:
    from segrt.runtime.stream.sinks.sink import Sink

_ROOM = "segrt.runtime.stream.sinks"
_NOT_SCHEMES = ("folder", "null")

# Each is called with the path (suffixes, "folder"), the URI (schemes) or "null", and SinkOptions.
SINKS: "Registry[type[Sink]]" = Registry(
    "sink",
    {
        ".mp4": f"{_ROOM}.mp4:Mp4Sink",
        ".jsonl": f"{_ROOM}.jsonl:JsonlSink",
        ".json": f"{_ROOM}.panoptic_dataset:CocoPanopticSink",
        "folder": f"{_ROOM}.picture_files:PictureSink",
        ".jpg": f"{_ROOM}.picture_files:PictureSink",
        ".jpeg": f"{_ROOM}.picture_files:PictureSink",
        ".png": f"{_ROOM}.picture_files:PictureSink",
        ".m3u8": f"{_ROOM}.leaving.hls_folder:HlsSink",
        "http": f"{_ROOM}.live_page:PageSink",
        "mqtt": f"{_ROOM}.mqtt:MqttSink",
        "mqtts": f"{_ROOM}.mqtt:MqttSink",
        "rtsp": f"{_ROOM}.leaving.network_sinks:RtspSink",
        "rtsps": f"{_ROOM}.leaving.network_sinks:RtspsSink",
        "rtmp": f"{_ROOM}.leaving.network_sinks:RtmpSink",
        "rtmps": f"{_ROOM}.leaving.network_sinks:RtmpSink",
        "srt": f"{_ROOM}.leaving.network_sinks:SrtSink",
        "null": f"{_ROOM}.null:NullSink",
    },
)


def open_sink(spec: str | PathLike[str], options: SinkOptions | None = None) -> "Sink":
    """Open the sink that `spec` names: one of `known_sinks`.

    Raises SegrtError for an unknown kind and for a place that cannot be written.
    """
    text = fspath(spec)
    kind = kind_of(text)
    is_uri = scheme_of(text) is not None
    if not text or kind not in SINKS:
        if is_uri:
            raise VideoError(f"sink {redact(text)}: scheme {scheme_of(text)!r} is not known; use {known_sinks()}")
        raise VideoError(
            f"sink {redact(text) or repr(text)}: sinks of type {kind!r} are not known; use {known_sinks()}"
        )
    make: Any = SINKS.load(kind)
    sink: Sink = make(text if is_uri or kind == "null" else Path(text), options)
    return sink


def kind_of(spec: str) -> str:
    """Return the name in `SINKS` of the kind that `spec` is of; one that is not in it for an unknown kind."""
    scheme = scheme_of(spec)
    if scheme is not None:
        return f"{scheme}://" if scheme in _NOT_SCHEMES else scheme
    if spec == "null":
        return spec
    path = Path(spec)
    return "folder" if spec.endswith("/") or path.is_dir() or not path.suffix else path.suffix.lower()


def known_sinks() -> str:
    """Return how sinks are written, for errors: "FILE.mp4, … or null"."""
    return _listed(list(_forms()))


def sinks_for_help() -> str:
    """Return how sinks are written, with what the help adds in brackets."""
    return _listed([f"{form} ({note})" if note else form for form, note in _forms().items()])


def files_of(spec: str, source_ids: Sequence[str] = ("",)) -> WrittenFiles:
    """Return what the sink `spec` writes for these sources; of an unknown kind, the file that it names."""
    kind = kind_of(spec)
    if kind in SINKS:
        return SINKS.load(kind).files(spec, source_ids)
    return WrittenFiles() if scheme_of(spec) else WrittenFiles(Path(spec))


def extras_of(specs: Iterable[str]) -> set[str]:
    """Return the extras of segrt that the sinks `specs` need."""
    kinds = {kind for spec in specs if (kind := kind_of(spec)) in SINKS}
    return {needs.extra for kind in kinds if (needs := SINKS.load(kind).needs) is not None and needs.extra}


def _forms() -> dict[str, str]:
    """Return how each kind is written → what the help says of it, "" for nothing."""
    forms: dict[str, str] = {}
    for name in SINKS:
        forms |= SINKS.load(name).forms or {f"FILE{name}" if name.startswith(".") else f"{name}://...": ""}
    return forms


def _listed(items: list[str]) -> str:
    return " or ".join([", ".join(items[:-1]), items[-1]])
