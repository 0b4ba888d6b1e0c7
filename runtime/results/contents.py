"""What a result holds, in words: "3 person, 1 dog, road"."""

from collections import Counter

import numpy as np

from segrt.runtime.results.instance import InstanceResult
from segrt.runtime.results.panoptic import PanopticResult
from segrt.runtime.results.semantic import SemanticResult

_MOST_NAMES = 8


def contents(result: SemanticResult | InstanceResult | PanopticResult, *, most: int = _MOST_NAMES) -> str:
    """Return objects with their counts, most first, then what is not counted by its area; "nothing" for none.

    Things are counted, stuff and the classes of a semantic result are named. Beyond `most` names it says how many more
    there are.
    """
    counted, named = _found(result)
    words = [f"{count} {name}" for name, count in counted.most_common()] + [name for name, _ in named.most_common()]
    more = len(words) - most
    if more > 0:
        words = [*words[:most], f"{more} more"]
    return ", ".join(words) or "nothing"


def _found(result: SemanticResult | InstanceResult | PanopticResult) -> tuple[Counter[str], Counter[str]]:
    """Return the names of objects → how many, and of what is not counted → its area in pixels."""
    counted, named = Counter[str](), Counter[str]()
    if isinstance(result, InstanceResult):
        counted.update(result.labels[int(class_id)].name for class_id in result.class_ids)
    elif isinstance(result, PanopticResult):
        for segment in result.segments:
            name = result.labels[segment.class_id].name
            if segment.isthing:
                counted[name] += 1
            else:
                named[name] += segment.area
    else:
        areas = np.bincount(result.class_map.ravel(), minlength=len(result.labels))[: len(result.labels)]
        for label, area in zip(result.labels, areas, strict=True):
            if area:
                named[label.name] += int(area)
    return counted, named
