"""The pipeline: capture | preprocess | infer | post-process | draw | sinks, each in a thread of its own.

Stages are joined by channels, and a pipeline ends by their rule (see `channel`): a stage that ends, for whatever
reason, aborts what it reads and closes what it fills. So when a stage or sink raises, everything before it stops at
once, everything behind it finishes the frames it has, the sinks close their files, and `join` raises the error. When
a source raises, what it gave before still goes all the way.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

from segrt.runtime.errors import SegrtError, VideoError
from segrt.runtime.results import Result
from segrt.runtime.stream.batches import release
from segrt.runtime.stream.channel import Ended, Stopped
from segrt.runtime.stream.frame import Frame
from segrt.runtime.stream.frame_segmenter import FrameSegmenter, ServerBackend
from segrt.runtime.stream.pipeline_options import PipelineOptions
from segrt.runtime.stream.recorder import Recorder
from segrt.runtime.stream.sinks.sink import Sink
from segrt.runtime.stream.sources.source import Source
from segrt.runtime.stream.stage_thread import StageThread, start, still_running
from segrt.runtime.stream.wiring import Stage, wire

_TICK_SECONDS = 0.1
_GRACE_SECONDS = 0.85  # twice that, a tick, and files closed, within two seconds of an interruption
_CAPTURE_SECONDS = 5.0  # for a source to notice that nobody wants its frames any more
_ABORT_SECONDS = 30.0  # for a stage to come back after a failure: a slow network's last frames


class Pipeline:
    """Runs `sources` through `segmenter` into `sinks`, and to `results` when `options.deliver` is true.

    With the policy "latest" a source that is not live is played at its own speed. The pipeline closes its sources and
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
        segmenter: FrameSegmenter,
        sources: Sequence[Source],
        sinks: Sequence[Sink] = (),
        options: PipelineOptions | None = None,
    ) -> None:
        options = options or PipelineOptions()
        infos = [source.info for source in sources]
        recorder = self.recorder = Recorder([info.source_id for info in infos])
        self.policy = options.policy
        self.frames = sum(info.frames or 0 for info in infos) if all(info.frames for info in infos) else None
        self.addresses = [sink.address for sink in sinks if sink.address]
        self._sources = list(sources)
        self._sinks = list(sinks)
        self._backend = segmenter.backend
        recorder.executed_by(segmenter)
        self._steps = options.steps
        edited = any(step.edits_pictures for step in self._steps)
        for step in self._steps:
            step.among_edited = edited
            step.watch(self._sources, recorder)
        self._failures: list[BaseException] = []
        self._cancelled = False
        self._wiring = wire(segmenter, sources, sinks, recorder, options)
        self._captures = [self._thread(stage) for stage in self._wiring.captures]
        self._stages = [self._thread(stage) for stage in self._wiring.stages]

    def start(self) -> None:
        """Start all stages; raise SegrtError when the system gives too few threads."""
        # `cancel`, which a watchdog may call at any time, adds one that it starts itself.
        threads = [thread for thread in (*self._stages, *self._captures) if thread.ident is None]
        self.recorder.start()
        # Like a camera, a server may be away for as long as it likes where nobody can play the source again.
        self._begin_waiting(self.recorder, endless=any(source.info.live for source in self._sources))
        for thread in threads:
            start(thread)

    def results(self) -> Iterator[tuple[Frame, Result]]:
        """Yield (frame, result) in order until the end of all sources; needs `deliver`."""
        assert self._wiring.delivered is not None
        while True:
            try:
                job = self._wiring.delivered.get()
            except (Ended, Stopped):
                return
            yield job.frame, job.result

    def stop(self) -> None:
        """Take no more frames; those in the network still reach the sinks. Returns at once."""
        self._wiring.captured.abort()
        for source in self._sources:
            source.stop()

    def cancel(self) -> None:
        """Drop everything that is on its way; the sinks close their files. Returns at once."""
        self._cancelled = True
        self.stop()
        if isinstance(self._backend, ServerBackend):
            self._backend.end_run()
        unfinished = [item for channel in self._wiring.channels for item in channel.abort()]
        # Waiting for an execution takes its time, and the slots are needed again only after `join`.
        releasing = self._thread(Stage("release", partial(release, unfinished, self._backend)))
        try:
            releasing.start()
        except RuntimeError:  # no more threads: then whoever cancels waits
            release(unfinished, self._backend)
        else:
            self._stages.append(releasing)

    def written(self) -> list[Path]:
        """Return the files and folders that sinks and steps have written and that are there, in their order."""
        begun = [sink.written() for sink in self._sinks] + [step.written() for step in self._steps]
        return [path for paths in begun for path in paths if path.exists()]

    def running(self, timeout: float = 0.0) -> bool:
        """Wait up to `timeout` seconds for the end of all stages but capture; return whether any is still running."""
        return bool(still_running(self._stages, timeout))

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
            self._begin_waiting(None)
            raise

    def join(self, progress: Callable[[int], None] | None = None) -> None:
        """Wait for the end and raise the first error of any stage.

        Raises SegrtError when, after an error or `cancel`, a stage does not come back: a backend or a disk that hangs.
        """
        while self.running(_TICK_SECONDS) and not (self._failures or self._cancelled):
            if progress is not None:
                progress(self.recorder.frames_out())
        stuck = self._wait_for(self._stages, _ABORT_SECONDS, progress)
        # A source that waits for its next frame does so in vain; its thread ends with the process at the latest.
        self._wait_for(self._captures, _CAPTURE_SECONDS, progress)
        self._begin_waiting(None)
        if progress is not None:
            progress(self.recorder.frames_out())
        if self._failures:
            raise self._failures[0]
        refusals = [source.refusal for source in self._sources]
        if refusals and all(refusals):
            raise VideoError(str(refusals[0]))
        if stuck:
            raise SegrtError(f"stage {stuck[0].name!r} did not end within {_ABORT_SECONDS:.0f} s; check the device")

    def abandon(self) -> None:
        """Cancel, and wait for the end without raising: whoever calls this has an exception of its own."""
        self.cancel()
        still_running(self._stages, _ABORT_SECONDS)
        still_running(self._captures, _CAPTURE_SECONDS)
        self._begin_waiting(None)

    def _begin_waiting(self, listener: Recorder | None, *, endless: bool = False) -> None:
        """Say how a server is waited for from here on, as usual behind a run; nothing to say where there is none."""
        if isinstance(self._backend, ServerBackend):
            self._backend.begin_run(listener, endless=endless)

    def _wait_for(
        self, threads: Sequence[StageThread], seconds: float, progress: Callable[[int], None] | None
    ) -> list[StageThread]:
        """Wait up to `seconds` for the threads to end, calling `progress`; return those that have not."""
        deadline = time.monotonic() + seconds
        while (left := still_running(threads, _TICK_SECONDS)) and time.monotonic() < deadline:
            if progress is not None:
                progress(self.recorder.frames_out())
        return left

    def _thread(self, stage: Stage) -> StageThread:
        """Return the thread of a stage, which keeps to the rule by which a pipeline ends."""

        def run() -> None:
            try:
                stage.work()
            except (Ended, Stopped):
                pass
            except BaseException as error:
                if not isinstance(error, SegrtError) and hasattr(error, "add_note"):
                    error.add_note(f"in the stage {stage.name!r} of the pipeline")
                self._failures.append(error)
                if stage.reads is not None:
                    self.stop()  # stages before this one may be waiting for a frame rather than for this one
            finally:
                for channel in stage.fills:
                    channel.close()
                if stage.reads is not None:
                    release(stage.reads.abort(), self._backend)
                if stage.reads is self._wiring.captured:
                    self.stop()  # sources that wait for a camera need not

        return StageThread(run, f"segrt {stage.name}")
