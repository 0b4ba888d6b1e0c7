"""The two ways to run a stream: a Python loop over results, and a run into sinks."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from os import PathLike
from pathlib import Path

from segrt.runtime.errors import SegrtError, VideoError
from segrt.runtime.outputs.sink_options import SinkOptions
from segrt.runtime.results import Result
from segrt.runtime.results.viewing import with_picture
from segrt.runtime.stream.carried_state import carrying
from segrt.runtime.stream.frame import Frame
from segrt.runtime.stream.frame_segmenter import FrameSegmenter
from segrt.runtime.stream.output_conflicts import refuse_conflicts
from segrt.runtime.stream.pipeline import Pipeline
from segrt.runtime.stream.pipeline_options import PipelineOptions
from segrt.runtime.stream.sinks.sink import Sink
from segrt.runtime.stream.sinks.sink_kinds import open_sink
from segrt.runtime.stream.sources.cpu_decoder import WantedDecoder
from segrt.runtime.stream.sources.live import LiveOptions
from segrt.runtime.stream.sources.source import Source
from segrt.runtime.stream.sources.source_kinds import AnySource, open_sources
from segrt.runtime.stream.sources.video_decoder import choose_decoder
from segrt.runtime.stream.step import Draw, Step
from segrt.runtime.stream.stream_metrics import StreamMetrics
from segrt.runtime.stream.thinning import Thinning
from segrt.runtime.stream.tracked import tracking_steps
from segrt.runtime.tracking import TrackerOptions


def stream(
    segmenter: FrameSegmenter,
    source: AnySource | Iterable[AnySource],
    *,
    policy: str | None = None,
    max_frames: int | None = None,
    thinning: Thinning | None = None,
    live: LiveOptions | None = None,
    decode_video: WantedDecoder = "auto",
    track: bool | TrackerOptions = False,
) -> Iterator[tuple[Frame, Result]]:
    """Return an iterator of (frame, result) over a video, picture, folder of pictures or stream, or several of them.

    Capture, preprocessing, inference and post-processing run ahead of the loop in threads, a few frames at most;
    frames of one source come in order. `policy`: "all" processes every frame, "latest" the newest (default: "latest"
    for live sources, else "all"); `thinning` leaves frames out; `decode_video` is what decodes video: "cuda", the GPU's
    decoder, "cpu", or with "auto" the GPU where pictures are prepared there. A live source that fails is opened again
    for as long as the loop runs. Leaving the loop, by `break` or an exception, ends the threads. Results carry their
    timings and their frame's picture; with `track` their things carry the id of their object, the same in each frame
    (see `segrt.runtime.tracking`).

    Raises VideoError or ImageError for a source that cannot be opened, at once; and what a stage raises in the loop,
    after the results of the frames before.
    """
    pipeline = open_pipeline(
        segmenter,
        source,
        policy=policy,
        max_frames=max_frames,
        deliver=True,
        thinning=thinning,
        live=live,
        decode_video=decode_video,
        steps=tracking_steps(track),
    )
    return _results(pipeline)


def run_stream(
    segmenter: FrameSegmenter,
    source: AnySource | Iterable[AnySource],
    sinks: Sequence[str | PathLike[str] | Sink] = (),
    *,
    policy: str | None = None,
    max_frames: int | None = None,
    draw: Draw | None = None,
    progress: Callable[[int], None] | None = None,
    thinning: Thinning | None = None,
    live: LiveOptions | None = None,
    decode_video: WantedDecoder = "auto",
    track: bool | TrackerOptions = False,
) -> StreamMetrics:
    """Run sources through the segmenter into sinks (FILE.mp4, FILE.jsonl, DIR, "null", or `Sink`s) to their end.

    `draw` paints the picture for those that need one (default: `segrt.runtime.draw.overlay`); `progress` is called
    with the number of results ten times a second; `decode_video` and `track` are those of `stream`. Returns the
    metrics. Raises what a source, stage or sink raises when all files are closed; so does an interruption
    (KeyboardInterrupt).
    """
    pipeline = open_pipeline(
        segmenter,
        source,
        sinks,
        policy=policy,
        max_frames=max_frames,
        draw=draw,
        thinning=thinning,
        live=live,
        decode_video=decode_video,
        steps=tracking_steps(track),
    )
    pipeline.run(progress)
    return pipeline.recorder.metrics()


def open_pipeline(
    segmenter: FrameSegmenter,
    source_or_sources: AnySource | Iterable[AnySource],
    sinks: Sequence[str | PathLike[str] | Sink] = (),
    *,
    policy: str | None = None,
    max_frames: int | None = None,
    deliver: bool = False,
    draw: Draw | None = None,
    thinning: Thinning | None = None,
    live: LiveOptions | None = None,
    decode_video: WantedDecoder = "auto",
    writing: SinkOptions | None = None,
    metrics: Path | None = None,
    classes: frozenset[int] | None = None,
    steps: Sequence[Step] = (),
) -> Pipeline:
    """Open sources and sinks and return a pipeline that has not started.

    `policy`, `max_frames`, `deliver`, `draw`, `thinning`, `classes` and `steps` are those of `PipelineOptions`. `live`
    says how live sources are read, `decode_video` what decodes video, `writing` how sinks write, `metrics` where the
    caller will write what was measured: checked here, as the sinks' files are.

    Raises SegrtError for what cannot be opened; then nothing is left open.
    """
    for step in steps:
        if step.techniques is not None and segmenter.technique not in step.techniques:
            raise SegrtError(
                f"{step.asked_by or step.name}: takes {' or '.join(step.techniques)} results, but the bundle's are "
                f"{segmenter.technique}; leave it out or take an {' or '.join(step.techniques)} bundle"
            )
    edits = [place for place, step in enumerate(steps) if step.edits_pictures]
    if edits and any(step.name == "zones" for step in steps[: edits[-1]]):
        raise SegrtError("steps that edit pictures must come before the zones, whose clips would show them unedited")
    sources = [source_or_sources] if isinstance(source_or_sources, (str, PathLike, Source)) else list(source_or_sources)
    opened = open_sources(sources, live)
    try:
        spec = getattr(getattr(segmenter, "manifest", None), "image_input", None)
        if spec is not None:  # wrappers may have none
            for source in opened:
                source.give(spec)
        choose_decoder(opened, decode_video, getattr(segmenter, "preprocess_device", "cpu"))
        prunes = writing is not None and writing.keep_bytes is not None
        others = {title: files for step in steps for title, files in step.files().items()}
        infos = [source.info for source in opened]
        refuse_conflicts(sources, infos, sinks, metrics, others=others, prunes=prunes)
        any_live = any(source.info.live for source in opened)
        writing = replace(writing or SinkOptions(), live=any_live)
        opened_sinks = [sink if isinstance(sink, Sink) else open_sink(sink, writing) for sink in sinks]
        for sink in opened_sinks:
            if sink.techniques is not None and segmenter.technique not in sink.techniques:
                raise VideoError(
                    f"sink {sink.name}: takes {' or '.join(sink.techniques)} results, but the bundle's are "
                    f"{segmenter.technique}; leave it out or take another bundle"
                )
        for step in steps:
            draw = step.drawing(draw)
        options = PipelineOptions(
            policy=policy or ("latest" if any_live else "all"),
            max_frames=max_frames,
            deliver=deliver,
            draw=draw,
            thinning=thinning or Thinning(),
            classes=classes,
            steps=tuple(steps),
        )
        return Pipeline(carrying(segmenter, len(opened)), opened, opened_sinks, options)
    except BaseException:
        for source in opened:
            source.close()
        raise


def _results(pipeline: Pipeline) -> Iterator[tuple[Frame, Result]]:
    try:
        pipeline.start()
        for frame, result in pipeline.results():
            frame = frame.on_host()
            yield frame, with_picture(result, frame.image)
    except BaseException:
        pipeline.abandon()
        raise
    pipeline.join()
