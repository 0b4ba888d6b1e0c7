"""The whole of `segrt profile`: candidates in, a `Profile` out."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime, timezone

import msgspec

from segrt.runtime.preprocess.channels import Raster, shown
from segrt.runtime.profiling.candidate import Candidate
from segrt.runtime.profiling.caveats import caveats_of
from segrt.runtime.profiling.cold import ColdStart, cold_start
from segrt.runtime.profiling.gpu_trace import gpu_run
from segrt.runtime.profiling.interleaved import Samples, measure
from segrt.runtime.profiling.machine_state import Watch
from segrt.runtime.profiling.overlapped import at_camera_speed, at_full_speed
from segrt.runtime.profiling.records import Accuracy, Layer, Profile, Run
from segrt.runtime.profiling.sample_pictures import Pictures, resized
from segrt.runtime.profiling.sampling import Draw
from segrt.runtime.segmenter import Segmenter

Say = Callable[[str, int, int], None]
_IN_MEMORY = 32
_LIVE_SECONDS = 4.0
_TRACED = 40


@dataclass(frozen=True)
class Options:
    """How to measure; `warmup` None warms up until stable. `draws` adds the drawing of every result."""

    source: str
    frames: int = 100
    warmup: int | None = None
    draws: bool = False
    cold: bool = True
    layers: bool = False
    command: str = ""


def profile(
    candidates: Sequence[Candidate],
    options: Options,
    accuracies: Mapping[tuple[str, str, str], Accuracy] | None = None,
    say: Say | None = None,
) -> Profile:
    """Measure all candidates and return the profile.

    `say` is told what is being done, and how much of it ("measuring", 12, 100). Raises SegrtError for a source or
    bundle that cannot be used.
    """
    say = say or (lambda _what, _done, _all: None)
    pictures = Pictures(options.source)
    watch = Watch()
    with ExitStack() as stack:
        segmenters = [stack.enter_context(candidate.open()) for candidate in candidates]
        pictures.give([segmenter.manifest.image_input for segmenter in segmenters])
        supply = iter(pictures)

        def progress(done: int, total: int) -> None:
            watch.look()
            say("measuring", done, total)

        samples = measure(
            [(segmenter, candidate.size) for segmenter, candidate in zip(segmenters, candidates, strict=True)],
            supply,
            options.frames,
            warmup=options.warmup,
            draw=_draw() if options.draws else None,
            progress=progress,
        )
        machine = watch.finish()
        memory = pictures.some(min(_IN_MEMORY, options.frames))
        runs = []
        for number, (candidate, segmenter, measured) in enumerate(zip(candidates, segmenters, samples, strict=True)):
            say("streaming", number, len(candidates))
            sized = [resized(image, candidate.size) for image in memory]
            accuracy = (accuracies or {}).get((candidate.bundle, candidate.precision, candidate.backend))
            runs.append(_run(candidate, segmenter, measured, sized, options, pictures.fps, accuracy))
    for number, candidate in enumerate(candidates if options.cold else ()):
        say("starting cold", number, len(candidates))
        runs[number] = _with_cold_start(runs[number], cold_start(candidate, runs[number].size))
    return Profile(
        runs=runs,
        machine=machine,
        source=options.source,
        command=options.command,
        date=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        notes=caveats_of(machine, runs),
    )


def _run(
    candidate: Candidate,
    segmenter: Segmenter,
    samples: Samples,
    pictures: list[Raster],
    options: Options,
    source_fps: float,
    accuracy: Accuracy | None,
) -> Run:
    stages = samples.figures()
    full = at_full_speed(segmenter, pictures, options.frames, draws=options.draws)
    frames_live = max(10, min(options.frames, round(_LIVE_SECONDS * source_fps)))
    live = at_camera_speed(segmenter, pictures, frames_live, source_fps, draws=options.draws)
    height, width = pictures[0].shape[:2]
    first = options.frames // 2
    return Run(
        bundle=segmenter.manifest.name,
        technique=segmenter.technique,
        backend=segmenter.backend.name,
        backend_reason=segmenter.backend.reason,
        decode_device=segmenter.placement.device,
        decode_reason=segmenter.placement.reason,
        precision=segmenter.variant.precision,
        device=segmenter.backend.device,
        frames=options.frames,
        stages=stages,
        fps=full.fps,
        fps_alone=1e3 / stages["total"].mean_ms,
        peak_rss_mb=None,
        threads=candidate.threads,
        size=(height, width),
        network_size=segmenter.manifest.image_input.size,
        cpu_ms=sum(samples.cpu_ms) / len(samples.cpu_ms),
        warmup_frames=samples.warmup_frames,
        is_stable=samples.is_stable,
        accuracy=accuracy,
        layers=_layers(segmenter, pictures[0]) if options.layers else [],
        samples={name: [round(value, 4) for value in values] for name, values in samples.stages.items()},
        spans=[span for span in full.spans if first <= span.frame < first + _TRACED],
        live=live,
        gpu=gpu_run(samples.gpu_figures(), full.gpu_spans, segmenter.backend.why_no_graph),
    )


def _with_cold_start(run: Run, start: ColdStart) -> Run:
    return msgspec.structs.replace(
        run, cold_start_ms=start.ms, peak_rss_mb=start.peak_rss_mb, gpu_memory_mb=start.gpu_memory_mb
    )


def _layers(segmenter: Segmenter, image: Raster) -> list[Layer]:
    from segrt.runtime.profiling.layer_times import measure_layers

    return [
        Layer(" + ".join(module for module in row.modules if module) or row.name, row.kind, row.mean_ms)
        for row in measure_layers(segmenter, image)
    ]


def _draw() -> Draw:
    from segrt.runtime.draw import overlay

    return lambda image, result: overlay(shown(image), result)
