"""How alike two sets of class maps are, class by class; equal pixels hide it where most of them are background."""

from collections.abc import Sequence

import numpy as np

from segrt.runtime.results import Result, SemanticResult

LEAST_SHARE = 0.001


def class_overlap(pairs: Sequence[tuple[Result, Result]]) -> float | None:
    """Return the mean IoU of the second results against the first ones, over all pictures together.

    Counted are the classes that the first results show on at least a thousandth of the pixels; fewer tell nothing. None
    for results that are not semantic, 1 where no class is left.
    """
    shared: dict[int, int] = {}
    ours: dict[int, int] = {}
    theirs: dict[int, int] = {}
    for first, second in pairs:
        if not isinstance(first, SemanticResult) or not isinstance(second, SemanticResult):
            return None
        _add(ours, first.class_map)
        _add(theirs, second.class_map)
        _add(shared, first.class_map[first.class_map == second.class_map])
    least = LEAST_SHARE * sum(ours.values())
    ious = [
        shared.get(class_id, 0) / (count + theirs.get(class_id, 0) - shared.get(class_id, 0))
        for class_id, count in ours.items()
        if count >= least
    ]
    return float(np.mean(ious)) if ious else 1.0


def _add(counts: dict[int, int], class_map: np.ndarray) -> None:
    for class_id, count in zip(*np.unique(class_map, return_counts=True), strict=True):
        counts[int(class_id)] = counts.get(int(class_id), 0) + int(count)
