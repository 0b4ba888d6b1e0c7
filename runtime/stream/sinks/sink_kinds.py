"""Opens a sink by its name: suffix or scheme → class. A new kind of sink is one file and one line here."""

from os import PathLike, fspath
from pathlib import Path
from typing import Any

from segrt.runtime.errors import VideoError
from segrt.runtime.files.uri import redact, scheme_of
from segrt.runtime.outputs.sink_options import SinkOptions
from segrt.runtime.registry import Registry
from segrt.runtime.stream.sinks.sink import Sink

# Each is called with the path (suffixes, "folder") or URI (schemes), and SinkOptions.
SINKS: Registry[Any] = Registry(
    "sink",
    {
        ".mp4": "segrt.runtime.stream.sinks.mp4:Mp4Sink",
        ".jsonl": "segrt.runtime.stream.sinks.jsonl:JsonlSink",
        ".json": "segrt.runtime.stream.sinks.coco_panoptic:CocoPanopticSink",
        ".jpg": "segrt.runtime.stream.sinks.picture_files:PictureSink",
        ".jpeg": "segrt.runtime.stream.sinks.picture_files:PictureSink",
        ".png": "segrt.runtime.stream.sinks.picture_files:PictureSink",
        "http": "segrt.runtime.stream.sinks.live_page:PageSink",
        "mqtt": "segrt.runtime.stream.sinks.mqtt:MqttSink",
        "mqtts": "segrt.runtime.stream.sinks.mqtt:MqttSink",
        "folder": "segrt.runtime.stream.sinks.picture_files:PictureSink",
    },
)
KNOWN = "FILE.mp4, FILE.jsonl, FILE.json, DIR, DIR/%06d.png, http://HOST:PORT, mqtt://HOST/TOPIC or null"


def open_sink(spec: str | PathLike[str], options: SinkOptions | None = None) -> Sink:
    """Open the sink that `spec` names: `KNOWN`, or a registered scheme.

    Raises SegrtError for an unknown kind and for a place that cannot be written.
    """
    text = fspath(spec)
    if text == "null":
        from segrt.runtime.stream.sinks.null import NullSink

        return NullSink()
    scheme = scheme_of(text)
    if scheme is not None:
        if scheme not in SINKS or scheme == "folder":
            raise VideoError(f"sink {redact(text)}: scheme {scheme!r} is not known; use {KNOWN}")
        named: Sink = SINKS.load(scheme)(text, options)
        return named
    path = Path(text)
    kind = path.suffix.lower()
    if text.endswith("/") or path.is_dir() or not kind:
        kind = "folder"
    if not text or kind not in SINKS:
        raise VideoError(f"sink {text or repr(text)}: sinks of type {kind!r} are not known; use {KNOWN}")
    sink: Sink = SINKS.load(kind)(path, options)
    return sink
