"""The kinds of outputs of events: suffix or scheme → class. Importing this loads none of them."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from segrt.runtime.errors import VideoError
from segrt.runtime.files.uri import redact, scheme_of
from segrt.runtime.outputs.sink_options import SinkOptions
from segrt.runtime.outputs.written_files import WrittenFiles
from segrt.runtime.registry import Registry

if TYPE_CHECKING:
    from segrt.runtime.stream.events.event_output import EventOutput

_ROOM = "segrt.runtime.stream.events"

# Each is called with the path (suffixes) or the URI (schemes), and SinkOptions.
EVENT_OUTPUTS: "Registry[type[EventOutput]]" = Registry(
    "output of events",
    {
        ".jsonl": f"{_ROOM}.event_lines:EventLines",
        "mqtt": f"{_ROOM}.event_messages:EventMessages",
        "mqtts": f"{_ROOM}.event_messages:EventMessages",
        "http": f"{_ROOM}.webhook:Webhook",
        "https": f"{_ROOM}.webhook:Webhook",
    },
)


def open_events(spec: str, options: SinkOptions | None = None) -> "EventOutput":
    """Open what `spec` names; raise SegrtError for an unknown kind and a place that cannot be written."""
    kind = _kind_of(spec)
    if kind not in EVENT_OUTPUTS:
        raise VideoError(f"--events {redact(spec) or repr(spec)}: is of no known kind; use {known_events()}")
    make: Any = EVENT_OUTPUTS.load(kind)
    output: EventOutput = make(spec if scheme_of(spec) else Path(spec), options)
    return output


def known_events() -> str:
    """Return how outputs are written, for errors and help."""
    forms: dict[str, str] = {}
    for name in EVENT_OUTPUTS:
        forms |= EVENT_OUTPUTS.load(name).forms
    items = [f"{form} ({note})" if note else form for form, note in forms.items()]
    return " or ".join([", ".join(items[:-1]), items[-1]])


def event_files(spec: str) -> WrittenFiles:
    """Return what the output `spec` writes; of an unknown kind, the file that it names."""
    kind = _kind_of(spec)
    if kind in EVENT_OUTPUTS:
        return EVENT_OUTPUTS.load(kind).files(spec)
    return WrittenFiles() if scheme_of(spec) else WrittenFiles(Path(spec))


def extras_of_events(specs: Iterable[str]) -> set[str]:
    """Return the extras of segrt that the outputs `specs` need."""
    kinds = {kind for spec in specs if (kind := _kind_of(spec)) in EVENT_OUTPUTS}
    return {needs.extra for kind in kinds if (needs := EVENT_OUTPUTS.load(kind).needs) is not None and needs.extra}


def _kind_of(spec: str) -> str:
    return scheme_of(spec) or Path(spec).suffix.lower()
