"""Where things will be: a Kalman filter of constant velocity for each track's box, all tracks at once.

The four numbers of a box (centre x and y, width, height) are filtered for themselves, as in SORT and ByteTrack, whose
matrices have no other entries. Times are seconds, so that dropped frames and any frame rate are followed alike.
"""

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

# In sizes of the thing, the root of its box's area. Fitted on street clips that no figure is reported of.
_MEASURED = 0.05  # standard deviation of a mask's box
_AGILITY = 1.0  # change of velocity, sizes a second in a second
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

    def correct(self, rows: npt.NDArray[np.intp], boxes: Floats, doubt: Floats) -> None:
        """Take in where the tracks of `rows` were seen, boxes (K, 4); `doubt` (K,) multiplies the deviation."""
        seen = centred(boxes)
        noise = ((_MEASURED * doubt * _size(seen)) ** 2)[:, None]
        place, both, speed = (self.variance[rows, :, index] for index in range(3))
        gain, speed_gain = place / (place + noise), both / (place + noise)
        off = seen - self.place[rows]
        self.place[rows] += gain * off
        self.speed[rows] += speed_gain * off
        self.variance[rows] = np.stack(((1 - gain) * place, (1 - gain) * both, speed - speed_gain * both), axis=-1)

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


def centred(boxes: Floats) -> Floats:
    """Return boxes (N, 4) as (centre x, centre y, width, height), sides of at least 1."""
    sides = np.maximum(boxes[:, 2:] - boxes[:, :2], 1)
    return np.concatenate(((boxes[:, :2] + boxes[:, 2:]) / 2, sides), axis=1)


def _size(places: Floats) -> Floats:
    size: Floats = np.sqrt(places[:, 2] * places[:, 3])
    return size
