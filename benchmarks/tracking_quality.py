"""IDF1 and HOTA of tracked clips against their truth, by mask IoU, as TrackEval defines them."""

from dataclasses import dataclass, field

import numpy as np
from scipy.optimize import linear_sum_assignment

ALPHAS = np.arange(0.05, 0.99, 0.05)
_TINY = np.finfo(float).eps


@dataclass
class ClipMatches:
    """The frames of clips: for each the truth's ids, the tracker's ids and the similarity (truth, tracker), 0 to 1.

    Ids are whole numbers of any size, not the same in two clips: see `offset`.
    """

    frames: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = field(default_factory=list)

    def add(self, truth: np.ndarray, found: np.ndarray, similarity: np.ndarray) -> None:
        """Add a frame."""
        self.frames.append((truth, found, similarity))

    def numbered(self) -> tuple[list[tuple[np.ndarray, np.ndarray, np.ndarray]], int, int]:
        """Return the frames with ids from 0 on, and how many ids there are on either side."""
        truths, founds = (sorted({int(i) for frame in self.frames for i in frame[side]}) for side in (0, 1))
        first, second = ({value: index for index, value in enumerate(ids)} for ids in (truths, founds))
        frames = [
            (np.array([first[int(i)] for i in a], int), np.array([second[int(i)] for i in b], int), s)
            for a, b, s in self.frames
        ]
        return frames, len(truths), len(founds)


def idf1(matches: ClipMatches, threshold: float = 0.5) -> float:
    """Return IDF1 (Ristani et al. 2016): the share of detections in the best one-to-one matching of identities."""
    frames, truths, founds = matches.numbered()
    shared = np.zeros((truths, founds))
    truth_count, found_count = np.zeros(truths), np.zeros(founds)
    for truth, found, similarity in frames:
        rows, columns = np.nonzero(similarity >= threshold)
        shared[truth[rows], found[columns]] += 1
        truth_count[truth] += 1
        found_count[found] += 1
    rows, columns = linear_sum_assignment(shared, maximize=True)
    return float(2 * shared[rows, columns].sum() / max(truth_count.sum() + found_count.sum(), 1))


def hota(matches: ClipMatches) -> dict[str, float]:
    """Return HOTA, DetA and AssA (Luiten et al. 2020), means over the thresholds from 0.05 to 0.95."""
    frames, truths, founds = matches.numbered()
    potential, truth_count, found_count = np.zeros((truths, founds)), np.zeros((truths, 1)), np.zeros((1, founds))
    for truth, found, similarity in frames:
        union = similarity.sum(0)[None] + similarity.sum(1)[:, None] - similarity
        potential[truth[:, None], found[None]] += np.where(union > _TINY, similarity / np.maximum(union, _TINY), 0)
        truth_count[truth, 0] += 1
        found_count[0, found] += 1
    alignment = potential / np.maximum(truth_count + found_count - potential, _TINY)
    matched = np.zeros((len(ALPHAS), truths, founds))
    for truth, found, similarity in frames:
        if not len(truth) or not len(found):
            continue
        rows, columns = linear_sum_assignment(alignment[truth[:, None], found[None]] * similarity, maximize=True)
        for index, alpha in enumerate(ALPHAS):
            good = similarity[rows, columns] >= alpha - _TINY
            matched[index, truth[rows[good]], found[columns[good]]] += 1
    hits = matched.sum((1, 2))
    detection = hits / np.maximum(truth_count.sum() + found_count.sum() - hits, 1)
    each = matched / np.maximum(truth_count + found_count - matched, 1)
    association = (matched * each).sum((1, 2)) / np.maximum(hits, 1)
    return {
        "HOTA": float(np.sqrt(detection * association).mean()),
        "DetA": float(detection.mean()),
        "AssA": float(association.mean()),
    }
