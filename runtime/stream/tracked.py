"""The step that follows things: every result goes on with the ids of the objects in it."""

from typing import ClassVar

from segrt.runtime.results import InstanceResult, PanopticResult, Result
from segrt.runtime.stream.frame import Frame
from segrt.runtime.stream.step import Step
from segrt.runtime.tracking import Tracker, TrackerOptions
from segrt.runtime.tracking.assignment import check_scipy


class Tracked(Step):
    """Gives each source a tracker of its own: ids are unique within a source, and counted from 1 in each.

    A camera that comes back goes on with its tracker: its frames' times count the outage, which ends the tracks that it
    outlasts. Frames that were dropped are gaps of the same kind. Raises SegrtError where SciPy is missing.
    """

    name = "tracked"
    asked_by = "--track (track=True)"
    techniques: ClassVar = ("instance", "panoptic")

    def __init__(self, options: TrackerOptions | None = None) -> None:
        check_scipy()
        self._options = options or TrackerOptions()
        self._trackers: dict[str, Tracker] = {}

    def take(self, frame: Frame, result: Result) -> Result:
        """Return the result with track ids."""
        assert isinstance(result, (InstanceResult, PanopticResult))  # no other technique gets here
        if frame.source_id not in self._trackers:
            self._trackers[frame.source_id] = Tracker(self._options)
        image = frame.visible if self._options.needs_pictures else None
        return self._trackers[frame.source_id].update(result, frame.pts, image)


def tracking_steps(track: bool | TrackerOptions) -> tuple[Step, ...]:
    """Return the steps that `track` asks for: none for False; for True things are followed with the usual options."""
    if track is False:
        return ()
    return (Tracked(None if track is True else track),)
