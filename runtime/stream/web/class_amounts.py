"""How much of each class a result holds."""

from typing import NamedTuple

import numpy as np

from segrt.runtime.results import PanopticResult, Result, SemanticResult, rle


class Amount(NamedTuple):
    """How many things of a class there are, None where they are not told apart, and its share of the picture."""

    things: int | None
    share: float


def amounts_of(result: Result) -> dict[str, Amount]:
    """Return name → amount of every class of the result's labels, also of those that do not occur.

    Classes that bear one name are added up. Masks of instances may overlap: their shares add up to more than 1 then.
    """
    counts, areas = np.zeros((2, len(result.labels)), np.int64)
    if isinstance(result, SemanticResult):
        found = np.bincount(result.class_map.reshape(-1), minlength=len(counts))
        areas += found[: len(counts)]
    elif isinstance(result, PanopticResult):
        for segment in result.segments:
            counts[segment.class_id] += 1
            areas[segment.class_id] += segment.area
    else:
        np.add.at(counts, result.class_ids, 1)
        np.add.at(areas, result.class_ids, rle.measure(result.rles)[0] if result.rles else [])
    height, width = result.size
    amounts: dict[str, Amount] = {}
    for label, count, area in zip(result.labels, counts.tolist(), areas.tolist(), strict=True):
        counted = label.isthing and not isinstance(result, SemanticResult)
        before = amounts.get(label.name, Amount(None, 0.0))
        things = (before.things or 0) + count if counted else before.things
        amounts[label.name] = Amount(things, before.share + area / (height * width))
    return amounts
