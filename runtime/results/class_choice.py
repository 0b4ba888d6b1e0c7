"""Classes chosen by name or id, for whoever wants a part of a result."""

from collections.abc import Iterable, Sequence

from segrt.runtime.console.suggestions import did_you_mean
from segrt.runtime.errors import SegrtError
from segrt.runtime.results.labels.label import Label

Classes = str | int | Iterable[str | int]
"""A class, or several: names as labels have them, or class ids (positions in the labels)."""


def chosen_classes(classes: Classes, labels: Sequence[Label]) -> frozenset[int]:
    """Return the class ids that `classes` means; of several classes of one name all. Raises SegrtError for no class."""
    wanted = [classes] if isinstance(classes, (str, int)) else list(classes)
    chosen: set[int] = set()
    for item in wanted:
        ids = ids_of_name(item, labels) if isinstance(item, str) else {int(item)} & set(range(len(labels)))
        if not ids:
            raise SegrtError(f"classes: there is no class {item!r}{_remedy(item, labels)}")
        chosen |= ids
    return frozenset(chosen)


def ids_of_name(name: str, labels: Sequence[Label]) -> set[int]:
    """Return the class ids of all classes of that name; case is ignored."""
    return {index for index, label in enumerate(labels) if label.name.casefold() == name.casefold()}


def check_score(score_threshold: float | None) -> float:
    """Return the threshold, 0 for None; raise SegrtError unless it is 0 to 1."""
    if score_threshold is None:
        return 0.0
    if not 0 <= score_threshold <= 1:
        raise SegrtError(f"score_threshold must be 0 to 1, but got {score_threshold}")
    return float(score_threshold)


def _remedy(item: str | int, labels: Sequence[Label]) -> str:
    if not isinstance(item, str):
        return f"; ids are 0 to {len(labels) - 1}"
    return did_you_mean(item, [label.name for label in labels]) or f"; it has {some_names(labels)}"


def some_names(labels: Sequence[Label]) -> str:
    """Return the first names, and "…" where there are more."""
    return ", ".join(label.name for label in labels[:8]) + (" …" if len(labels) > 8 else "")
