"""Video panoptic quality: panoptic quality of tubes, segments over windows of frames (Kim et al., CVPR 2020).

The ways in detail are those of VPSNet's tools/eval_vpq.py.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from segrt.runtime.evaluate.clips.frame_counts import FrameCounts, Side
from segrt.runtime.evaluate.evaluation import Figure, mean
from segrt.runtime.evaluate.metrics.panoptic_quality import Tally
from segrt.runtime.results import Label

Integers = npt.NDArray[np.int64]
WINDOWS = (1, 5, 10, 15)
_ABSENT = -1


class TubeEvaluator:
    """Matches tubes of all windows of `lengths` frames, and sums up class by class.

    A window of k frames begins at each frame that has k - 1 after it; a clip shorter than k has none. Within a window,
    a predicted and a true tube of one class match when their IoU in pixels, void of the truth left out of the union,
    is above 0.5; crowds and void are as in panoptic quality. A tube's class is that of its first frame in the window.
    VPQ^k of a class is sum of matched IoUs / (TP + FP / 2 + FN / 2) over all windows of all clips; VPQ is the mean over
    k.
    """

    def __init__(self, labels: Sequence[Label], lengths: Sequence[int] = WINDOWS) -> None:
        self._labels = tuple(labels)
        self._tallies = {length: [Tally() for _ in self._labels] for length in lengths}
        self._frames: list[FrameCounts] = []

    def begin_clip(self) -> None:
        """End the clip before, if any."""
        frames, self._frames = self._frames, []
        if frames:
            clip = _ClipTubes(frames)
            for length, tallies in self._tallies.items():
                clip.count_windows(length, tallies)

    def update(self, frame: FrameCounts) -> None:
        """Add the next frame of the clip."""
        self._frames.append(frame)

    def merge(self, other: "TubeEvaluator") -> None:
        """Add what another evaluator of the same labels and lengths has counted, on other clips."""
        self.begin_clip()
        other.begin_clip()
        for length, tallies in self._tallies.items():
            for mine, theirs in zip(tallies, other._tallies[length], strict=True):
                mine.add(theirs)

    def result(self) -> tuple[dict[str, Figure], dict[str, dict[str, Figure]]]:
        """Return `vpq`, `vpq_things`, `vpq_stuff` and `vpq_K` of each length; per class `vpq` and `vpq_K`."""
        self.begin_clip()
        of_length = {
            f"vpq_{length}": [tally.figures()["pq"] for tally in tallies] for length, tallies in self._tallies.items()
        }
        metrics: dict[str, Figure] = {}
        for suffix, wanted in (("", (True, False)), ("_things", (True,)), ("_stuff", (False,))):
            chosen = [index for index, label in enumerate(self._labels) if label.isthing in wanted]
            means = {name: mean([figures[index] for index in chosen]) for name, figures in of_length.items()}
            metrics["vpq" + suffix] = mean(means)
            metrics |= {name + suffix: figure for name, figure in means.items()}
        per_class: dict[str, dict[str, Figure]] = {}
        for index, label in enumerate(self._labels):
            figures = {name: values[index] for name, values in of_length.items()}
            per_class[label.name] = {"vpq": mean(figures), **figures}
        return metrics, per_class


@dataclass
class _SideOfClip:
    """One side's tubes: `places` lasting id → row or column (0 is void), each frame's rows and its classes."""

    places: dict[int, int] = field(default_factory=dict)
    rows: list[Integers] = field(default_factory=list)
    classes: list[Integers] = field(default_factory=list)
    crowds: set[int] = field(default_factory=set)

    def add(self, side: Side) -> None:
        """Add a frame's segments."""
        rows = [self.places.setdefault(key, 1 + len(self.places)) for key in side.ids.tolist()]
        self.rows.append(np.array([0, *rows], np.int64))
        self.classes.append(side.classes)
        self.crowds |= {row for row, crowd in zip(rows, side.crowd.tolist(), strict=True) if crowd}

    def classes_within(self, start: int, stop: int) -> Integers:
        """Return each tube's class in its first of these frames, -1 where it is in none and for void."""
        classes = np.full(1 + len(self.places), _ABSENT, np.int64)
        for index in range(stop - 1, start - 1, -1):
            classes[self.rows[index][1:]] = self.classes[index]
        return classes

    def crowd_mask(self) -> npt.NDArray[np.bool_]:
        """Return which tubes are crowds."""
        mask = np.zeros(1 + len(self.places), np.bool_)
        mask[sorted(self.crowds)] = True
        return mask


class _ClipTubes:
    """The tubes of one clip, and what they share in each frame."""

    def __init__(self, frames: Sequence[FrameCounts]) -> None:
        self._true, self._predicted = _SideOfClip(), _SideOfClip()
        self._shared = [frame.shared for frame in frames]
        for frame in frames:
            self._true.add(frame.true)
            self._predicted.add(frame.predicted)
        self._crowd = self._true.crowd_mask()

    def count_windows(self, length: int, tallies: Sequence[Tally]) -> None:
        """Match the tubes of every window of `length` frames, counting them in their classes' tallies."""
        window = np.zeros((len(self._crowd), 1 + len(self._predicted.places)), np.int64)
        for index in range(len(self._shared)):
            window[self._cells(index)] += self._shared[index]
            start = index + 1 - length
            if start < 0:
                continue
            self._match(window, start, index + 1, tallies)
            window[self._cells(start)] -= self._shared[start]

    def _cells(self, index: int) -> tuple[Integers, Integers]:
        rows, columns = self._true.rows[index], self._predicted.rows[index]
        return rows[:, None], columns[None, :]

    def _match(self, window: Integers, start: int, stop: int, tallies: Sequence[Tally]) -> None:
        """Count one window; `window` int64 (T + 1, P + 1) are the pixels that tubes share in it."""
        true_classes = self._true.classes_within(start, stop)
        predicted_classes = self._predicted.classes_within(start, stop)
        rows, columns = np.flatnonzero(true_classes >= 0), np.flatnonzero(predicted_classes >= 0)
        shared, void = window[np.ix_(rows, columns)], window[0, columns]
        areas = window[:, columns].sum(axis=0)
        crowd = self._crowd[rows]
        of_rows, of_columns = true_classes[rows], predicted_classes[columns]
        same = of_rows[:, None] == of_columns
        union = window[rows].sum(axis=1)[:, None] + areas - shared - void
        hit = same & ~crowd[:, None] & (2 * shared > union)
        for row, column in np.argwhere(hit).tolist():
            tallies[int(of_rows[row])].ious.append(float(shared[row, column] / union[row, column]))
        for row in np.flatnonzero(~hit.any(axis=1) & ~crowd).tolist():
            tallies[int(of_rows[row])].false_negatives += 1
        last_crowds = {int(of_rows[row]): row for row in np.flatnonzero(crowd).tolist()}  # as in panoptic quality
        excused = void.copy()
        for class_id, row in last_crowds.items():
            excused += shared[row] * (of_columns == class_id)
        for column in np.flatnonzero(~hit.any(axis=0) & (2 * excused <= areas) & (areas > 0)).tolist():
            tallies[int(of_columns[column])].false_positives += 1
