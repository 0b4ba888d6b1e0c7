"""Workers as processes of this device."""

import contextlib
import multiprocessing
import os
import signal
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any

from segrt.runtime.errors import SegrtError
from segrt.runtime.scale.archive.archive_job import ArchiveJob, EndOutcome, LostOutcome
from segrt.runtime.scale.archive.clip_worker import ClipWorker, Task
from segrt.runtime.scale.archive.crew import Finished

_END_SECONDS = 2.0


@dataclass(eq=False)
class _Member:
    """One process, our end of its pipe, and what it does."""

    process: BaseProcess
    pipe: "Connection[Any, Any]"
    gpu: str | None
    task: Task | None = None


class LocalCrew:
    """`count` processes, each with its own segmenter; `gpus` is what CUDA calls the one that each sees, or None."""

    def __init__(self, job: ArchiveJob, count: int, gpus: tuple[str, ...] | None = None) -> None:
        self._job = job
        self._context = multiprocessing.get_context("spawn")
        self._members: list[_Member] = []
        for number in range(count):
            self._members.append(self._started(None if gpus is None else gpus[number]))

    @property
    def size(self) -> int:
        """How many processes there are."""
        return len(self._members)

    @property
    def idle(self) -> int:
        """How many wait for a task."""
        return sum(member.task is None for member in self._members)

    @property
    def busy(self) -> int:
        """How many have one."""
        return self.size - self.idle

    def give(self, task: Task) -> None:
        """Hand a task to one that is idle."""
        member = next(member for member in self._members if member.task is None)
        member.task = task
        with contextlib.suppress(OSError):  # it has died meanwhile, which `wait` sees
            member.pipe.send(task)

    def wait(self, seconds: float) -> list[Finished]:
        """Return what was finished or lost, as soon as there is something, after `seconds` at most."""
        busy = {member.pipe: member for member in self._members if member.task is not None}
        finished = []
        for pipe in wait(list(busy), seconds):
            member = busy[pipe]  # type: ignore[index]
            task, member.task = member.task, None
            assert task is not None
            try:
                outcome = member.pipe.recv()
            except (EOFError, OSError):
                outcome = LostOutcome(f"its worker {self._replaced(member)}")
            finished.append(Finished(task, outcome))
        return finished

    def close(self) -> None:
        """End all processes at once."""
        for member in self._members:
            member.process.kill()
        for member in self._members:
            member.process.join(_END_SECONDS)
            member.pipe.close()
        self._members.clear()

    def _started(self, gpu: str | None) -> _Member:
        ours, theirs = self._context.Pipe()
        process = self._context.Process(target=_serve, args=(self._job, theirs, gpu), daemon=True, name="segrt archive")
        process.start()
        theirs.close()
        return _Member(process, ours, gpu)

    def _replaced(self, member: _Member) -> str:
        """Start another process in the place of one that is gone; return how that ended."""
        member.process.join(_END_SECONDS)
        code = member.process.exitcode
        member.process.kill()
        member.pipe.close()
        self._members[self._members.index(member)] = self._started(member.gpu)
        if code is not None and code < 0:
            with contextlib.suppress(ValueError):
                return f"was ended by {signal.Signals(-code).name}, for lack of memory perhaps"
        return f"ended with code {code}"


def _serve(job: ArchiveJob, pipe: "Connection[Any, Any]", gpu: str | None) -> None:
    """Do tasks until the other end is closed; a process's main function."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends it to all; whoever hands out tasks ends this one
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    if gpu is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = gpu
    worker = ClipWorker(job)
    with contextlib.suppress(EOFError, OSError):
        while True:
            task = pipe.recv()
            try:
                outcome = worker.do(task)
            except SegrtError as error:
                outcome = EndOutcome(str(error))
            pipe.send(outcome)
