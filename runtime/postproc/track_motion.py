"""The Kalman filter of all tracks in one call of the core; see `segrt.runtime.tracking.motion`."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from segrt.runtime.postproc.calls import call_checked
from segrt.runtime.postproc.core import core

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class MotionModel:
    """How things move, in sizes of each, the root of its box's area.

    `measured` is the standard deviation of a box that was seen, `agility` the change of velocity a second, `doubt` how
    many times less is believed of a part, and `sudden` the change of a side between two frames, as its share, that is
    no motion.
    """

    measured: float
    agility: float
    doubt: float
    sudden: float

    @property
    def numbers(self) -> tuple[float, float, float, float]:
        """All four, as the core takes them."""
        return self.measured, self.agility, self.doubt, self.sudden


class MotionState:
    """N tracks: `place` and `speed` (N, 4), `variance` (N, 4, 3), float64, contiguous, which the core changes in place.

    The four numbers are the centre (x, y), width and height of a box; variances are of place, of both, and of speed.
    """

    def __init__(self, place: Floats, speed: Floats, variance: Floats) -> None:
        self.place, self.speed, self.variance = place, speed, variance

    def predict(self, seconds: float, lost: NDArray[np.bool_], model: MotionModel) -> None:
        """Go on by `seconds`; what is `lost` (N,) keeps its size."""
        time = (seconds, seconds**2, seconds**3)
        call_checked(core.predict_motion, (self.place, self.speed, self.variance), time, lost, model.numbers)

    def correct(self, rows: NDArray[np.int64], boxes: Floats, part: NDArray[np.bool_], model: MotionModel) -> None:
        """Take in where the tracks of `rows` (K,), all different, were seen: `boxes` (K, 4), x0, y0, x1, y1.

        Of what is `part` (K,) no size is taken in.
        """
        seen = np.ascontiguousarray(boxes, np.float64)
        call_checked(core.correct_motion, (self.place, self.speed, self.variance), rows, seen, part, model.numbers)

    def predicted(self, turning: float) -> Floats:
        """Return the centre, the box, and `turning` times the centre's deviations, (N, 8), as `TrackRows` has them."""
        rows: Floats = call_checked(core.predicted_tracks, (self.place, self.speed, self.variance), turning)
        return rows
