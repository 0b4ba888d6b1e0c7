"""Finds the few layers that must stay in float32 so that a variant is close enough to the float32 network.

Each group of layers is measured alone at the lower precision; the groups with the largest errors are kept, as few as
are needed (found by bisection); kept groups of several layers are halved and measured again, until single layers are
left. The same is tried in the order of error for each multiply-add, which may keep more layers but less work; at last
every kept layer is tried at the lower precision once more, the costliest first.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

Layers = frozenset[int]
_LEAST_GROUPS = 8


@dataclass(frozen=True)
class Finding:
    """Layers by position that were measured alone: the heads' relative error with only them at the lower precision."""

    layers: tuple[int, ...]
    error: float
    kept: bool


@dataclass(frozen=True)
class SearchOutcome:
    """The layers to keep; what was measured, largest error first; how many runs it took and whether they sufficed."""

    kept: Layers
    findings: tuple[Finding, ...]
    steps: int
    finished: bool


class _Spent(Exception):  # noqa: N818 (ends the search, is no error)
    """The steps or the time are used up."""


def search(
    candidates: Sequence[int],
    macs: Sequence[int],
    probe: Callable[[Layers], float],
    passes: Callable[[Layers], bool],
    *,
    steps: int = 200,
    seconds: float = 300.0,
    progress: Callable[[int, int], None] = lambda done, most: None,  # noqa: ARG005
) -> SearchOutcome:
    """Return which of `candidates` (positions of layers, in order) to keep in float32.

    `macs` has each layer's multiply-adds by position; `probe(low)` is the heads' error with only the layers `low` at
    the lower precision; `passes(kept)` says whether the variant is good enough with `kept` in float32 and all others
    low. Both count as a step. When the steps or the time are used up, what is known to pass so far is kept: everything
    in the worst case. `progress` is told how many of at most how many steps are begun.
    """
    return _Search(candidates, macs, probe, passes, steps, time.monotonic() + seconds, progress).run()


class _Search:
    def __init__(
        self,
        candidates: Sequence[int],
        macs: Sequence[int],
        probe: Callable[[Layers], float],
        passes: Callable[[Layers], bool],
        steps: int,
        deadline: float,
        progress: Callable[[int, int], None],
    ) -> None:
        self._all = frozenset(candidates)
        self._macs = macs
        self._probe = probe
        self._passes = passes
        self._limit = steps
        self._deadline = deadline
        self._progress = progress
        self._steps = 0
        self._kept: Layers = self._all  # the smallest choice that is known to pass
        self._errors: dict[tuple[int, ...], float] = {}

    def run(self) -> SearchOutcome:
        finished = True
        try:
            if self._good(frozenset()):
                return SearchOutcome(frozenset(), (), self._steps, True)
            groups = _split(sorted(self._all), max(_LEAST_GROUPS, self._limit // 3))
            while True:
                groups = self._smallest(groups, self._by_error)
                if all(len(group) == 1 for group in groups):
                    break
                groups = [half for group in groups for half in _halves(group)]
            if len(groups) > 1:
                self._smallest([group for group in self._errors if not self._is_split(group)], self._by_worth)
            self._prune()
        except _Spent:
            finished = False
        findings = [
            Finding(group, error, bool(self._kept.intersection(group))) for group, error in self._errors.items()
        ]
        findings = [entry for entry in findings if len(entry.layers) == 1 or not self._is_split(entry.layers)]
        findings.sort(key=lambda entry: -entry.error)
        return SearchOutcome(self._kept, tuple(findings), self._steps, finished)

    def _smallest(
        self, groups: Sequence[tuple[int, ...]], rank: Callable[[tuple[int, ...]], tuple[float, float]]
    ) -> list[tuple[int, ...]]:
        """Return the shortest list of the first groups, in the order of `rank`, that passes when it is kept."""
        ranked = sorted(groups, key=rank)
        low, high = 0, len(ranked)  # keeping the first `low` fails, keeping the first `high` passes
        while high - low > 1:
            middle = (low + high) // 2
            if self._good(frozenset(layer for group in ranked[:middle] for layer in group)):
                high = middle
            else:
                low = middle
        return ranked[:high]

    def _prune(self) -> None:
        """Give back what need not be kept after all, the costliest first."""
        for layer in sorted(self._kept, key=lambda layer: -self._macs[layer]):
            if len(self._kept) > 1:
                self._good(self._kept - {layer})

    def _by_error(self, group: tuple[int, ...]) -> tuple[float, float]:
        return -self._error(group), self._cost(group)

    def _by_worth(self, group: tuple[int, ...]) -> tuple[float, float]:
        """Rank by squared error, which adds up over layers, for each multiply-add that keeping it costs."""
        return -(self._error(group) ** 2) / max(1, self._cost(group)), self._cost(group)

    def _good(self, kept: Layers) -> bool:
        self._step()
        good = self._passes(kept)
        if good and self._total(kept) <= self._total(self._kept):
            self._kept = kept
        return good

    def _error(self, group: tuple[int, ...]) -> float:
        if group not in self._errors:
            self._step()
            self._errors[group] = self._probe(frozenset(group))
        return self._errors[group]

    def _step(self) -> None:
        if self._steps >= self._limit or time.monotonic() > self._deadline:
            raise _Spent
        self._steps += 1
        self._progress(self._steps, self._limit)

    def _cost(self, group: tuple[int, ...]) -> int:
        return sum(self._macs[layer] for layer in group)

    def _total(self, kept: Layers) -> tuple[int, int]:
        return sum(self._macs[layer] for layer in kept), len(kept)

    def _is_split(self, group: tuple[int, ...]) -> bool:
        return any(other != group and set(other) <= set(group) for other in self._errors)


def _split(layers: Sequence[int], most: int) -> list[tuple[int, ...]]:
    """Return at most `most` runs of neighbouring layers, of about the same length."""
    size = -(-len(layers) // most)
    return [tuple(layers[start : start + size]) for start in range(0, len(layers), size)]


def _halves(group: tuple[int, ...]) -> list[tuple[int, ...]]:
    middle = (len(group) + 1) // 2
    return [part for part in (group[:middle], group[middle:]) if part]
