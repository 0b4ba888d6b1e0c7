"""`segrt stream`: video in, results into sinks."""

import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from segrt.runtime.cli.domain_remark import remark_on_domain
from segrt.runtime.cli.drawing_options import DrawingOptions, draw_in, drawing_options, edits_of
from segrt.runtime.cli.garbage import only_new_garbage
from segrt.runtime.cli.kept_classes import CLASSES, class_ids
from segrt.runtime.cli.options import TILE, execution_options, rule_options
from segrt.runtime.cli.reading_options import ReadingOptions, reading_options
from segrt.runtime.cli.stream_outputs import refuse_edits_nowhere, say_before, say_written, sinks_of
from segrt.runtime.cli.stream_tracking import TRACKING
from segrt.runtime.cli.zone_options import ZoneOptions, refuse_overwriting_zones, zone_options, zones_step
from segrt.runtime.console.exits import leave_at_once
from segrt.runtime.console.interruptions import Interruptions, exit_code_of
from segrt.runtime.console.printable import PrintableFormatter
from segrt.runtime.console.progress import Bars
from segrt.runtime.console.quantities import DURATION, DURATION_SAID_LATER, SIZE
from segrt.runtime.console.words import counted

if TYPE_CHECKING:
    from segrt.runtime.decode.rule_changes import RuleChanges
    from segrt.runtime.inference.execution import Execution
    from segrt.runtime.preprocess.tiling import Tiling
    from segrt.runtime.stream.pipeline import Pipeline
    from segrt.runtime.stream.step import Step
    from segrt.runtime.stream.stream_metrics import StreamMetrics
    from segrt.runtime.tracking import TrackerOptions


class _StreamCommand(click.Command):
    """Fills in ${NAME} when it runs, and names the sources in its help, which are asked only when it is shown."""

    def invoke(self, ctx: click.Context) -> Any:
        """Fill the values of variables into the words, so that the arguments of the process need none."""
        from segrt.runtime.files.fill_in import fill_in

        for name, value in ctx.params.items():
            if isinstance(value, str):
                ctx.params[name] = fill_in(value)
            elif isinstance(value, tuple):
                ctx.params[name] = tuple(fill_in(word) if isinstance(word, str) else word for word in value)
        return super().invoke(ctx)

    def format_help_text(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Fill the sources into the text."""
        from segrt.runtime.stream.sources.source_kinds import sources_for_help

        text = self.help or ""
        self.help = text.replace("{sources}", sources_for_help())
        super().format_help_text(ctx, formatter)
        self.help = text


class _SinkOption(click.Option):
    """Names the sinks in its help, which are asked only when it is shown."""

    def get_help_record(self, ctx: click.Context) -> tuple[str, str] | None:
        """Fill the sinks into the text."""
        from segrt.runtime.stream.sinks.sink_kinds import sinks_for_help

        text = self.help or ""
        self.help = text.replace("{sinks}", sinks_for_help())
        record = super().get_help_record(ctx)
        self.help = text
        return record


@click.command(cls=_StreamCommand)
@click.argument("bundle")
@click.argument("sources", nargs=-1, required=True, metavar="SOURCE...")
@click.option(
    "--sink", "sinks", cls=_SinkOption, multiple=True, metavar="SINK", help="Where results go, repeatable: {sinks}."
)
@click.option(
    "--policy",
    type=click.Choice(["latest", "all"]),
    help="Every frame, or always the newest; the default is all for files and latest for live sources.",
)
@click.option("--max-frames", type=click.IntRange(min=1), metavar="N", help="End after N results.")
@click.option(
    "--metrics", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE", help="Write metrics as JSON."
)
@reading_options
@click.option(
    "--segment", type=DURATION_SAID_LATER, metavar="TIME", help="Begin a new mp4 and jsonl file so often, as 10m."
)
@click.option("--keep", type=SIZE, metavar="SIZE", help="Delete a sink's oldest files above this size, as 2GB.")
@click.option(
    "--batch",
    type=click.IntRange(min=1),
    metavar="N",
    help="Frames, or tiles, in the network at once; if it takes so many, by default one of each source, or four tiles.",
)
@TILE
@CLASSES
@click.option("--show", is_flag=True, help="Show the results: in a window, or on a live page where there is none.")
@click.option("--rle", is_flag=True, help="Put masks, as COCO run lengths, into JSON lines and MQTT messages.")
@click.option("--token", metavar="TOKEN", envvar="SEGRT_TOKEN", help="What the live page asks for; or SEGRT_TOKEN.")
@TRACKING
@click.option(
    "--stall-timeout",
    type=DURATION,
    metavar="TIME",
    help="When nothing has moved for so long, print the stacks of all threads and exit with code 3.",
)
@drawing_options
@zone_options
@rule_options
@execution_options
def stream(
    bundle: str,
    sources: tuple[str, ...],
    sinks: tuple[str, ...],
    policy: str | None,
    max_frames: int | None,
    metrics: Path | None,
    reading: ReadingOptions,
    segment: float | None,
    keep: float | None,
    batch: int | None,
    tile: "Tiling | None",
    classes: tuple[str, ...],
    show: bool,
    rle: bool,
    token: str | None,
    tracking: "TrackerOptions | None",
    stall_timeout: float | None,
    zoning: ZoneOptions,
    drawing: DrawingOptions,
    changes: "RuleChanges",
    execution: "Execution",
) -> None:
    """Segment video with BUNDLE (a folder, or the name of an embedded bundle), frame by frame, into sinks.

    A SOURCE is {sources}. When a file ends early or an error occurs, what was done until then is written and stays
    valid. A live source that fails is opened again and again, and a sink that fails begins again. Ctrl-C and SIGTERM
    end the stream and close all files; the exit code is then 130 or 143.

    ${NAME} in any argument is filled in from the environment, which, unlike arguments, other users of a machine cannot
    read.
    """
    with Interruptions() as interruptions:
        with interruptions.held():  # an exception in the midst of an extension module's start may crash it
            from segrt.runtime.bundle.prompt_members import refuse_prompts
            from segrt.runtime.outputs.sink_options import SinkOptions
            from segrt.runtime.segmenter import find_bundle, open_bundle, open_segmenter  # noqa: F401 (opens it)
            from segrt.runtime.stream.edits_step import EditsStep
            from segrt.runtime.stream.loop import open_pipeline
            from segrt.runtime.stream.tracked import tracking_steps

        interruptions.check()
        outputs = sinks_of(sinks, show=show)
        refuse_overwriting_zones(zoning, outputs, metrics)
        if zoning.zones_edit:
            refuse_edits_nowhere(outputs)
        known = find_bundle(bundle).manifest.labels if classes or drawing.edits_pictures else ()
        kept = class_ids(classes, known, bundle)
        edits = edits_of(drawing, known, kept, bundle)
        with open_bundle(
            bundle,
            backend=execution.backend,
            precision=execution.precision,
            threads=execution.threads,
            engines=execution.engines,
            decode_on=execution.decode_on,
            **changes.given,
            batch=batch,
            sources=len(sources),
            tile=tile,
        ) as segmenter:
            refuse_prompts(segmenter.manifest, bundle, "stream")
            remark_on_domain([segmenter.manifest], sources)
            most = None if keep is None else int(keep)
            writing = SinkOptions(segment, most, token=token, rle=rle, edits=zoning.zones_edit)
            with interruptions.held():
                steps: list[Step] = [*tracking_steps(tracking or False)]
                tracked = any(step.name == "tracked" for step in steps)
                steps += [] if edits is None else [EditsStep(edits)]
                zones = zones_step(zoning, segmenter, writing, tracked=tracked)
                steps += [] if zones is None else [zones]
                pipeline = open_pipeline(
                    segmenter,
                    sources,
                    outputs,
                    policy=policy,
                    max_frames=max_frames,
                    thinning=reading.thinning,
                    live=reading.live,
                    decode_video=reading.decode_video,
                    writing=writing,
                    metrics=metrics,
                    classes=kept,
                    draw=draw_in(drawing),
                    steps=steps,
                )
                say_before(outputs, keep, segment, sinks, events=bool(zoning.events or zoning.record_on))
                for address in pipeline.addresses:
                    click.echo(f"{'live page' if address.startswith('http') else 'video'}: {address}")
                interruption = _run(pipeline, interruptions, stall_timeout, max_frames, metrics)
            if interruption is not None:
                _exit_interrupted(interruption, pipeline)


def summary(metrics: "StreamMetrics", *, latest: bool) -> str:
    """Return one line about a run: frames, rate, drops, latency; with `latest`, where it counts, also frame age.

    Latency is the work on a frame (preprocess + inference + post-process); age also counts its waiting.
    """
    line = f"{counted(metrics.frames_out, 'frame')} at {metrics.fps:.1f} fps, {metrics.dropped} dropped"
    total, age = metrics.stages.get("total"), metrics.frame_age_ms
    if total is not None:
        line += f", latency p50 {total.p50_ms:.1f} ms, p95 {total.p95_ms:.1f} ms"
    if metrics.reconnects:
        line += f", {counted(metrics.reconnects, 'reconnect')}"
    lost = sum(sink.dropped for sink in metrics.sinks.values())
    if lost:
        line += f", {lost} lost by sinks"
    if latest and age.p50 is not None:
        line += f", frame age p50 {age.p50:.1f} ms, p95 {age.p95:.1f} ms"
    return line


@contextmanager
def _messages() -> Iterator[None]:
    """Show what sources and sinks report, one line each, on standard error."""
    log = logging.getLogger("segrt.stream")
    handler = logging.StreamHandler()
    handler.setFormatter(PrintableFormatter("segrt: %(message)s"))
    log.addHandler(handler)
    propagates, log.propagate = log.propagate, False
    try:
        yield
    finally:
        log.propagate = propagates
        log.removeHandler(handler)


@contextmanager
def _progress(pipeline: "Pipeline", max_frames: int | None) -> Iterator[Callable[[int], None]]:
    """Show a progress bar on standard error when that is a terminal."""
    with Bars("name", "bar", "count", "rate", "left") as bars:
        if not bars.shown:
            yield lambda _: None
            return
        total = pipeline.frames
        if max_frames is not None:
            total = max_frames if total is None else min(total, max_frames)
        bars.show("streaming", 0, total)
        yield lambda count: bars.show("streaming", count, total)


def _run(
    pipeline: "Pipeline",
    interruptions: Interruptions,
    stall_timeout: float | None,
    max_frames: int | None,
    metrics: Path | None,
) -> KeyboardInterrupt | None:
    """Run the pipeline to its end, and say and write what was measured; return what has interrupted it, if anything."""
    from segrt.runtime.stream.watchdog import Watchdog

    interruption: KeyboardInterrupt | None = None
    try:
        with _messages(), Watchdog(pipeline, stall_timeout), _progress(pipeline, max_frames) as show:

            def progress(count: int) -> None:
                interruptions.check()
                show(count)

            interruptions.check()
            with only_new_garbage():
                pipeline.run(progress)
    except KeyboardInterrupt as error:
        interruption = error
    finally:
        measured = pipeline.recorder.metrics()
        if measured.frames_out or interruption is not None:
            click.echo(summary(measured, latest=pipeline.policy == "latest"))
        if metrics is not None:
            measured.write(metrics)
        say_written([*pipeline.written(), *(path for path in (metrics,) if path is not None)])
    return interruption or interruptions.pending


def _exit_interrupted(interruption: KeyboardInterrupt, pipeline: "Pipeline") -> NoReturn:
    click.echo("segrt: interrupted", err=True)
    if pipeline.running():
        # The files are closed; what still runs is a network that cannot be interrupted. The process need not wait.
        leave_at_once(exit_code_of(interruption))
    sys.exit(exit_code_of(interruption))
