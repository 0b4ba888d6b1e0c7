"""How things look: whether the colours under a mask are a track's own, or those that all things of its class have."""

import numpy as np
import numpy.typing as npt

from segrt.runtime.tracking.box_overlap import Floats

LOOKED_AT = 512
"""Pixels of a thing at most: more would tell little more."""
_COLORS = 512
_UNSEEN = 0.02  # of each colour, so much of a thing is taken to have been seen before there was any
_REMEMBERED = 5000.0  # things whose colours are known, the last of each class: light changes over a day
# Chosen on street clips that no figure is reported of.
_DOUBT = 32.0  # pixels of what is usual that are added to a track's own, which may be few
_OWN = 0.7  # share of a thing's pixels that its track explains; others are another side of it, or blended with others
_FIRST, _MORE = 0.47, 0.18  # what the mean pixel says, and for each root of their number: neighbours say the same
_MOST_PIXELS = 256  # that say more than fewer
_FOR, _AGAINST = 3.0, 9.0  # so much can be said of a pair, as a logarithm


class UsualColors:
    """The colours that things of each class have: all that were seen, those of the last frames the most."""

    def __init__(self) -> None:
        self._seen: dict[int, Floats] = {}

    def take_in(self, class_ids: npt.NDArray[np.int64], counts: Floats) -> None:
        """Add things of `class_ids` (M,) with `counts` (M, 512) of pixels of each colour; each says as much."""
        shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1e-9)
        for class_id in np.unique(class_ids).tolist():
            seen = self._seen.get(class_id, np.zeros(_COLORS)) + shares[class_ids == class_id].sum(axis=0)
            self._seen[class_id] = seen * min(1.0, _REMEMBERED / max(float(seen.sum()), 1e-9))

    def of(self, class_ids: npt.NDArray[np.intp]) -> Floats:
        """Return the share of each colour in things of `class_ids` (N,), float64 (N, 512); each is above 0."""
        nothing = np.zeros(_COLORS)
        shares = np.array([self._seen.get(class_id, nothing) for class_id in class_ids.tolist()]) + _UNSEEN
        usual: Floats = shares.reshape(-1, _COLORS) / shares.sum(axis=-1, keepdims=True)
        return usual


def likelihood(known: Floats, usual: Floats, counts: Floats, weight: float) -> Floats:
    """Return how many times more likely each thing's colours are a track's than any other thing's, (N, M).

    `known` (N, 512) and `counts` (M, 512) say how many pixels of tracks and things have which colour, `usual` (N, 512)
    the share of each in things of the track's class. What is common, as panes and tyres of cars are, says nothing; a
    part, which has few of the whole's colours, is known by those that it has. 1 says nothing, below 1 speaks against;
    `weight` is 0 to 1.
    """
    pixels, known_pixels = counts.sum(axis=1), known.sum(axis=1)[:, None]
    own = (known + _DOUBT * usual) / (known_pixels + _DOUBT)
    of_pixels = np.log(1 + _OWN * (own / usual - 1)) @ counts.T
    mean = of_pixels / np.maximum(pixels, 1e-9)
    number = np.minimum(np.minimum(pixels, known_pixels), _MOST_PIXELS)
    says = weight * (_FIRST + _MORE * np.sqrt(number)) * mean
    likely: Floats = np.exp(np.clip(says, -_AGAINST, _FOR))
    return likely
