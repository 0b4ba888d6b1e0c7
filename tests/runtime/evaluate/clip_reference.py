"""The figures of clips, written plainly after the papers: slow, and without any of the runtime's counting."""

import math
from collections import Counter
from collections.abc import Sequence
from functools import cache

import numpy as np
import numpy.typing as npt
from made_clips import LABELS, MadeFrame

Clip = Sequence[MadeFrame]
THINGS = [index for index, label in enumerate(LABELS) if label.isthing]
Pairs = list[tuple[int, int]]


def vpq(clips: Sequence[Clip], length: int) -> dict[int, float]:
    """Return VPQ^k of each class: windows are stacks of maps, and each pair of tubes is looked at by itself."""
    ious: dict[int, list[float]] = {}
    wrong: Counter[int] = Counter()
    for clip in clips:
        for start in range(len(clip) - length + 1):
            window = clip[start : start + length]
            true, predicted = (np.stack([image.ids for image in side]) for side in _sides(window))
            classes, guessed = (_first_classes(side) for side in _sides(window))
            crowd = {item.id for frame in window for item in frame.truth.segments if item.iscrowd}
            matched: set[tuple[str, int]] = set()
            for track, class_id in classes.items():
                for other, guess in guessed.items():
                    a, b = true == track, predicted == other
                    union = (a | b).sum() - (b & (true == 0)).sum()
                    if guess == class_id and track not in crowd and (a & b).sum() > 0.5 * union:
                        ious.setdefault(class_id, []).append((a & b).sum() / union)
                        matched |= {("true", track), ("predicted", other)}
            for track, class_id in classes.items():
                wrong[class_id] += ("true", track) not in matched and track not in crowd
            for other, guess in guessed.items():
                here = predicted == other
                excused = (true == 0) | np.isin(true, [track for track in crowd if classes[track] == guess])
                wrong[guess] += ("predicted", other) not in matched and (here & excused).sum() <= 0.5 * here.sum()
    return {
        index: sum(ious.get(index, [])) / (len(ious.get(index, [])) + wrong[index] / 2)
        for index in {*ious, *wrong}
        if ious.get(index) or wrong[index]
    }


def stq(clips: Sequence[Clip]) -> tuple[float, float, float]:
    """Return STQ, AQ and the mean IoU of classes."""
    counts: Counter[tuple[int, int]] = Counter()  # (true class, predicted class), pixels
    qualities = []
    for clip in clips:
        true, predicted = (_tubes(side) for side in _sides(clip))
        crowd = np.stack([np.isin(f.truth.ids, [s.id for s in f.truth.segments if s.iscrowd]) for f in clip])
        classes = [np.where(each > 0, each // 100_000 - 1, -1) for each in (true, predicted)]
        pairs, numbers = np.unique(np.stack([each.ravel() for each in classes]), axis=1, return_counts=True)
        counts.update({(int(a), int(b)): int(n) for a, b, n in zip(*pairs, numbers, strict=True)})
        thing, guessed = (np.isin(each, THINGS) & ~crowd for each in classes)
        for tube in np.unique(true[thing]):
            mask = thing & (true == tube)
            total = 0.0
            for other in np.unique(predicted[mask & guessed]):
                found = guessed & (predicted == other)
                both = int((mask & found).sum())
                total += both * both / int((mask | found).sum())
            qualities.append(total / int(mask.sum()))
    ious = []
    for index in range(-1, len(LABELS)):
        hit = counts[index, index] if index >= 0 else 0
        union = sum(n for (a, b), n in counts.items() if a >= 0 and index in ((a, b) if index >= 0 else (b,)))
        if union:
            ious.append(hit / union)
    association, segmentation = sum(qualities) / len(qualities), sum(ious) / len(ious)
    return math.sqrt(association * segmentation), association, segmentation


def tracking(clips: Sequence[Clip], class_id: int) -> dict[str, float]:
    """Return HOTA, IDF1 and MOTA of a class."""
    alphas = [0.05 * step for step in range(1, 20)]
    hits, associated = dict.fromkeys(alphas, 0), dict.fromkeys(alphas, 0.0)
    objects = found = same = good = switches = 0
    for clip in clips:
        frames = [_ious(frame, class_id) for frame in clip]
        true_length = Counter(track for true, _, _ in frames for track in true)
        length = Counter(track for _, predicted, _ in frames for track in predicted)
        objects, found = objects + true_length.total(), found + length.total()
        shared: Counter[tuple[int, int]] = Counter()
        together: Counter[tuple[int, int]] = Counter()
        for true, predicted, iou in frames:
            for i, a in enumerate(true):
                for j, b in enumerate(predicted):
                    either = iou[i].sum() + iou[:, j].sum() - iou[i, j]
                    shared[a, b] += iou[i, j] / either if either > 0 else 0.0  # type: ignore[assignment]
                    together[a, b] += iou[i, j] >= 0.5
        tracks, others = sorted(true_length), sorted(length)
        table = np.array([[together[a, b] for b in others] for a in tracks], float).reshape(len(tracks), len(others))
        same += int(sum(table[i, j] for i, j in best_by_trial(table)))
        matches: dict[float, Counter[tuple[int, int]]] = {alpha: Counter() for alpha in alphas}
        latest: dict[int, int] = {}
        before: dict[int, int] = {}
        for true, predicted, iou in frames:
            weights = np.zeros_like(iou)
            kept = np.zeros_like(iou)
            for i, a in enumerate(true):
                for j, b in enumerate(predicted):
                    aligned = shared[a, b] / (true_length[a] + length[b] - shared[a, b])
                    weights[i, j] = aligned * iou[i, j]
                    kept[i, j] = (iou[i, j] + 1000 * (before.get(a) == b)) * (iou[i, j] >= 0.5)
            for i, j in best_by_trial(weights):
                for alpha in alphas:
                    if iou[i, j] >= alpha - 1e-12:
                        matches[alpha][true[i], predicted[j]] += 1
            if true and predicted:
                before = {true[i]: predicted[j] for i, j in best_by_trial(kept)}
                switches += sum(latest.get(a, b) != b for a, b in before.items())
                latest |= before
                good += len(before)
        for alpha in alphas:
            hits[alpha] += matches[alpha].total()
            for (a, b), number in matches[alpha].items():
                associated[alpha] += number * number / (true_length[a] + length[b] - number)
    values = [math.sqrt(associated[alpha] / max(1, objects + found - hits[alpha])) for alpha in alphas]
    return {
        "hota": sum(values) / len(values),
        "idf1": same / ((objects + found) / 2),
        "mota": (good - (found - good) - switches) / objects,
    }


def best_by_trial(scores: npt.NDArray[np.float64]) -> Pairs:
    """Return the pairs of the assignment with the highest sum, of all that there are; none of score 0."""

    @cache
    def best(row: int, taken: int) -> tuple[float, Pairs]:
        if row == len(scores):
            return 0.0, []
        options = [best(row + 1, taken)]
        for column in range(scores.shape[1]):
            if scores[row, column] > 0 and not taken >> column & 1:
                total, pairs = best(row + 1, taken | 1 << column)
                options.append((total + float(scores[row, column]), [(row, column), *pairs]))
        return max(options, key=lambda option: option[0])

    return best(0, 0)[1]


def _sides(frames):
    return [frame.truth for frame in frames], [frame.predicted for frame in frames]


def _first_classes(images):
    classes: dict[int, int] = {}
    for image in images:
        for segment in image.segments:
            classes.setdefault(segment.id, segment.class_id)
    return classes


def _tubes(images):
    """Return (class + 1) * 100,000 + id of each pixel of each frame; 0 is void."""
    maps = []
    for image in images:
        tubes = np.zeros(image.ids.shape, np.int64)
        for segment in image.segments:
            tubes[image.ids == segment.id] = (segment.class_id + 1) * 100_000 + segment.id
        maps.append(tubes)
    return np.stack(maps)


def _ious(frame, class_id):
    """Return both sides' tracks in a frame, and the IoUs; what lies unmatched on void or crowd is out."""
    true = [segment.id for segment in frame.truth.segments if segment.class_id == class_id and not segment.iscrowd]
    crowd = [segment.id for segment in frame.truth.segments if segment.class_id == class_id and segment.iscrowd]
    predicted = [segment.id for segment in frame.predicted.segments if segment.class_id == class_id]
    a, b = frame.truth.ids, frame.predicted.ids
    iou = np.array([[((a == t) & (b == p)).sum() / ((a == t) | (b == p)).sum() for p in predicted] for t in true])
    iou = iou.reshape(len(true), len(predicted))
    matched = {column for _, column in best_by_trial(iou * (iou >= 0.5))}
    ignored = (a == 0) | np.isin(a, crowd)
    kept = [
        column
        for column, track in enumerate(predicted)
        if column in matched or (ignored & (b == track)).sum() <= 0.5 * (b == track).sum()
    ]
    return true, [predicted[column] for column in kept], iou[:, kept]
