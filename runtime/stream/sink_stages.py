"""The last stages: each feeds one sink, in one of two ways.

Without a live source the first failure ends the run. With one, a sink that fails loses results and begins again, while
the others go on.
"""

import logging
import re
import time
from collections.abc import Sequence

from segrt.runtime.inference.backend import Stopwatch
from segrt.runtime.stream.backoff import Backoff
from segrt.runtime.stream.batches import Job
from segrt.runtime.stream.channel import Channel
from segrt.runtime.stream.recorder import Recorder
from segrt.runtime.stream.sinks.sink import Dropped, Sink
from segrt.runtime.stream.sources.source import SourceInfo

log = logging.getLogger("segrt.stream")
_NUMBERS = re.compile(r"\d+")


def feed(sink: Sink, name: str, jobs: Channel[Job], sources: Sequence[SourceInfo], recorder: Recorder) -> None:
    """Write every job into `sink`, called `name` in the metrics, and close it whatever happens."""
    try:
        sink.watch(recorder, name)
        sink.open(sources)
        while True:
            write(sink, name, jobs.get(), recorder)
    finally:
        sink.close()


def feed_with_retries(
    sink: Sink, name: str, jobs: Channel[Job], sources: Sequence[SourceInfo], recorder: Recorder
) -> None:
    """Write jobs into `sink`; when that fails, drop them, say so, and try to begin again after a growing pause.

    A sink that serves is opened at once, any other with its first job. An outage is said once, and again when it lasts
    or has another reason than before.
    """
    backoff = Backoff()
    opened, failed, again_at, lost, said = False, False, 0.0, 0, ""
    sink.watch(recorder, name)
    try:
        if sink.serves:
            try:
                sink.open(sources)
                opened = True
            except Exception as error:  # whatever it is, the other sinks go on
                reason = str(error) or type(error).__name__
                log.warning("sink %s: %s", name, reason)
                recorder.sink(name, failures=1)
                failed, again_at, said = True, time.monotonic() + backoff.next(), _NUMBERS.sub("", reason)
        while True:
            job = jobs.get()
            if failed and time.monotonic() < again_at:
                recorder.sink(name, dropped=1)
                lost += 1
                continue
            try:
                if failed:
                    sink.reopen()
                elif not opened:
                    sink.open(sources)
                opened = True
                write(sink, name, job, recorder)
            except Exception as error:  # whatever it is, the other sinks go on
                again_at = time.monotonic() + backoff.next()
                recorder.sink(name, dropped=1, failures=0 if failed else 1)
                lost += 1
                reason = str(error) or type(error).__name__
                alike = _NUMBERS.sub("", reason)  # each frame may have a file of its own
                if alike != said or (backoff.lasts and backoff.should_log):
                    log.warning("sink %s: %s", name, reason)
                failed, said = True, alike
                continue
            if failed:
                log.warning("sink %s: works again; %d results are lost", name, lost)
                failed, lost, said = False, 0, ""
                backoff.reset()
    finally:
        try:
            sink.close()
        except Exception as error:
            log.warning("sink %s: %s", name, str(error) or type(error).__name__)


def write(sink: Sink, name: str, job: Job, recorder: Recorder) -> None:
    """Write one job and note how long that took."""
    watch = Stopwatch()
    try:
        sink.write(job.frame, job.result, job.drawn if sink.needs_drawing else None)
    except Dropped:
        recorder.sink(name, dropped=1)
        return
    recorder.took(job.frame.source_id, name, watch.ms())
    recorder.sink(name, written=1)
