"""What is done with each result between post-processing and the sinks, in the order of its source's frames."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from segrt.runtime.files.images import Picture
from segrt.runtime.outputs.written_files import WrittenFiles
from segrt.runtime.results import Result
from segrt.runtime.stream.frame import Frame
from segrt.runtime.stream.recorder import Recorder
from segrt.runtime.stream.sources.source import Source

Draw = Callable[[Picture, Result], Picture]
"""Paints a result over its frame's picture, uint8 BGR (H, W, 3), and returns a new one."""


class Step(ABC):
    """Takes each frame's result and returns the one that goes on: tracked, counted, or the same.

    All steps of a run work in one thread, the one that post-processes: what takes long belongs in a thread of its own.
    `name` is that of its stage in the metrics, `asked_by` what the user gave to have it; `techniques` are those whose
    results it takes, None for all.
    """

    name: ClassVar[str]
    asked_by: ClassVar[str] = ""
    techniques: ClassVar[tuple[str, ...] | None] = None
    edits_pictures: ClassVar[bool] = False
    """Whether `frame_of` gives frames with other pictures, so that nothing may keep what the source sent."""
    among_edited: bool = False
    """Whether a step of its run edits pictures, set before `watch` is called."""

    def watch(self, sources: Sequence[Source], recorder: Recorder) -> None:  # noqa: B027 (few steps care)
        """Take the sources whose frames will come, and the run's metrics; called once, before anything has started.

        Raises SegrtError for what does not fit to the sources.
        """

    @abstractmethod
    def take(self, frame: Frame, result: Result) -> Result:
        """Return what goes on in the place of `result`. What it raises ends the run."""

    def frame_of(self, frame: Frame, result: Result) -> Frame:  # noqa: ARG002 - most leave pictures alone
        """Return the frame that goes on with what `take` returned: `frame`, or one with another picture."""
        return frame

    def drawing(self, draw: Draw | None) -> Draw | None:
        """Return what draws results for sinks: `draw`, or it with something over it; None is the usual overlay."""
        return draw

    def files(self) -> Mapping[str, WrittenFiles]:
        """Return what it will write, by what that is called in errors; asked before anything is opened."""
        return {}

    def written(self) -> Sequence[Path]:
        """Return the files that it has begun in this run; asked when it is closed."""
        return ()

    def close(self) -> None:  # noqa: B027 - most hold nothing
        """Let go of what it holds, when no frame comes any more. Closing twice does nothing."""
