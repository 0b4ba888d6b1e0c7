"""Classes chosen by name or id, for whoever wants a part of a result."""

import difflib
from collections.abc import Iterable, Sequence

from segrt.runtime.errors import SegrtError
from segrt.runtime.results.labels.label import Label

Classes = str | int | Iterable[str | int]
"""A class, or several: names as labels have them, or class ids (positions in the labels)."""


def chosen_classes(classes: Classes, labels: Sequence[Label]) -> frozenset[int]:
    """Return the class ids that `classes` means; of several classes of one name all. Raises SegrtError for no class."""
    wanted = [classes] if isinstance(classes, (str, int)) else list(classes)
    chosen: set[int] = set()
    for item in wanted:
        if isinstance(item, str):
            ids = {index for index, label in enumerate(labels) if label.name == item}
        else:
            ids = {int(item)} & set(range(len(labels)))
        if not ids:
            raise SegrtError(f"classes: there is no class {item!r}; {_remedy(item, labels)}")
        chosen |= ids
    return frozenset(chosen)


def check_score(score_threshold: float | None) -> float:
    """Return the threshold, 0 for None; raise SegrtError unless it is 0 to 1."""
    if score_threshold is None:
        return 0.0
    if not 0 <= score_threshold <= 1:
        raise SegrtError(f"score_threshold must be 0 to 1, but got {score_threshold}")
    return float(score_threshold)


def _remedy(item: str | int, labels: Sequence[Label]) -> str:
    if not isinstance(item, str):
        return f"ids are 0 to {len(labels) - 1}"
    names = [label.name for label in labels]
    close = difflib.get_close_matches(item, names, 1)
    if close:
        return f"did you mean {close[0]!r}?"
    return f"it has {', '.join(names[:8])}{', …' if len(names) > 8 else ''}"
