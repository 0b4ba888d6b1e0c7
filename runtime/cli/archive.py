"""`segrt archive`: whole archives through a bundle, by several workers, into Parquet."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from segrt.runtime.cli.options import execution_options, grouped, rule_options
from segrt.runtime.console.interruptions import Interruptions, exit_code_of
from segrt.runtime.console.printable import say
from segrt.runtime.console.progress import Bars
from segrt.runtime.console.quantities import DURATION, FiniteRange
from segrt.runtime.console.words import counted

if TYPE_CHECKING:
    from segrt.runtime.decode.rule_changes import RuleChanges
    from segrt.runtime.inference.execution import Execution
    from segrt.runtime.scale.archive.archive_command import Archived
    from segrt.runtime.scale.archive.archiving import ArchiveTotals

_SAID_SECONDS = 10.0


@dataclass(frozen=True)
class CrewOptions:
    """How many workers, where, and what of a GPU each has."""

    workers: int | None
    address: str | None
    gpus_per_worker: float


crew_options = grouped(
    "crew",
    CrewOptions,
    click.option(
        "--workers",
        type=click.IntRange(1, 4096),
        metavar="N",
        help="Processes, or actors of the cluster: 1 by default, or as many as the cluster has room for.",
    ),
    click.option(
        "--address",
        metavar="ADDRESS",
        help="Work on a Ray cluster: local begins one here, auto joins the one that runs here, else HOST:PORT or "
        "ray://HOST:PORT.",
    ),
    click.option(
        "--gpus-per-worker",
        type=FiniteRange(0.0, 1.0),
        default=0.0,
        metavar="SHARE",
        help="Of a GPU: 0.5 for two workers on each; none by default.",
    ),
)


@click.command()
@click.argument("bundle")
@click.argument("sources", nargs=-1, required=True, metavar="SOURCE...")
@click.option("--out", required=True, metavar="DATASET", help="Folder, or address of one: s3://BUCKET/FOLDER.")
@crew_options
@click.option(
    "--clip-seconds",
    "clip_seconds",
    type=DURATION,
    default="60s",
    show_default=True,
    metavar="TIME",
    help="Cut videos into clips of this length or more, at key frames.",
)
@click.option(
    "--every", type=click.IntRange(min=1), default=1, metavar="N", help="Take every N-th frame of videos only."
)
@rule_options
@execution_options
def archive(
    bundle: str,
    sources: tuple[str, ...],
    out: str,
    crew: CrewOptions,
    clip_seconds: float,
    every: int,
    changes: "RuleChanges",
    execution: "Execution",
) -> None:
    """Segment archives of pictures and videos with BUNDLE into DATASET: Parquet, one row per segment.

    A SOURCE is a picture, a video, a folder (all below it), a pattern such as "cams/**/*.mp4", or the address of one of
    these: s3://BUCKET/cams. Videos are cut into clips at key frames; --workers processes, or actors of a Ray cluster,
    take one after the other. Run again, the command goes on with what is missing: each clip is in DATASET once. What
    cannot be read is listed in DATASET/failures and ends nothing.
    """
    from segrt.runtime.errors import SegrtError
    from segrt.runtime.scale.archive.archive_command import Request, archived

    request = Request(
        bundle, sources, out, changes, execution, clip_seconds, every, crew.workers, crew.address, crew.gpus_per_worker
    )
    with Interruptions() as interruptions:
        with _progress() as show:

            def progress(totals: "ArchiveTotals") -> None:
                interruptions.check()
                show(totals)

            done = archived(request, progress, lambda text: say(f"segrt: {text}", err=True))
        say(summary(done))
        if done.interrupted is not None:
            click.echo("segrt: interrupted; run the command again to go on", err=True)
            sys.exit(exit_code_of(done.interrupted))
    totals = done.totals
    if (totals.failures or totals.damaged) and not done.frames:
        raise SegrtError(
            f"{done.out}: nothing could be archived, {counted(totals.failures, 'failure')}; first: "
            f"{totals.first_failure}"
        )


def summary(done: "Archived") -> str:
    """Return what was done in two lines at most."""
    totals = done.totals
    before = totals.done - totals.clips
    line = (
        f"{done.out}: {counted(totals.frames, 'frame')} with {counted(totals.segments, 'segment')} from "
        f"{counted(totals.clips, 'clip')}, {totals.rate:.1f} frames/s"
    )
    line += f"; {before} clips were there before" if before else ""
    if totals.failures or totals.damaged:
        failed = f"{counted(totals.failures, 'failure')}, {totals.damaged} damaged"
        line += f"\n{failed}, listed in {done.out.rstrip('/')}/failures; first: {totals.first_failure}"
    return line


@contextmanager
def _progress() -> Iterator[Callable[["ArchiveTotals"], None]]:
    """Show progress and rate on standard error: a bar on a terminal, else a line now and then."""
    last = time.monotonic()
    with Bars("name", "bar", "count", "note", "elapsed") as bars:

        def show(totals: "ArchiveTotals") -> None:
            nonlocal last
            up, workers = totals.workers
            note = f"{totals.frames} frames, {totals.rate:.1f}/s"
            note += f", {totals.failures} failed" if totals.failures else ""
            note += f", {up} of {workers} workers up" if up < workers else ""
            note += f", {counted(totals.files_left, 'file')} to cut" if totals.files_left else ""
            if bars.shown:
                bars.show("archiving", totals.done, totals.known, note=note)
            elif time.monotonic() - last >= _SAID_SECONDS:
                last = time.monotonic()
                say(f"segrt: {totals.done} of {totals.known} clips, {note}", err=True)

        yield show
