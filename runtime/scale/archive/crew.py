"""What workers are to whoever hands them tasks, be they processes of this device or actors of a cluster."""

from dataclasses import dataclass
from typing import Protocol

from segrt.runtime.scale.archive.archive_job import Outcome
from segrt.runtime.scale.archive.clip_worker import Task


@dataclass(frozen=True)
class Finished:
    """A task and what came of it."""

    task: Task
    outcome: Outcome


class Crew(Protocol):
    """Workers, each with one task at a time. One that is lost is replaced, and its task comes back as lost."""

    @property
    def size(self) -> int:
        """How many workers there are when all are up."""

    @property
    def idle(self) -> int:
        """How many wait for a task now."""

    @property
    def busy(self) -> int:
        """How many have one."""

    def give(self, task: Task) -> None:
        """Hand a task to one that is idle."""

    def wait(self, seconds: float) -> list[Finished]:
        """Return what was finished or lost, as soon as there is something, after `seconds` at most."""

    def close(self) -> None:
        """End all workers at once, whatever they do."""
