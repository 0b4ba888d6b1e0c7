"""What a run counts by: the file of zones, its rules and those of clips, checked for this run."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from segrt.runtime.console.suggestions import did_you_mean
from segrt.runtime.errors import SegrtError
from segrt.runtime.results import Label
from segrt.runtime.zones.rules import Rule, read_rules
from segrt.runtime.zones.shapes import ZonePlan
from segrt.runtime.zones.zone_file import parse_zones, read_zone_bytes


@dataclass(frozen=True)
class Planned:
    """Zones and lines, the rules of their file, and those for which clips are kept."""

    plan: ZonePlan
    rules: tuple[Rule, ...] = ()
    recorded: tuple[Rule, ...] = ()


@dataclass(frozen=True)
class PlanReader:
    """Reads files of zones for one run, of a bundle with these `labels` and this `technique`.

    `recorded` are the rules for which clips are kept, as they are written; `tracked` says whether things are followed.
    """

    labels: Sequence[Label]
    technique: str
    recorded: tuple[str, ...] = ()
    tracked: bool = False

    def read_file(self, path: Path) -> Planned:
        """Return what a file says; raise SegrtError for what is not right in it, or does not fit to this run."""
        return self.read(read_zone_bytes(path), str(path))

    def read(self, data: bytes, where: str) -> Planned:
        """Return what `data` says, which errors call `where`."""
        return self._checked(parse_zones(data, where, self.labels, self.technique), where)

    def read_nothing(self, where: str) -> Planned:
        """Return what there is where no zone has been drawn yet."""
        return self._checked(ZonePlan((), (), tuple(label.name for label in self.labels)), where)

    def _checked(self, plan: ZonePlan, where: str) -> Planned:
        recorded = read_rules(self.recorded, plan, "--record-on")
        rules = read_rules(plan.rules, plan, f"{where}: rule")
        for what, given in ((f"{where}: rule", rules), ("--record-on", recorded)):
            for rule in given:
                if rule.needs_tracks and not self.tracked:
                    raise SegrtError(f"{what} {rule.text!r}: speaks of one thing over time; add --track")
        return Planned(plan, rules, recorded)


def refuse_other_sources(plan: ZonePlan, known: Collection[str]) -> None:
    """Raise SegrtError for a zone or line of a source that is not among the `known` names."""
    for place in (*plan.zones, *plan.lines):
        if place.source is not None and place.source not in known:
            meant = did_you_mean(place.source, known) or f"; sources are {', '.join(sorted(known))}"
            raise SegrtError(f"zones: {place.name!r} is of source {place.source!r}, which there is not{meant}")
