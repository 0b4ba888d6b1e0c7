"""The frame: one picture of a source on its way through the pipeline."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # who only asks what kinds of sources there are can do without numpy
    from segrt.runtime.files.images import Picture
    from segrt.runtime.preprocess.channels import Raster
    from segrt.runtime.preprocess.cuda.device_picture import DevicePicture


@dataclass(frozen=True, eq=False)
class Frame:
    """One picture of a source; it travels with its result to the sinks. Nobody writes into its image.

    Attributes:
        image: (H, W, 3) uint8 BGR in [0, 255], upright and with square pixels; of a file whose network takes other
            values or more bands, what it takes.
        index: place in its source, counted from 0 without gaps as captured; dropped frames leave gaps downstream.
        pts: presentation time in seconds as the source states it, or None where it states none; of a live source the
            seconds since its first frame.
        capture_time: `time.monotonic()` in seconds, when the picture was complete, or arrived from a camera, or would
            have arrived had it not waited in the socket. Frame age counts from here.
        source_id: name of the source, unique within a run and free of credentials.
        image_id: COCO's id of a picture that is a file: its name without suffix, a number where all of them are.
    """

    image: "Raster"
    index: int
    pts: float | None
    capture_time: float
    source_id: str
    image_id: int | str | None = None

    @property
    def picture(self) -> "Raster | DevicePicture":
        """The image where it lies: for whoever takes it there, and copies nothing to the host."""
        return self.image

    def on_host(self) -> "Frame":
        """Return the frame with its picture on the host, for whoever may keep it for long."""
        return self

    @property
    def visible(self) -> "Picture":
        """The image to look at and to draw on, uint8 BGR (H, W, 3), also where a network takes other values."""
        from segrt.runtime.preprocess.channels import is_picture, shown

        return self.image if is_picture(self.image) else shown(self.image)

    @property
    def size(self) -> tuple[int, int]:
        """(H, W) in pixels."""
        height, width = self.picture.shape[:2]
        return height, width


class GpuFrame(Frame):
    """A frame whose picture lies on the GPU; its `image` is copied to the host when somebody asks for it."""

    _picture: "DevicePicture"

    def __init__(
        self, picture: "DevicePicture", index: int, pts: float | None, capture_time: float, source_id: str
    ) -> None:
        for name, value in (
            ("_picture", picture),
            ("index", index),
            ("pts", pts),
            ("capture_time", capture_time),
            ("source_id", source_id),
        ):
            object.__setattr__(self, name, value)

    @property
    def image(self) -> "Picture":
        """See `Frame`."""
        return self._picture.array()

    @property
    def picture(self) -> "DevicePicture":
        """See `Frame`."""
        return self._picture

    def on_host(self) -> Frame:
        """See `Frame`: the GPU's memory can be used again when nobody refers to this one any more."""
        return Frame(self.image, self.index, self.pts, self.capture_time, self.source_id)

    def __reduce__(self) -> Any:
        """Let copies, in other processes too, have the picture on the host."""
        return Frame, (self.image, self.index, self.pts, self.capture_time, self.source_id)


def frame_of(
    picture: "Picture | DevicePicture", index: int, pts: float | None, capture_time: float, source_id: str
) -> Frame:
    """Return the frame of a picture wherever it lies; see `Frame`."""
    kind: Any = Frame if hasattr(picture, "dtype") else GpuFrame
    frame: Frame = kind(picture, index, pts, capture_time, source_id)
    return frame
