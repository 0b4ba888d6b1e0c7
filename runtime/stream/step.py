"""What is done with each result between post-processing and the sinks, in the order of its source's frames."""

from abc import ABC, abstractmethod
from typing import ClassVar

from segrt.runtime.results import Result
from segrt.runtime.stream.frame import Frame


class Step(ABC):
    """Takes each frame's result and returns the one that goes on: tracked, counted, or the same.

    All steps of a run work in one thread, the one that post-processes: what takes long belongs in a thread of its own.
    `name` is that of its stage in the metrics.
    """

    name: ClassVar[str]

    @abstractmethod
    def take(self, frame: Frame, result: Result) -> Result:
        """Return what goes on in the place of `result`. What it raises ends the run."""

    def close(self) -> None:  # noqa: B027 - most hold nothing
        """Let go of what it holds, when no frame comes any more. Closing twice does nothing."""
