"""Measuring in several processes, with the figures of one."""

import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from itertools import islice

from segrt.runtime.errors import SegrtError
from segrt.runtime.evaluate.by_technique import TECHNIQUES
from segrt.runtime.evaluate.datasets.dataset import Dataset, clips_of
from segrt.runtime.evaluate.measuring import (
    Opener,
    Options,
    Outcome,
    Predictor,
    Progress,
    Sink,
    begin_clip,
    checked,
    measure_sample,
    prepare,
)
from segrt.runtime.evaluate.metrics.meter import Meter
from segrt.runtime.evaluate.metrics.meters import meters_of

_CHUNK = 16


def measure_parallel(
    opener: Opener,
    dataset: Dataset,
    options: Options,
    *,
    workers: int,
    progress: Progress | None = None,
    sink: Sink | None = None,
) -> Outcome:
    """Measure in `workers` processes, each with its own predictor; the figures are those of one process.

    `opener`, `dataset` and `sink` travel to the processes by pickle.
    """
    total = len(dataset.samples)
    pieces = [(start, min(start + _CHUNK, total)) for start in range(0, total, _CHUNK)]
    if options.clips:  # whose frames stay together
        pieces = [(clip.start, clip.stop) for clip in clips_of(dataset)]
    context = multiprocessing.get_context("spawn")
    meters = [meter for technique in TECHNIQUES for meter in meters_of(technique, clips=options.clips)]
    # Metrics that were added from outside are in the table of this process alone.
    worker = _Worker(opener, dataset, options, sink, meters)
    outcome: Outcome | None = None
    try:
        with ProcessPoolExecutor(min(workers, len(pieces)), context, _start, (worker,)) as pool:
            for (_, end), part in zip(pieces, pool.map(_measure_piece, pieces), strict=True):
                if outcome is None:
                    outcome = part
                else:
                    outcome.merge(part)
                if progress is not None:
                    progress(end, total)
    except BrokenProcessPool:
        raise SegrtError("a worker process ended unexpectedly, of memory perhaps; use fewer --workers") from None
    assert outcome is not None
    return checked(outcome, dataset)


@dataclass
class _Worker:
    """What a process measures with.

    The predictor is opened on first use, where an exception reaches the user, and never closed: the process ends with
    the pool.
    """

    opener: Opener
    dataset: Dataset
    options: Options
    sink: Sink | None
    meters: list[type[Meter]]
    predictor: Predictor | None = None

    def measure(self, start: int, end: int) -> Outcome:
        """Measure the samples from `start` to before `end`."""
        if self.predictor is None:
            self.predictor = self.opener().__enter__()
        outcome = prepare(self.predictor, self.dataset, self.options, self.meters)
        if self.options.clips:
            begin_clip(outcome, self.predictor, next(clip for clip in clips_of(self.dataset) if clip.start == start))
        for sample in islice(self.dataset.samples, start, end):
            measure_sample(outcome, self.predictor, self.dataset, sample, self.options, self.sink)
        return outcome


_worker: _Worker | None = None


def _start(worker: _Worker) -> None:
    global _worker
    _worker = worker


def _measure_piece(piece: tuple[int, int]) -> Outcome:
    assert _worker is not None
    return _worker.measure(*piece)
