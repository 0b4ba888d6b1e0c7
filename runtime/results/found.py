"""What was found, in words: "3 person, 1 dog, road, sky"."""

from collections import Counter
from collections.abc import Mapping, Sequence

_MOST_NAMES = 6


def found_text(counts: Mapping[str, int], uncounted: Sequence[str] = (), *, most: int = _MOST_NAMES) -> str:
    """Return `counts` (name → how many) and `uncounted` names in one line, "nothing" for none; at most `most` names."""
    ordered = sorted(counts.items(), key=lambda item: -item[1])
    words = [f"{count} {name}" for name, count in ordered] + list(dict.fromkeys(uncounted))
    if len(words) > most:
        words = [*words[:most], f"and {len(words) - most} more"]
    return ", ".join(words) or "nothing"


def counted_names(names: Sequence[str]) -> dict[str, int]:
    """Return each name → how often it occurs, the most frequent first."""
    return dict(Counter(names).most_common())
