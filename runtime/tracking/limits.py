"""The parameters of each class, looked up for all things of a frame at once."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from segrt.runtime.console.suggestions import did_you_mean
from segrt.runtime.errors import SegrtError
from segrt.runtime.results import Label
from segrt.runtime.tracking.followed_things import Things
from segrt.runtime.tracking.tracker_options import TrackerOptions

Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Kinds:
    """Which things (N,) of a frame are strong, which are weak, and which may begin a track."""

    strong: Bools
    weak: Bools
    may_begin: Bools


class Limits:
    """A tracker's options for each class of `labels`; raises SegrtError for options of a class that there is not."""

    def __init__(self, options: TrackerOptions, labels: Sequence[Label]) -> None:
        names = [label.name for label in labels]
        for name in options.per_class:
            if name not in names:
                known = f"; it has {', '.join(names[:8])}{' …' if len(names) > 8 else ''}"
                raise SegrtError(f"per_class: there is no class {name!r}{did_you_mean(name, names) or known}")
        own = [options.of_class(name) for name in names]
        self._strong = np.array([each.strong_score for each in own])
        self._weak = np.array([each.weak_score for each in own])
        self._birth = np.array([each.birth_score for each in own])
        self.names = names
        self.confirm_frames = np.array([each.confirm_frames for each in own], np.int64)
        self.lost_seconds = np.array([each.lost_seconds for each in own], np.float64)

    def kinds(self, things: Things) -> Kinds:
        """Return what the scores of things make of them; what has no pixel is nothing."""
        scores, classes, there = things.scores, things.class_ids, things.areas > 0
        strong = there & (scores >= self._strong[classes])
        weak = there & ~strong & (scores >= self._weak[classes])
        return Kinds(strong, weak, there & (scores >= self._birth[classes]))
