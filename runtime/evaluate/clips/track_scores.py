"""HOTA, identity and CLEAR counts of the objects of one class, as TrackEval computes them.

HOTA: Luiten et al. 2021. IDF1: Ristani et al. 2016. MOTA: Bernardin and Stiefelhagen 2008, on masks as MOTS has it
(Voigtlaender et al. 2019). The ways in detail are those of TrackEval's metrics/hota.py, identity.py and clear.py, and
what is ignored is that of datasets/kitti_mots.py.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from segrt.runtime.evaluate.clips.pairing_up import best_pairs
from segrt.runtime.evaluate.evaluation import Figure

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
ALPHAS: Floats = np.arange(0.05, 0.99, 0.05)
MATCHED = 0.5  # the least IoU of a match of IDF1 and MOTA
_EPSILON = float(np.finfo(np.float64).eps)
_CONTINUED = 1000  # outweighs any sum of IoUs: MOTA keeps a match of the frame before


@dataclass(frozen=True, eq=False)
class FrameMatches:
    """Objects of one class in one frame: places of their tracks in the clip (T,) and (P,), and IoUs (T, P)."""

    true: Integers
    predicted: Integers
    iou: Floats


def without_ignored(iou: Floats, ignored: Floats) -> npt.NDArray[np.bool_]:
    """Return which predicted objects count, bool (P,).

    One that matches nothing and lies by more than half on regions that are ignored does not.
    """
    columns = best_pairs(np.where(iou < MATCHED - _EPSILON, 0.0, iou))[1]
    counted = ignored <= 0.5 + _EPSILON
    counted[columns] = True
    return counted


@dataclass
class TrackScores:
    """What was counted, summed over clips: hits and the rest by alpha, identities, and MOTA's."""

    hits: Floats = field(default_factory=lambda: np.zeros(len(ALPHAS)))
    missed: Floats = field(default_factory=lambda: np.zeros(len(ALPHAS)))
    wrong: Floats = field(default_factory=lambda: np.zeros(len(ALPHAS)))
    associated: Floats = field(default_factory=lambda: np.zeros(len(ALPHAS)))  # sum over hits of their A(c)
    located: Floats = field(default_factory=lambda: np.zeros(len(ALPHAS)))  # sum over hits of their IoU
    same_identity: int = 0
    true_objects: int = 0
    predicted_objects: int = 0
    clear_hits: int = 0
    switches: int = 0

    def merge(self, other: "TrackScores") -> None:
        """Add what another one has counted."""
        for name in self.__dataclass_fields__:
            setattr(self, name, getattr(self, name) + getattr(other, name))

    def add_clip(self, frames: Sequence[FrameMatches]) -> None:
        """Count one clip."""
        tracks = 1 + max((int(frame.true.max(initial=-1)) for frame in frames), default=-1)
        predicted = 1 + max((int(frame.predicted.max(initial=-1)) for frame in frames), default=-1)
        clip = _Clip(frames, tracks, predicted)
        self.true_objects += sum(len(frame.true) for frame in frames)
        self.predicted_objects += sum(len(frame.predicted) for frame in frames)
        clip.add_hota(self)
        self.same_identity += clip.same_identity()
        hits, switches = clip.clear()
        self.clear_hits += hits
        self.switches += switches

    def figures(self) -> dict[str, Figure]:
        """Return `hota`, `deta`, `assa`, `loca`, `idf1`, `mota`; None for a class that neither side has."""
        if not self.true_objects + self.predicted_objects:
            return dict.fromkeys(("hota", "deta", "assa", "loca", "idf1", "mota"))
        detection = self.hits / np.maximum(1, self.hits + self.missed + self.wrong)
        association = self.associated / np.maximum(1, self.hits)
        location = np.maximum(1e-10, self.located) / np.maximum(1e-10, self.hits)
        wrong = self.predicted_objects - self.clear_hits
        return {
            "hota": float(np.mean(np.sqrt(detection * association))),
            "deta": float(np.mean(detection)),
            "assa": float(np.mean(association)),
            "loca": float(np.mean(location)),
            "idf1": self.same_identity / max(1.0, 0.5 * (self.true_objects + self.predicted_objects)),
            "mota": (self.clear_hits - wrong - self.switches) / max(1, self.true_objects),
        }


class _Clip:
    """One clip's frames; `tracks` and `predicted` are how many tracks each side has."""

    def __init__(self, frames: Sequence[FrameMatches], tracks: int, predicted: int) -> None:
        self._frames, self._tracks = frames, tracks
        self._lengths = np.zeros((tracks, 1))
        self._predicted_lengths = np.zeros((1, predicted))
        for frame in frames:
            self._lengths[frame.true] += 1
            self._predicted_lengths[0, frame.predicted] += 1
        self._shape = (tracks, predicted)

    def add_hota(self, scores: TrackScores) -> None:
        """Count hits at each alpha and how well the tracks of each hit agree."""
        alignment = self._alignment()
        counts = np.zeros((len(ALPHAS), *self._shape))
        hits, located = np.zeros(len(ALPHAS)), np.zeros(len(ALPHAS))  # clip by clip: workers add them in the same way
        for frame in self._frames:
            rows, columns = best_pairs(alignment[np.ix_(frame.true, frame.predicted)] * frame.iou)
            iou = frame.iou[rows, columns]
            for index, alpha in enumerate(ALPHAS):
                good = iou >= alpha - _EPSILON
                hits[index] += np.count_nonzero(good)
                located[index] += iou[good].sum()
                counts[index, frame.true[rows[good]], frame.predicted[columns[good]]] += 1
        agreement = counts / np.maximum(1, self._lengths + self._predicted_lengths - counts)
        scores.associated += (counts * agreement).sum(axis=(1, 2))
        scores.hits += hits
        scores.located += located
        scores.missed += self._lengths.sum() - hits
        scores.wrong += self._predicted_lengths.sum() - hits

    def _alignment(self) -> Floats:
        """Return how far each pair of tracks agrees over the clip, before objects are matched."""
        potential = np.zeros(self._shape)
        for frame in self._frames:
            iou = frame.iou
            either = iou.sum(axis=0) + iou.sum(axis=1)[:, None] - iou
            share = np.divide(iou, either, out=np.zeros_like(iou), where=either > _EPSILON)
            potential[np.ix_(frame.true, frame.predicted)] += share
        aligned: Floats = potential / np.maximum(self._lengths + self._predicted_lengths - potential, _EPSILON)
        return aligned

    def same_identity(self) -> int:
        """Return in how many objects true and predicted tracks agree, each track having one partner at most."""
        together = np.zeros(self._shape)
        for frame in self._frames:
            rows, columns = np.nonzero(frame.iou >= MATCHED)
            together[frame.true[rows], frame.predicted[columns]] += 1
        return int(together[best_pairs(together)].sum())

    def clear(self) -> tuple[int, int]:
        """Return matches and switches of identity; a match of the frame before is kept while its IoU allows it."""
        hits = switches = 0
        latest = np.full(self._tracks, -1, np.int64)
        just_before = np.full(self._tracks, -1, np.int64)
        for frame in self._frames:
            if not len(frame.true) or not len(frame.predicted):
                continue  # TrackEval, too, goes on from the last frame that had both
            kept = frame.predicted == just_before[frame.true][:, None]
            score = np.where(frame.iou < MATCHED - _EPSILON, 0.0, _CONTINUED * kept + frame.iou)
            rows, columns = best_pairs(score)
            true, predicted = frame.true[rows], frame.predicted[columns]
            switches += int(np.count_nonzero((latest[true] >= 0) & (latest[true] != predicted)))
            latest[true] = predicted
            just_before[:] = -1
            just_before[true] = predicted
            hits += len(rows)
        return hits, switches
