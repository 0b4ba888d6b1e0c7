"""Where things will be: a Kalman filter of constant velocity for each track's box, all tracks at once.

The four numbers of a box (centre x and y, width, height) are filtered for themselves, as in SORT and ByteTrack, whose
matrices have no other entries. Times are seconds, so that dropped frames and any frame rate are followed alike.
"""

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

# In sizes of the thing, the root of its box's area. Fitted on street clips that no figure is reported of.
_MEASURED = 0.08  # standard deviation of a mask's box
_AGILITY = 0.5  # change of velocity, sizes a second in a second
_DOUBT = 2.0  # how much less that is believed where a side was covered, and of a part of the thing
_SUDDEN = 0.2  # change of a side from one frame to the next, as its share
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
        variance[..., 0] = (_MEASURED * size) ** 2
        variance[..., 2] = (_FIRST_SPEED * size) ** 2
        self.place = np.concatenate((self.place, places))
        self.speed = np.concatenate((self.speed, np.zeros_like(places)))
        self.variance = np.concatenate((self.variance, variance))

    def keep(self, rows: npt.NDArray[np.intp]) -> None:
        """Forget all tracks but these, in this order."""
        self.place, self.speed, self.variance = self.place[rows], self.speed[rows], self.variance[rows]

    def predict(self, seconds: float, lost: npt.NDArray[np.bool_]) -> None:
        """Go on by `seconds`; what is `lost` (N,) keeps its size."""
        self.speed[lost, 2:] = 0
        self.place += self.speed * seconds
        self.place[:, 2:] = np.maximum(self.place[:, 2:], 1)
        push = ((_AGILITY * _size(self.place)) ** 2)[:, None]
        place, both, speed = (self.variance[..., index] for index in range(3))
        place += seconds * (2 * both + seconds * speed) + push * seconds**3 / 3
        both += seconds * speed + push * seconds**2 / 2
        speed += push * seconds

    def correct(self, rows: npt.NDArray[np.intp], boxes: Floats, part: npt.NDArray[np.bool_]) -> None:
        """Take in where the tracks of `rows` were seen, boxes (K, 4); of what is `part` (K,) no size, the place less.

        Where the sides of a box part or close up at once, something has begun to cover the thing, or ceased to: then
        the side that moved less says how far the thing has moved, and its size changes without a speed.
        """
        seen = centred(boxes)
        size = _size(seen)[:, None]
        low_off, high_off = boxes[:, :2] - self.boxes[rows, :2], boxes[:, 2:] - self.boxes[rows, 2:]
        sudden = np.abs(high_off - low_off) > _SUDDEN * np.minimum(seen[:, 2:], self.place[rows, 2:])
        steady = np.where(np.abs(low_off) < np.abs(high_off), low_off, high_off)
        off = seen - self.place[rows]
        off[:, :2] = np.where(sudden, steady, off[:, :2])
        off[:, 2:] = np.where(sudden | part[:, None], 0.0, off[:, 2:])
        noise = ((_MEASURED * size) ** 2) * np.where(np.hstack((sudden, sudden)), _DOUBT**2, 1.0)
        noise *= np.where(part[:, None], _DOUBT**2, 1.0)
        place, both, speed = (self.variance[rows, :, index] for index in range(3))
        gain, speed_gain = place / (place + noise), both / (place + noise)
        self.place[rows] += gain * off
        self.speed[rows] += speed_gain * off
        self.variance[rows] = np.stack(((1 - gain) * place, (1 - gain) * both, speed - speed_gain * both), axis=-1)
        still = np.hstack((np.zeros_like(sudden), sudden | part[:, None]))
        self.speed[rows] = np.where(still, 0.0, self.speed[rows])
        anew = np.hstack((sudden, sudden)) & ~part[:, None]
        self.place[rows] = np.where(anew, seen, self.place[rows])

    def warp(self, affine: Floats) -> None:
        """Move all tracks as the picture has moved: `affine` (2, 3) takes points of the frame before to this one."""
        turn, offset = affine[:, :2], affine[:, 2]
        scale = float(np.sqrt(abs(np.linalg.det(turn))))
        self.place[:, :2] = self.place[:, :2] @ turn.T + offset
        self.speed[:, :2] = self.speed[:, :2] @ turn.T
        self.place[:, 2:] *= scale
        self.speed[:, 2:] *= scale
        self.variance *= scale**2

    @property
    def boxes(self) -> Floats:
        """Where the tracks are now, (N, 4) as x0, y0, x1, y1."""
        half = self.place[:, 2:] / 2
        return np.concatenate((self.place[:, :2] - half, self.place[:, :2] + half), axis=1)

    @property
    def deviations(self) -> Floats:
        """How uncertain the tracks' centres are in x and y, (N, 2), standard deviations in pixels."""
        deviations: Floats = np.sqrt(self.variance[:, :2, 0])
        return deviations


def centred(boxes: Floats) -> Floats:
    """Return boxes (N, 4) as (centre x, centre y, width, height), sides of at least 1."""
    sides = np.maximum(boxes[:, 2:] - boxes[:, :2], 1)
    return np.concatenate(((boxes[:, :2] + boxes[:, 2:]) / 2, sides), axis=1)


def _size(places: Floats) -> Floats:
    size: Floats = np.sqrt(places[:, 2] * places[:, 3])
    return size
