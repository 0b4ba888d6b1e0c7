"""Which stages a run has, and the channels between them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from segrt.runtime.stream import sink_stages, stages
from segrt.runtime.stream.batches import Batch, Job
from segrt.runtime.stream.channel import Channel
from segrt.runtime.stream.frame import Frame
from segrt.runtime.stream.frame_segmenter import FrameSegmenter
from segrt.runtime.stream.pipeline_options import PipelineOptions
from segrt.runtime.stream.recorder import Recorder
from segrt.runtime.stream.sinks.sink import Sink
from segrt.runtime.stream.sources.source import Source

_DEPTH = 2  # frames that wait between two stages: enough that neither waits for the other's jitter
_LIVE_DEPTH = 8  # results that a slow sink may be behind before it loses the oldest
_DELIVERED = 4  # batches that may be ahead of the consumer of results: two in the network, two ready


@dataclass(frozen=True, eq=False)
class Stage:
    """A loop for a thread of its own: `work` takes from `reads` (None: it captures a source) and puts into `fills`."""

    name: str
    work: Callable[[], None]
    reads: Channel[Any] | None = None
    fills: tuple[Channel[Any], ...] = ()


@dataclass(frozen=True, eq=False)
class Wiring:
    """The stages of a run and their channels.

    `captured` is what all sources fill, `delivered` what the consumer of results reads, None without one. `captures`
    has a stage for each source, `stages` all others, `channels` every channel.
    """

    captured: Channel[Frame]
    delivered: Channel[Job] | None
    channels: tuple[Channel[Any], ...]
    captures: tuple[Stage, ...]
    stages: tuple[Stage, ...]


def wire(
    segmenter: FrameSegmenter,
    sources: Sequence[Source],
    sinks: Sequence[Sink],
    recorder: Recorder,
    options: PipelineOptions,
) -> Wiring:
    """Return the stages that run `sources` through `segmenter` into `sinks`, and the channels that join them.

    With a live source each sink has a queue of its own that loses the oldest results, so that a slow one holds up
    nobody; without one, every channel blocks its producer.
    """
    live = any(source.info.live for source in sources)
    backend = segmenter.backend
    captured: Channel[Frame] = Channel(1 if options.newest else _DEPTH, lanes=len(sources), newest_only=options.newest)
    submitted: Channel[Batch] = Channel(_DEPTH)
    inferred: Channel[Batch] = Channel(_DEPTH)
    delivered: Channel[Job] | None = Channel(_DELIVERED * backend.batch) if options.deliver else None
    inputs = _sink_inputs(sinks, recorder, live=live)
    results = _split_results(inputs, delivered, recorder, live=live)

    before_sinks = [
        Stage(
            "preprocess",
            partial(stages.preprocess, segmenter, captured, submitted, delivered, recorder, options),
            captured,
            (submitted,),
        ),
        Stage("infer", partial(stages.infer, backend, submitted, inferred), submitted, (inferred,)),
        Stage(
            "postprocess",
            partial(stages.postprocess, segmenter, inferred, results.finished, recorder, options),
            inferred,
            results.finished,
        ),
    ]
    if results.undrawn is not None:
        work = partial(stages.paint, options.draw, results.undrawn, results.drawn, recorder, backend)
        before_sinks.append(Stage("draw", work, results.undrawn, results.drawn))
    return Wiring(
        captured=captured,
        delivered=delivered,
        channels=(captured, submitted, inferred, *results.finished, *results.drawn),
        captures=_captures(sources, captured, recorder, options),
        stages=(*before_sinks, *_feeds(inputs, sources, recorder, live=live)),
    )


@dataclass(frozen=True, eq=False)
class _SinkInput:
    """A sink, its name in the metrics, and the channel that it reads."""

    sink: Sink
    name: str
    jobs: Channel[Job]


@dataclass(frozen=True, eq=False)
class _Results:
    """Where results go: `finished` from post-processing; those in `undrawn` are drawn and then go to `drawn`."""

    finished: tuple[Channel[Job], ...]
    undrawn: Channel[Job] | None = None
    drawn: tuple[Channel[Job], ...] = ()


def _captures(
    sources: Sequence[Source], captured: Channel[Frame], recorder: Recorder, options: PipelineOptions
) -> tuple[Stage, ...]:
    captures = []
    for lane, source in enumerate(sources):
        paced = options.newest and not source.info.live
        work = partial(stages.capture, source, lane, captured, recorder, paced=paced, thinning=options.thinning)
        captures.append(Stage(f"capture {source.info.source_id}", work))
    return tuple(captures)


def _sink_inputs(sinks: Sequence[Sink], recorder: Recorder, *, live: bool) -> list[_SinkInput]:
    inputs = []
    for number, sink in enumerate(sinks):
        several = sum(other.name == sink.name for other in sinks) > 1
        name = f"{sink.name} {number + 1}" if several else sink.name
        jobs: Channel[Job] = (
            Channel(_LIVE_DEPTH, newest_only=True, displaced=partial(_count_dropped, recorder, (name,)))
            if live
            else Channel(_DEPTH)
        )
        inputs.append(_SinkInput(sink, name, jobs))
    return inputs


def _split_results(
    inputs: Sequence[_SinkInput], delivered: Channel[Job] | None, recorder: Recorder, *, live: bool
) -> _Results:
    outputs = (*(sink_input.jobs for sink_input in inputs), *(() if delivered is None else (delivered,)))
    drawing = [sink_input for sink_input in inputs if sink_input.sink.needs_drawing]
    if not drawing:
        return _Results(outputs)
    if not live:
        undrawn: Channel[Job] = Channel(_DEPTH)
        return _Results((undrawn,), undrawn, outputs)
    # Drawing, too, may be slow, and sinks that need no drawing do not wait for it.
    names = tuple(sink_input.name for sink_input in drawing)
    undrawn = Channel(_DEPTH, newest_only=True, displaced=partial(_count_dropped, recorder, names))
    drawn = tuple(sink_input.jobs for sink_input in drawing)
    return _Results((*(jobs for jobs in outputs if jobs not in drawn), undrawn), undrawn, drawn)


def _feeds(
    inputs: Sequence[_SinkInput], sources: Sequence[Source], recorder: Recorder, *, live: bool
) -> tuple[Stage, ...]:
    feed = sink_stages.feed_with_retries if live else sink_stages.feed
    infos = [source.info for source in sources]
    return tuple(
        Stage(f"sink {name}", partial(feed, sink, name, jobs, infos, recorder), jobs)
        for sink, name, jobs in ((entry.sink, entry.name, entry.jobs) for entry in inputs)
    )


def _count_dropped(recorder: Recorder, names: Sequence[str], _job: Job) -> None:
    """Count a result as dropped by the sinks of these names."""
    for name in names:
        recorder.sink(name, dropped=1)
