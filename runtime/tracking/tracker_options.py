"""How things are followed: every parameter of a tracker, checked where it is given."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from segrt.runtime.errors import SegrtError


@dataclass(frozen=True)
class ClassOptions:
    """What of `TrackerOptions` is otherwise for things of one class; None leaves it as it is for all."""

    strong_score: float | None = None
    weak_score: float | None = None
    birth_score: float | None = None
    confirm_frames: int | None = None
    lost_seconds: float | None = None


@dataclass(frozen=True)
class TrackerOptions:
    """How things are followed.

    Attributes:
        strong_score: things of this score or more look for their track first, and among lost tracks, too (0 to 1).
        weak_score: things of less than `strong_score` but at least this may continue a track that was seen in the frame
            before (ByteTrack's second round); things of less are left alone.
        birth_score: a thing of this score or more that no track claims begins one.
        confirm_frames: a track gets its id when it has been seen in so many frames in a row; until then its things have
            none.
        lost_seconds: a track that is not seen lives on for so long, and goes on when its thing comes back.
        overlap: the least similarity, mask IoU or box IoU after motion (0 to 1), of a track and its thing.
        reach: where nothing overlaps, boxes enlarged by this share of their sides are compared, for what is fast.
        across_classes: whether a thing may continue a track of another class, whose class it then takes.
        appearance: the weight of colours under the masks beside overlap, 0 (none) to 1; needs pictures.
        camera_motion: whether the camera's own motion is taken out, by sparse optical flow; needs pictures.
        cuts: whether the picture is watched for cuts, at which all tracks end; without pictures none is found.
        frame_rate: frames a second where frames have no time of their own.
        path_points: so many of the last centres of a track are kept.
        per_class: a class's name → what is otherwise for its things.
    """

    strong_score: float = 0.5
    weak_score: float = 0.1
    birth_score: float = 0.5
    confirm_frames: int = 1
    lost_seconds: float = 3.0
    overlap: float = 0.1
    reach: float = 0.5
    across_classes: bool = False
    appearance: float = 0.0
    camera_motion: bool = False
    cuts: bool = True
    frame_rate: float = 25.0
    path_points: int = 64
    per_class: Mapping[str, ClassOptions] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("strong_score", "weak_score", "birth_score", "overlap", "appearance"):
            _check(name, getattr(self, name), 0, 1)
        _check("reach", self.reach, 0, 4)
        _check("lost_seconds", self.lost_seconds, 0, 3600)
        _check("frame_rate", self.frame_rate, 0.01, 1000)
        _check_whole("confirm_frames", self.confirm_frames, 1, 1000)
        _check_whole("path_points", self.path_points, 1, 100_000)
        if self.weak_score > self.strong_score:
            raise SegrtError(
                f"weak_score must be at most strong_score, {self.strong_score}, but got {self.weak_score}; lower it"
            )
        for name, options in self.per_class.items():
            if not isinstance(options, ClassOptions):
                raise SegrtError(f"per_class[{name!r}] must be ClassOptions, but got {type(options).__name__}")
            try:
                self.of_class(name)
            except SegrtError as error:
                raise SegrtError(f"per_class[{name!r}]: {error}") from None

    @property
    def needs_pictures(self) -> bool:
        """Whether results alone are not enough: colours and the camera's motion are read off pictures."""
        return self.appearance > 0 or self.camera_motion

    def of_class(self, name: str) -> "TrackerOptions":
        """Return the options for things of this class, which have no classes of their own any more."""
        own = self.per_class.get(name, ClassOptions())
        given = {key: value for key, value in vars(own).items() if value is not None}
        return replace(self, per_class={}, **given)


def _check(name: str, value: float, least: float, most: float) -> None:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not number or not math.isfinite(value) or not least <= value <= most:
        raise SegrtError(f"{name} must be a number from {least} to {most}, but got {value!r}")


def _check_whole(name: str, value: int, least: int, most: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise SegrtError(f"{name} must be a whole number from {least} to {most}, but got {value!r}")
