"""Hands clips to a crew until all are done, and keeps what became of each; a failure of one never ends the run."""

import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from segrt.runtime.errors import SegrtError
from segrt.runtime.scale.archive.archive_clips import SourceFile
from segrt.runtime.scale.archive.archive_job import (
    ClipsOutcome,
    DoneOutcome,
    EndOutcome,
    FailedOutcome,
    LostOutcome,
    Outcome,
)
from segrt.runtime.scale.archive.archive_plan import ArchivePlan
from segrt.runtime.scale.archive.archive_store import ArchiveStore
from segrt.runtime.scale.archive.clip_worker import Task, failure_row
from segrt.runtime.scale.archive.crew import Crew
from segrt.runtime.scale.archive.row_tables import FAILURES, FRAMES, SEGMENTS, table_of

MOST_ATTEMPTS = 3
"""So often may a task lose its worker before it is given up."""
_WAIT_SECONDS = 0.5


@dataclass
class ArchiveTotals:
    """What a run has done so far; `known` counts the clips that it knows of, those of before in `done` too."""

    clips: int = 0
    done: int = 0
    known: int = 0
    files_left: int = 0
    frames: int = 0
    segments: int = 0
    failures: int = 0
    damaged: int = 0
    first_failure: str = ""
    lost: int = 0
    workers: tuple[int, int] = (0, 0)
    seconds: float = 0.0

    @property
    def rate(self) -> float:
        """Frames a second of this run."""
        return self.frames / self.seconds if self.seconds else 0.0


Progress = Callable[[ArchiveTotals], None]


@dataclass
class ArchiveRun:
    """One run over a plan's tasks; see `run`."""

    plan: ArchivePlan
    store: ArchiveStore
    crew: Crew
    totals: ArchiveTotals = field(default_factory=ArchiveTotals)
    _again: "deque[Task]" = field(default_factory=deque)
    _attempts: dict[Task, int] = field(default_factory=dict)
    _failed_before: set[str] = field(default_factory=set)
    _proven: bool = False

    def run(self, progress: Progress) -> ArchiveTotals:
        """Do all tasks; `progress` is called after each wait.

        Raises SegrtError where nothing more can be done: no room, no bundle, no worker that stays alive.
        """
        begun = time.monotonic()
        self._failed_before = self.store.parts(FAILURES)
        while True:
            self._hand_out()
            self._take_changed()
            if not self.crew.busy and not self._again and self._next_is_none():
                break
            for finished in self.crew.wait(_WAIT_SECONDS):
                self._take(finished.task, finished.outcome)
            self._count(begun)
            progress(self.totals)
        self._count(begun)
        return self.totals

    def _next_is_none(self) -> bool:
        """Look whether a task is left; one that is goes to the front."""
        task = self.plan.next_task()
        if task is not None:
            self._again.appendleft(task)
        self._take_changed()
        return task is None

    def _hand_out(self) -> None:
        while self.crew.idle:
            task = self._again.popleft() if self._again else self.plan.next_task()
            if task is None:
                return
            self.crew.give(task)

    def _take(self, task: Task, outcome: Outcome) -> None:
        if not isinstance(outcome, LostOutcome):
            self._proven = True
            self._attempts.pop(task, None)
        if isinstance(outcome, EndOutcome):
            raise SegrtError(outcome.message)
        if isinstance(outcome, ClipsOutcome):
            assert isinstance(task, SourceFile)
            self.plan.add_cut(task, outcome.clips)
            self._clear_failure(task.source_id)
        elif isinstance(outcome, DoneOutcome):
            self._done(task, outcome)
        elif isinstance(outcome, FailedOutcome):
            self._fail(task, outcome.rows or (failure_row(task, outcome.kind, outcome.message),))
        else:
            self._lost(task, outcome)

    def _done(self, task: Task, outcome: DoneOutcome) -> None:
        self.totals.clips += 1
        self.totals.frames += 0 if outcome.kept else outcome.frames
        self.totals.segments += 0 if outcome.kept else outcome.segments
        if outcome.damage:
            self.totals.damaged += 1
            self._note(outcome.damage)
        elif not isinstance(task, SourceFile):
            self._clear_failure(task.clip_id)

    def _lost(self, task: Task, outcome: LostOutcome) -> None:
        self.totals.lost += 1
        attempts = self._attempts[task] = self._attempts.get(task, 0) + outcome.blamed
        if not self._proven and self.totals.lost >= MOST_ATTEMPTS * (self.crew.size + 1):
            raise SegrtError(f"no worker stays alive, {self.totals.lost} ended: {outcome.message}; use fewer --workers")
        if attempts >= MOST_ATTEMPTS:
            text = f"{task.name}: {outcome.message}, {attempts} times"
            self._fail(task, (failure_row(task, "worker", text, attempts),))
        else:
            self._again.append(task)

    def _fail(self, task: Task, rows: Sequence[dict[str, Any]]) -> None:
        part = task.source_id if isinstance(task, SourceFile) else task.clip_id
        self.store.write(FAILURES, part, table_of(FAILURES, rows))
        self._attempts.pop(task, None)
        self.totals.failures += len(rows)
        self._note(rows[0]["message"])

    def _take_changed(self) -> None:
        while self.plan.changed:
            file = self.plan.changed.pop()
            text = "has changed since it was archived; its rows are those of then, archive it into a new folder"
            self._fail(file, (failure_row(file, "changed", f"{file.name}: {text}"),))

    def _clear_failure(self, part: str) -> None:
        """Forget what had failed in an earlier run and has not now."""
        if part in self._failed_before:
            self.store.delete(FAILURES, part)

    def _note(self, message: str) -> None:
        self.totals.first_failure = self.totals.first_failure or message

    def _count(self, begun: float) -> None:
        totals, plan = self.totals, self.plan
        totals.done = plan.done + totals.clips
        totals.known = totals.done + plan.clips_waiting + len(self._again) + self.crew.busy
        totals.files_left = plan.files_left
        totals.workers = (self.crew.busy + self.crew.idle, self.crew.size)
        totals.seconds = time.monotonic() - begun


def tidy(store: ArchiveStore) -> None:
    """Delete old segments of clips that are not complete; of a fresh part, `frames` may be there in a moment."""
    for part in store.left_over(SEGMENTS) - store.parts(FRAMES):
        store.delete(SEGMENTS, part)
    store.sweep((SEGMENTS, FRAMES, FAILURES))
