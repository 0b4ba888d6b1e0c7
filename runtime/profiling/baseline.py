"""Comparing a profile with an earlier one: a change must be beyond noise and tolerance."""

from dataclasses import dataclass

from segrt.runtime.profiling.records import Profile, Run, StageFigures

_SMALLEST_MS = 0.02


@dataclass(frozen=True)
class Change:
    """A stage's medians before and after; `is_regression` when it is slower beyond noise and tolerance."""

    title: str
    stage: str
    before: StageFigures
    after: StageFigures
    is_noise: bool
    is_regression: bool

    @property
    def ratio(self) -> float:
        """How many times as long it takes now."""
        return self.after.p50_ms / self.before.p50_ms if self.before.p50_ms > 0 else 1.0


@dataclass(frozen=True)
class Comparison:
    """All changes, and the candidates that are in one profile alone."""

    changes: list[Change]
    missing: list[str]
    new: list[str]

    @property
    def regressions(self) -> list[Change]:
        """The stages, "total" among them, that became slower, by candidate."""
        return [change for change in self.changes if change.is_regression]


def compare(old: Profile, new: Profile, tolerance: float) -> Comparison:
    """Compare candidates that both profiles have; `tolerance` 0.1 allows a tenth more.

    A change is noise when the medians' 95 % intervals overlap. It is a regression when the new interval lies wholly
    above the old one widened by the tolerance, so that two unlucky medians alone fail nothing.
    """
    before = {run.key: run for run in old.runs}
    after = {run.key: run for run in new.runs}
    changes = [
        change for key, run in after.items() if key in before for change in _changes(before[key], run, tolerance)
    ]
    return Comparison(changes, _titles(before, after), _titles(after, before))


def _changes(old: Run, new: Run, tolerance: float) -> list[Change]:
    changes = []
    for stage, after in new.stages.items():
        before = old.stages.get(stage)
        if before is None:
            continue
        is_noise = before.p50_low_ms <= after.p50_high_ms and after.p50_low_ms <= before.p50_high_ms
        limit = max(before.p50_high_ms, before.p50_ms * (1 + tolerance), before.p50_ms + _SMALLEST_MS)
        changes.append(Change(new.title, stage, before, after, is_noise, not is_noise and after.p50_low_ms > limit))
    return changes


def _titles(runs: "dict[tuple[str, str, str, int, tuple[int, int]], Run]", others: object) -> list[str]:
    return [run.title for key, run in runs.items() if key not in others]  # type: ignore[operator]
