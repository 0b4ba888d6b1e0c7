"""The frame: one picture of a source on its way through the pipeline."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # who only asks what kinds of sources there are can do without numpy
    from segrt.runtime.files.images import Picture


@dataclass(frozen=True, eq=False)
class Frame:
    """One picture of a source; it travels with its result to the sinks. Nobody writes into its image.

    Attributes:
        image: (H, W, 3) uint8 BGR in [0, 255], upright and with square pixels.
        index: place in its source, counted from 0 without gaps as captured; dropped frames leave gaps downstream.
        pts: presentation time in seconds as the source states it, or None where it states none; of a live source the
            seconds since its first frame.
        capture_time: `time.monotonic()` in seconds, when the picture was complete, or arrived from a camera, or would
            have arrived had it not waited in the socket. Frame age counts from here.
        source_id: name of the source, unique within a run and free of credentials.
        image_id: COCO's id of a picture that is a file: its name without suffix, a number where all of them are.
    """

    image: "Picture"
    index: int
    pts: float | None
    capture_time: float
    source_id: str
    image_id: int | str | None = None

    @property
    def size(self) -> tuple[int, int]:
        """(H, W) in pixels."""
        height, width = self.image.shape[:2]
        return height, width
