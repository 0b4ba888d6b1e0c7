"""The interface of every sink."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from segrt.runtime.results import Result
from segrt.runtime.stream.frame import Frame
from segrt.runtime.stream.sources.base import SourceInfo

Picture = npt.NDArray[np.uint8]


class Sink(ABC):
    """Takes every frame's result. All calls but construction come from one thread of the sink's own.

    Construction checks what can be checked (that a folder can be written) and raises SegrtError; nothing is written
    before the first result.
    """

    name: str
    """What the sink is, for metrics: "mp4", "jsonl"; without credentials."""
    needs_drawing = False
    """Whether `write` wants the drawn picture. It is drawn once for all sinks, and only if one needs it."""

    def open(self, sources: Sequence[SourceInfo]) -> None:  # noqa: B027 (nothing to do is a fine answer)
        """Learn the sources whose results will come; called once, before the first `write`."""

    @abstractmethod
    def write(self, frame: Frame, result: Result, drawn: Picture | None) -> None:
        """Take one result; results of one source come in the order of its frames.

        `drawn` is the overlay, uint8 BGR (H, W, 3), or None when `needs_drawing` is false. Raises SegrtError when the
        result cannot be written; what was written before stays valid.
        """

    @abstractmethod
    def close(self) -> None:
        """Finish what was written, so that others can read it; called once, also after a failure."""
