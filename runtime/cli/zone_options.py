"""--zones, --events and --record-on of `segrt stream`."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from segrt.runtime.cli.options import grouped
from segrt.runtime.console.quantities import DURATION

if TYPE_CHECKING:
    from segrt.runtime.outputs.sink_options import SinkOptions
    from segrt.runtime.segmenter.calling import Segmenter
    from segrt.runtime.stream.sinks.sink import Sink
    from segrt.runtime.stream.zones_step import ZonesStep

_CLIPS = Path("clips")
_ROLL = 5.0  # seconds before and after


@dataclass(frozen=True)
class ZoneOptions:
    """What the command says of zones: their file and whether the page may replace it, where events and clips go."""

    zones: Path | None = None
    zones_edit: bool = False
    events: tuple[str, ...] = ()
    record_on: tuple[str, ...] = ()
    record_to: Path | None = None
    pre_roll: float | None = None
    post_roll: float | None = None


_OPTIONS = (
    click.option(
        "--zones",
        type=click.Path(path_type=Path, dir_okay=False),
        metavar="FILE",
        help="Count what is inside the zones and crosses the lines of this JSON file.",
    ),
    click.option(
        "--zones-edit",
        is_flag=True,
        help="Let zones that are drawn in the live page be saved into that file, by who has the page's token.",
    ),
    click.option(
        "--events",
        multiple=True,
        metavar="OUT",
        help="Where events of zones go, repeatable: FILE.jsonl, mqtt://HOST/TOPIC (on TOPIC/events) or "
        "http[s]://HOST/PATH (a webhook).",
    ),
    click.option(
        "--record-on",
        multiple=True,
        metavar="RULE",
        help="Keep a clip of the source while 'CLASS in ZONE', optionally 'for 3s', or when 'CLASS enters ZONE', "
        "'leaves ZONE' or 'crosses LINE'; repeatable.",
    ),
    click.option(
        "--record-to",
        type=click.Path(path_type=Path, file_okay=False),
        metavar="DIR",
        help="Where clips go; clips/.",
    ),
    click.option("--pre-roll", type=DURATION, metavar="TIME", help="What a clip has before; 5s."),
    click.option("--post-roll", type=DURATION, metavar="TIME", help="What a clip has after; 5s."),
)


def zone_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options; the command gets `zoning`, a `ZoneOptions`."""
    return grouped("zoning", ZoneOptions, *_OPTIONS)(command)


def zones_step(
    options: ZoneOptions, segmenter: "Segmenter", writing: "SinkOptions", *, tracked: bool
) -> "ZonesStep | None":
    """Return the step that does what the options say, None without --zones; `tracked` says whether --track is given.

    Raises SegrtError for what is not right in file and rules, and for rules that need tracks where there are none.
    """
    from segrt.runtime.errors import SegrtError
    from segrt.runtime.stream.clips.clip_keeper import ClipKeeper
    from segrt.runtime.stream.events.event_kinds import open_events
    from segrt.runtime.stream.zone_plans import PlanReader
    from segrt.runtime.stream.zone_saving import ZoneSaving
    from segrt.runtime.stream.zones_step import ZonesStep

    _refuse_idle(options)
    if options.zones is None:
        given = ("--events", options.events), ("--record-on", options.record_on), ("--zones-edit", options.zones_edit)
        for name, value in given:
            if value:
                raise SegrtError(f"{name}: there are no zones that it could speak of; add --zones FILE.json")
        return None
    followed = tracked or bool(segmenter.manifest.state)  # a network that carries a state tracks by itself
    reader = PlanReader(segmenter.manifest.labels, segmenter.technique, options.record_on, followed)
    saving = ZoneSaving(options.zones, reader) if options.zones_edit else None
    planned = reader.read_file(options.zones) if saving is None else saving.planned
    outputs = [open_events(spec, writing) for spec in options.events]
    clips = None
    if planned.recorded:
        before, after = (_ROLL if given is None else given for given in (options.pre_roll, options.post_roll))
        clips = ClipKeeper(options.record_to or _CLIPS, writing, before=before, after=after)
    return ZonesStep(planned.plan, outputs, recorded=planned.recorded, clips=clips, saving=saving)


def refuse_overwriting_zones(options: ZoneOptions, sinks: "Sequence[str | Sink]", metrics: Path | None) -> None:
    """Raise SegrtError for an output that would replace the file of zones."""
    from segrt.runtime.files.collisions import refuse_same
    from segrt.runtime.stream.events.event_kinds import event_files
    from segrt.runtime.stream.sinks.sink_kinds import files_of

    read = {"the file of zones": options.zones}
    refuse_same("--metrics", metrics, read)
    for spec in options.events:
        refuse_same("--events", event_files(spec).path, read)
    for sink in sinks:
        if isinstance(sink, str):
            refuse_same("sink", files_of(sink).path, read)


def _refuse_idle(options: ZoneOptions) -> None:
    """Raise SegrtError for what says how clips are kept where none are."""
    from segrt.runtime.errors import SegrtError

    given = ("--record-to", options.record_to), ("--pre-roll", options.pre_roll), ("--post-roll", options.post_roll)
    for name, value in given:
        if value is not None and not options.record_on:
            raise SegrtError(f"{name}: says how clips are kept, but none is; add --record-on RULE")
