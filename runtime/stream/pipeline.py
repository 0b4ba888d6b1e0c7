"""The pipeline: capture | preprocess | infer | post-process | draw | sinks, each in a thread of its own.

Stages are joined by channels, and a pipeline ends by their rule (see `channel`): a stage that ends, for whatever
reason, aborts what it reads and closes what it fills. So when a stage or sink raises, everything before it stops at
once, everything behind it finishes the frames it has, the sinks close their files, and `join` raises the error. When
a source raises, what it gave before still goes all the way.
"""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from segrt.runtime.errors import SegrtError
from segrt.runtime.results import Result
from segrt.runtime.stream import stages
from segrt.runtime.stream.channel import Channel, Ended, Stopped
from segrt.runtime.stream.frame import Frame
from segrt.runtime.stream.recorder import Recorder
from segrt.runtime.stream.sinks.sink import Sink
from segrt.runtime.stream.sources.source import Source
from segrt.runtime.stream.stages import Batch, Draw, Job
from segrt.runtime.stream.thinning import Thinning

if TYPE_CHECKING:
    from segrt.runtime.segmenter import Segmenter

POLICIES = ("latest", "all")
_DEPTH = 2  # frames that wait between two stages: enough that neither waits for the other's jitter
_LIVE_DEPTH = 8  # results that a slow sink may be behind before it loses the oldest
_DELIVERED = 4  # batches that may be ahead of the consumer of results: two in the network, two ready
_TICK_SECONDS = 0.1
_GRACE_SECONDS = 0.9  # twice that, and files closed, within two seconds of an interruption
_CAPTURE_SECONDS = 5.0  # for a source to notice that nobody wants its frames any more
_ABORT_SECONDS = 30.0  # for a stage to come back after a failure: a slow network's last frames


class Pipeline:
    """Runs `sources` through `segmenter` into `sinks`, and to `results` when `deliver` is true.

    `policy`: "all" processes every frame; "latest" always the newest, dropping what it displaces, and a source that is
    not live is then played at its own speed. `thinning` says which frames are wanted at all. `max_frames` ends the run
    after that many results. `draw` paints the
    picture for the sinks that need one (default: `segrt.runtime.draw.overlay`). The pipeline closes its sources and
    sinks; the segmenter stays open.

    With a live source, sinks are kept apart: one that is slow loses its oldest results and one that fails begins again,
    both counted, and the others go on. Without one, nothing may be lost: the run is as fast as its slowest sink, and
    ends with the first failure.

    Call `run`; or `start`, then take `results`, and in the end always `join` or `abandon`. `policy` is the one in
    force, `frames` the number of frames that the sources announce (None if one does not), `addresses` are where sinks
    can be looked at, `recorder` has the metrics.
    """

    def __init__(
        self,
        segmenter: "Segmenter",
        sources: Sequence[Source],
        sinks: Sequence[Sink] = (),
        *,
        policy: str = "all",
        max_frames: int | None = None,
        deliver: bool = False,
        draw: Draw | None = None,
        thinning: Thinning | None = None,
    ) -> None:
        if policy not in POLICIES:
            raise SegrtError(f"policy must be one of {', '.join(POLICIES)}, but got {policy!r}")
        if max_frames is not None and max_frames < 1:
            raise SegrtError(f"max_frames must be at least 1, but got {max_frames}")
        infos = [source.info for source in sources]
        recorder = self.recorder = Recorder([info.source_id for info in infos])
        self.policy = policy
        self.frames = sum(info.frames or 0 for info in infos) if all(info.frames for info in infos) else None
        backend = self._backend = segmenter.backend
        recorder.executed_by(backend, segmenter.variant.precision)
        self._failures: list[BaseException] = []
        self._cancelled = False

        newest = policy == "latest"
        lasting = any(info.live for info in infos)
        thinning = thinning or Thinning()
        names = [_name(sinks, number) for number in range(len(sinks))]
        captured: Channel[Frame] = Channel(1 if newest else _DEPTH, lanes=len(infos), newest_only=newest)
        batch = backend.batch
        submitted: Channel[Batch] = Channel(_DEPTH)
        inferred: Channel[Batch] = Channel(_DEPTH)
        delivered: Channel[Job] | None = Channel(_DELIVERED * batch) if deliver else None
        inputs: list[Channel[Job]] = [
            Channel(_LIVE_DEPTH, newest_only=True, displaced=partial(_dropped, recorder, name))
            if lasting
            else Channel(_DEPTH)
            for name in names
        ]
        outputs = inputs + ([delivered] if delivered else [])
        undrawn: Channel[Job] | None = None
        finished = outputs
        if any(sink.needs_drawing for sink in sinks):
            drawing = [name for name, sink in zip(names, sinks, strict=True) if sink.needs_drawing]
            if lasting:
                # Drawing, too, may be slow, and sinks that need no drawing do not wait for it.
                undrawn = Channel(_DEPTH, newest_only=True, displaced=partial(_dropped, recorder, *drawing))
                drawn = [jobs for sink, jobs in zip(sinks, inputs, strict=True) if sink.needs_drawing]
                finished = [jobs for jobs in outputs if jobs not in drawn] + [undrawn]
                outputs = drawn
            else:
                undrawn = Channel(_DEPTH)
                finished = [undrawn]
        self._captured = captured
        self._delivered = delivered
        self._sources = list(sources)
        self.addresses = [sink.address for sink in sinks if sink.address]
        self._channels: list[Channel[Any]] = [captured, submitted, inferred, *finished, *outputs]

        self._captures = [
            self._stage(
                f"capture {info.source_id}",
                partial(
                    stages.capture,
                    source,
                    lane,
                    captured,
                    recorder,
                    paced=newest and not info.live,
                    thinning=thinning,
                ),
            )
            for lane, (source, info) in enumerate(zip(sources, infos, strict=True))
        ]
        self._stages = [
            self._stage(
                "preprocess",
                partial(
                    stages.preprocess,
                    segmenter,
                    captured,
                    submitted,
                    recorder,
                    batch=batch,
                    max_frames=max_frames,
                    delivered=delivered,
                    thinning=thinning,
                    newest=newest and delivered is None,
                ),
                captured,
                [submitted],
            ),
            self._stage("infer", partial(stages.infer, backend, submitted, inferred), submitted, [inferred]),
            self._stage(
                "postprocess", partial(stages.postprocess, segmenter, inferred, finished, recorder), inferred, finished
            ),
        ]
        if undrawn:
            work = partial(stages.paint, draw, undrawn, outputs, recorder, backend)
            self._stages.append(self._stage("draw", work, undrawn, outputs))
        feed = stages.feed_lastingly if lasting else stages.feed
        for name, sink, jobs in zip(names, sinks, inputs, strict=True):
            work = partial(feed, sink, name, jobs, infos, recorder)
            self._stages.append(self._stage(f"sink {name}", work, jobs))

    def start(self) -> None:
        """Start all stages."""
        # `cancel`, which a watchdog may call at any time, adds one that it starts itself.
        threads = [thread for thread in (*self._stages, *self._captures) if thread.ident is None]
        self.recorder.start()
        for thread in threads:
            thread.start()

    def results(self) -> Iterator[tuple[Frame, Result]]:
        """Yield (frame, result) in order until the end of all sources; needs `deliver`."""
        assert self._delivered is not None
        while True:
            try:
                job = self._delivered.get()
            except (Ended, Stopped):
                return
            yield job.frame, job.result

    def stop(self) -> None:
        """Take no more frames; those in the network still reach the sinks. Returns at once."""
        self._captured.abort()
        for source in self._sources:
            source.stop()

    def cancel(self) -> None:
        """Drop everything that is on its way; the sinks close their files. Returns at once."""
        self._cancelled = True
        self.stop()
        left = [item for channel in self._channels for item in channel.abort()]
        # Waiting for an execution takes its time, and the slots are needed again only after `join`.
        releasing = self._stage("release", partial(stages.release, left, self._backend))
        self._stages.append(releasing)
        releasing.start()

    def running(self, timeout: float = 0.0) -> bool:
        """Wait up to `timeout` seconds for the end of all stages but capture; return whether any is still running."""
        return bool(_alive(self._stages, timeout))

    def run(self, progress: Callable[[int], None] | None = None) -> None:
        """Start, and wait for the end; `progress` is called with the number of results ten times a second.

        Raises the first error of any stage. When an exception interrupts the waiting, the frames in the network are
        still written if that takes a moment, files are closed, and the exception goes on.
        """
        try:
            self.start()
            self.join(progress)
        except BaseException:
            self.stop()
            if self.running(_GRACE_SECONDS):
                self.cancel()
                self.running(_GRACE_SECONDS)
            raise

    def join(self, progress: Callable[[int], None] | None = None) -> None:
        """Wait for the end and raise the first error of any stage.

        Raises SegrtError when, after an error or `cancel`, a stage does not come back: a backend or a disk that hangs.
        """
        while self.running(_TICK_SECONDS) and not (self._failures or self._cancelled):
            if progress is not None:
                progress(self.recorder.frames_out())
        stuck = _alive(self._stages, _ABORT_SECONDS)
        # A source that waits for its next frame does so in vain; its thread ends with the process at the latest.
        _alive(self._captures, _CAPTURE_SECONDS)
        if progress is not None:
            progress(self.recorder.frames_out())
        if self._failures:
            raise self._failures[0]
        if stuck:
            raise SegrtError(f"stage {stuck[0].name!r} did not end within {_ABORT_SECONDS:.0f} s; check the device")

    def abandon(self) -> None:
        """Cancel, and wait for the end without raising: whoever calls this has an exception of its own."""
        self.cancel()
        _alive(self._stages, _ABORT_SECONDS)
        _alive(self._captures, _CAPTURE_SECONDS)

    def _stage(
        self,
        name: str,
        work: Callable[[], None],
        source: Channel[Any] | None = None,
        targets: Sequence[Channel[Any]] = (),
    ) -> "_Stage":
        def run() -> None:
            try:
                work()
            except (Ended, Stopped):
                pass
            except BaseException as error:
                if not isinstance(error, SegrtError) and hasattr(error, "add_note"):
                    error.add_note(f"in the stage {name!r} of the pipeline")
                self._failures.append(error)
                if source is not None:
                    self.stop()  # stages before this one may be waiting for a frame rather than for this one
            finally:
                for channel in targets:
                    channel.close()
                if source is not None:
                    stages.release(source.abort(), self._backend)
                if source is self._captured:
                    self.stop()  # sources that wait for a camera need not

        return _Stage(run, f"segrt {name}")


class _Stage(threading.Thread):
    """A thread that is waited for by an event: `Thread.join`, when a signal interrupts it, takes the thread for ended.

    See bpo-45274, whose remedy releases the lock of a thread that still runs.
    """

    def __init__(self, work: Callable[[], None], name: str) -> None:
        super().__init__(name=name, daemon=True)
        self._work = work
        self._over = threading.Event()

    def run(self) -> None:
        """Work."""
        try:
            self._work()
        finally:
            self._over.set()

    def lasts(self, timeout: float) -> bool:
        """Wait up to `timeout` seconds for the end; return whether it still runs. One not started does not."""
        return self.ident is not None and not self._over.wait(timeout)


def _name(sinks: Sequence[Sink], number: int) -> str:
    """Return the name of a sink in metrics and messages, numbered where several are of one kind."""
    name = sinks[number].name
    return name if sum(other.name == name for other in sinks) == 1 else f"{name} {number + 1}"


def _dropped(recorder: Recorder, *names: Any) -> None:
    """Count a result, the last argument, as dropped by the sinks of these names."""
    for name in names[:-1]:
        recorder.sink(name, dropped=1)


def _alive(threads: Sequence[_Stage], timeout: float) -> list[_Stage]:
    """Wait up to `timeout` seconds for the threads to end; return those that have not."""
    deadline = time.monotonic() + timeout
    return [thread for thread in threads if thread.lasts(max(0.0, deadline - time.monotonic()))]
