"""What a deployment takes from the arguments of `segrt stream`: what they need of a device; passwords are refused."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

from segrt.runtime.errors import SegrtError
from segrt.runtime.files.uri import redact
from segrt.runtime.stream.events import event_kinds
from segrt.runtime.stream.sinks import sink_kinds
from segrt.runtime.stream.sources import source_kinds


def split_words(text: str) -> tuple[str, ...]:
    """Return the words of `--stream`, split as a shell does; raise SegrtError for a quote that is not closed."""
    try:
        return tuple(shlex.split(text))
    except ValueError as error:
        raise SegrtError(
            f"--stream: {text!r} cannot be split into words ({str(error).lower()}); close every quote"
        ) from None


@dataclass(frozen=True)
class StreamNeeds:
    """What a stream needs of a device: extras of segrt, and the folders (absolute) that its outputs are written to."""

    extras: frozenset[str] = frozenset()
    folders: tuple[str, ...] = ()


@dataclass(frozen=True)
class StreamWords:
    """What a stream's arguments name: sources, sinks, the file of metrics, outputs of events, the folder of clips.

    `track` says whether things are followed; `zones` is the file of zones where the live page may replace it.
    """

    sources: Sequence[str] = ()
    sinks: Sequence[str] = ()
    metrics: str | PathLike[str] | None = None
    events: Sequence[str] = ()
    clips: str | PathLike[str] | None = None
    track: bool = False
    zones: str | PathLike[str] | None = None

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> "StreamWords":
        """Return what the command's parameters name; of a stream that is not understood, some are missing."""
        sources, sinks, events = (given.get(name) or () for name in ("sources", "sinks", "events"))
        clips = given.get("record_to") if given.get("record_on") else None
        zones = given.get("zones") if given.get("zones_edit") else None
        return cls(sources, sinks, given.get("metrics"), events, clips, bool(given.get("track")), zones)


def needs_of(words: StreamWords) -> StreamNeeds:
    """Return what a stream with these sources and outputs needs, as their kinds declare."""
    extras = source_kinds.extras_of(words.sources) | sink_kinds.extras_of(words.sinks)
    extras |= {"track"} if words.track else set()
    return StreamNeeds(frozenset(extras | event_kinds.extras_of_events(words.events)), tuple(sorted(_folders(words))))


def refuse_relative_zones(path: str | PathLike[str] | None) -> None:
    """Raise SegrtError for a file of zones that is not named by where it lies on the device."""
    if path is not None and not Path(path).is_absolute() and "${" not in str(path):
        raise SegrtError(
            f"--zones {path}: is looked for on the device, which a pack does not bring it to; copy it there and give "
            f"its absolute path, /etc/segrt/{Path(path).name} for instance"
        )


def _folders(words: StreamWords) -> set[str]:
    """Return the folders of outputs, as far as their names are absolute; never the root of all."""
    folders = {Path(words.metrics).parent} if words.metrics else set[Path]()
    if words.clips:
        folders.add(Path(words.clips))
    if words.zones:
        folders.add(Path(words.zones).parent)
    for sink in words.sinks:
        written = sink_kinds.files_of(sink)
        files = written.files or ((written.path,) if written.path and not written.pictures else ())
        folders |= {file.parent for file in files}
        # A run after the first one writes beside the folder that was named.
        folders |= {folder for pictures in written.pictures for folder in (pictures.folder, pictures.folder.parent)}
    folders |= {path.parent for spec in words.events if (path := event_kinds.event_files(spec).path) is not None}
    return {str(path) for path in folders if path.is_absolute() and path != Path("/") and "${" not in str(path)}


def refuse_secrets(words: Sequence[str]) -> None:
    """Raise SegrtError for what may be a password in the arguments, which files on desk and device would show."""
    for word, before in zip(words, ["", *words], strict=False):
        _, equals, value = word.partition("=")
        given = value if word.startswith("--") and equals else word
        if redact(given) != given:
            raise SegrtError(
                f"{redact(given)}: holds a user or password, or an option that may be one, which does not belong into "
                "arguments; write ${NAME} in its place, and NAME=... into the service's environment file on the device"
            )
        if before == "--token" or word.startswith("--token="):
            raise SegrtError("--token: does not belong into arguments; write SEGRT_TOKEN=... into the environment file")
