"""Where things will be: a Kalman filter of constant velocity for each track's box, all tracks at once.

The four numbers of a box (centre x and y, width, height) are filtered for themselves, as in SORT and ByteTrack, whose
matrices have no other entries. Times are seconds, so that dropped frames and any frame rate are followed alike.
"""

import numpy as np
import numpy.typing as npt

from segrt.runtime.postproc import MotionModel, MotionState

Floats = npt.NDArray[np.float64]

# Fitted on street clips that no figure is reported of.
_MODEL = MotionModel(measured=0.08, agility=0.5, doubt=2.0, sudden=0.2)
_FIRST_SPEED = 2.0  # of things that have just appeared, sizes a second


class Motion:
    """N boxes with velocities; row i is track i.

    `place` (N, 4) is (centre x, centre y, width, height) in pixels, `speed` (N, 4) the same a second; `variance`
    (N, 4, 3) of place, of both, and of speed.
    """

    def __init__(self) -> None:
        self.place: Floats = np.zeros((0, 4))
        self.speed: Floats = np.zeros((0, 4))
        self.variance: Floats = np.zeros((0, 4, 3))

    def __len__(self) -> int:
        return len(self.place)

    def add(self, boxes: Floats) -> None:
        """Begin tracks at boxes (N, 4), x0, y0, x1, y1."""
        places = centred(boxes)
        size = _size(places)[:, None]
        variance = np.zeros((len(boxes), 4, 3))
        variance[..., 0] = (_MODEL.measured * size) ** 2
        variance[..., 2] = (_FIRST_SPEED * size) ** 2
        self.place = np.concatenate((self.place, places))
        self.speed = np.concatenate((self.speed, np.zeros_like(places)))
        self.variance = np.concatenate((self.variance, variance))

    def keep(self, rows: npt.NDArray[np.intp]) -> None:
        """Forget all tracks but these, in this order."""
        self.place, self.speed, self.variance = self.place[rows], self.speed[rows], self.variance[rows]

    def predict(self, seconds: float, lost: npt.NDArray[np.bool_]) -> None:
        """Go on by `seconds`; what is `lost` (N,) keeps its size."""
        self._state.predict(seconds, lost, _MODEL)

    def correct(self, rows: npt.NDArray[np.intp], boxes: Floats, part: npt.NDArray[np.bool_]) -> None:
        """Take in where the tracks of `rows` were seen, boxes (K, 4); of what is `part` (K,) no size, the place less.

        Where the sides of a box part or close up at once, something has begun to cover the thing, or ceased to: then
        the side that moved less says how far the thing has moved, and its size changes without a speed.
        """
        self._state.correct(rows, boxes, part, _MODEL)

    def warp(self, affine: Floats) -> None:
        """Move all tracks as the picture has moved: `affine` (2, 3) takes points of the frame before to this one."""
        turn, offset = affine[:, :2], affine[:, 2]
        scale = float(np.sqrt(abs(np.linalg.det(turn))))
        self.place[:, :2] = self.place[:, :2] @ turn.T + offset
        self.speed[:, :2] = self.speed[:, :2] @ turn.T
        self.place[:, 2:] *= scale
        self.speed[:, 2:] *= scale
        self.variance *= scale**2

    def predicted(self, turning: float) -> Floats:
        """Return where the tracks are now: centre, box (x0, y0, x1, y1) and `turning` times the centre's deviations.

        float64 (N, 8), pixels; deviations are standard deviations.
        """
        return self._state.predicted(turning)

    @property
    def _state(self) -> MotionState:
        return MotionState(self.place, self.speed, self.variance)


def centred(boxes: Floats) -> Floats:
    """Return boxes (N, 4) as (centre x, centre y, width, height), sides of at least 1."""
    sides = np.maximum(boxes[:, 2:] - boxes[:, :2], 1)
    return np.concatenate(((boxes[:, :2] + boxes[:, 2:]) / 2, sides), axis=1)


def _size(places: Floats) -> Floats:
    size: Floats = np.sqrt(places[:, 2] * places[:, 3])
    return size
