"""The step that edits each frame's picture by its result: what comes behind it sees nothing else."""

from typing import ClassVar

from segrt.runtime.draw.picture_edits import PictureEdits
from segrt.runtime.results import Result
from segrt.runtime.stream.frame import Frame
from segrt.runtime.stream.step import Step


class EditsStep(Step):
    """Gives each frame another picture: sinks, the live page and clips get that one, the tracker the camera's."""

    name: ClassVar[str] = "edited"
    asked_by: ClassVar[str] = "--background, --blur"
    edits_pictures: ClassVar[bool] = True

    def __init__(self, edits: PictureEdits) -> None:
        self._edits = edits

    def take(self, frame: Frame, result: Result) -> Result:  # noqa: ARG002
        """Return the result as it is."""
        return result

    def frame_of(self, frame: Frame, result: Result) -> Frame:
        """Return the frame with the edited picture."""
        edited = self._edits(frame.visible, result)
        return Frame(edited, frame.index, frame.pts, frame.capture_time, frame.source_id, frame.image_id)
