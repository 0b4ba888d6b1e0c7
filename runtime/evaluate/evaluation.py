"""The outcome of an evaluation, as `segrt eval --json` writes it."""

from collections.abc import Mapping

import msgspec

Figure = float | None


class Evaluation(msgspec.Struct, frozen=True, omit_defaults=True):
    """Figures of one technique on a number of images, each 0 to 1; None where nothing was there to measure.

    `metrics` are over all classes, `per_class` maps a class's name to its own. `subject` names what was evaluated: a
    bundle, or a file of predictions; `converted_from` the technique of its results where it is another one. `skipped`
    counts images whose files could not be used. `drops` says by how much each figure is below that of `against`.
    """

    technique: str
    images: int
    metrics: dict[str, Figure]
    per_class: dict[str, dict[str, Figure]]
    subject: str | None = None
    converted_from: str | None = None
    skipped: int = 0
    against: str | None = None
    drops: dict[str, Figure] | None = None


def mean(values: Mapping[str, Figure] | list[Figure]) -> Figure:
    """Return the mean of the figures that are there, None where there is none."""
    known = [value for value in (values.values() if isinstance(values, Mapping) else values) if value is not None]
    return sum(known) / len(known) if known else None
