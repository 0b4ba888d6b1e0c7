"""The step that counts what is in zones, tells events and keeps clips."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar
from weakref import WeakKeyDictionary

from segrt.runtime.files.images import Picture
from segrt.runtime.outputs.output_files import names_of_sources
from segrt.runtime.outputs.written_files import WrittenFiles
from segrt.runtime.results import Result
from segrt.runtime.stream.clips.clip_keeper import ClipKeeper
from segrt.runtime.stream.events.event_output import EventOutput
from segrt.runtime.stream.frame import Frame
from segrt.runtime.stream.recorder import Recorder
from segrt.runtime.stream.sources.source import Source
from segrt.runtime.stream.step import Draw, Step
from segrt.runtime.stream.zone_plans import Planned, refuse_other_sources
from segrt.runtime.stream.zone_saving import ZoneSaving
from segrt.runtime.zones.counting import Moment, ZoneCounter
from segrt.runtime.zones.rule_watch import RuleWatch
from segrt.runtime.zones.rules import Rule, read_rules
from segrt.runtime.zones.shapes import ZonePlan
from segrt.runtime.zones.zone_events import Event, line_of_event
from segrt.runtime.zones.zone_totals import ZoneTotals

log = logging.getLogger("segrt.stream")


class ZonesStep(Step):
    """Counts `plan`'s zones in each source's results, and puts what happens into `outputs`; results go on as they are.

    `clips` keeps clips for as long as one of `recorded` holds. What `saving` saves takes the place of `plan` with the
    next frame. Things without tracks are counted alone; that they have none is said once.
    """

    name: ClassVar[str] = "zones"
    asked_by: ClassVar[str] = "--zones"
    techniques: ClassVar[tuple[str, ...] | None] = ("instance", "panoptic")

    def __init__(
        self,
        plan: ZonePlan,
        outputs: Sequence[EventOutput] = (),
        *,
        recorded: Sequence[Rule] = (),
        clips: ClipKeeper | None = None,
        saving: ZoneSaving | None = None,
    ) -> None:
        self._saving = saving
        if saving is None:
            self._planned = Planned(plan, read_rules(plan.rules, plan, "rule"), tuple(recorded))
        else:
            self._planned = saving.planned
        self.totals = ZoneTotals()
        self.counted: WeakKeyDictionary[Result, tuple[ZonePlan, Mapping[str, Mapping[str, int]]]] = WeakKeyDictionary()
        """What is inside the zones of results that are still somewhere, for whoever draws them."""
        self._outputs = tuple(outputs)
        self._clips = clips
        self._watched: dict[str, _Watched] = {}
        self._recorder: Recorder | None = None
        self._begun = self._closed = self._said = self._live = False

    def files(self) -> Mapping[str, WrittenFiles]:
        """Return the files of events."""
        return {f"--events {path}": output.files(str(path)) for output in self._outputs if (path := output.path)}

    def watch(self, sources: Sequence[Source], recorder: Recorder) -> None:
        """Find each source's zones; raise SegrtError for zones of a source that there is not."""
        self._live = any(source.info.live for source in sources)
        names = names_of_sources([source.info.source_id for source in sources])
        known = {name for pair in names.items() for name in pair if name}
        refuse_other_sources(self._planned.plan, known)
        for source_id, name in names.items():
            watched = self._watched[source_id] = _Watched(self._planned, source_id, name)
            self.totals.begin(source_id, watched.plan)
        if self._saving is not None:
            self._saving.sources, self._saving.on_saved = known, self._show
        self._recorder = recorder
        recorder.zones, recorder.zone_saving = self.totals, self._saving
        if self._clips is not None:
            self._clips.watch(sources, recorder, packets=not self.among_edited)

    def take(self, frame: Frame, result: Result) -> Result:
        """Count, and tell what happens."""
        self._begin()
        watched = self._watched[frame.source_id]
        now = Moment(frame.index, frame.pts)
        ended = self._renew(watched, now)
        update = watched.counter.update(frame.index, frame.pts, result)
        verdict = watched.rules.look(now, update)
        recorded = watched.recorded.look(now, update)
        events = [*ended, *update.events, *verdict.met]
        self.counted[result] = (watched.plan, update.counts)
        if update.tracked is False and not self._said and not watched.counter.trails:
            self._said = True
            log.warning("zones: results have no tracks, so zones give counts alone; add --track for events")
        if self._clips is not None:
            path = self._clips.take(frame, recorded.holding[0].text if recorded.holding else None)
            if path is not None:
                events.append(_recording(frame, recorded.holding[0], path))
        self.totals.add(frame.source_id, update.counts, events)
        self._tell(events)
        return result

    def drawing(self, draw: Draw | None) -> Draw:
        """Return what draws zones and their counts over what `draw` draws."""
        from segrt.runtime.zones.outlines import draw_zones, labels_of

        def with_zones(picture: Picture, result: Result) -> Picture:
            from segrt.runtime.draw import overlay

            counted = self.counted.get(result)
            if draw is None:
                labels = () if counted is None else labels_of(result.size, *counted)
                drawn = overlay(picture, result, reserved=[label.box for label in labels])
            else:
                drawn = draw(picture, result)
            return drawn if counted is None else draw_zones(drawn, *counted)

        return with_zones

    def written(self) -> Sequence[Path]:
        """Return the files of events, and the clips."""
        clips = [] if self._clips is None else self._clips.written()
        return [*(path for output in self._outputs for path in output.written()), *clips]

    def close(self) -> None:
        """End all stays, deliver what waits, finish the clips."""
        if self._closed or not self._begun:
            return
        self._closed = True
        try:
            if self._clips is not None:
                self._clips.close()
        finally:
            try:
                for source_id, watched in self._watched.items():
                    events = watched.counter.finish()
                    self.totals.add(source_id, None, events)
                    self._tell(events)
            finally:
                for output in self._outputs:
                    output.close()

    def _begin(self) -> None:
        if self._begun:
            return
        self._begun = True
        assert self._recorder is not None
        for number, output in enumerate(self._outputs):
            several = sum(other.name == output.name for other in self._outputs) > 1
            name = f"{output.name} {number + 1}" if several else output.name
            output.begin(self._recorder, name, live=self._live)

    def _show(self, plan: ZonePlan) -> None:
        """Let the page have zones that were saved before the next frame counts by them."""
        for watched in self._watched.values():
            self.totals.begin(watched.source_id, plan.of_source(watched.source_id, watched.name))

    def _renew(self, watched: "_Watched", now: Moment) -> Sequence[Event]:
        """Let a source count by what has been saved since its last frame; return what ends by that."""
        if self._saving is None or self._saving.planned is watched.planned:
            return ()
        events = watched.change(self._saving.planned, now)
        self.totals.begin(watched.source_id, watched.plan)
        return events

    def _tell(self, events: Sequence[Event]) -> None:
        for event in events if self._outputs else ():
            line = line_of_event(event)
            for output in self._outputs:
                output.put(line, event.pts)


class _Watched:
    """One source's zones and rules."""

    def __init__(self, planned: Planned, source_id: str, name: str) -> None:
        self.planned, self.source_id, self.name = planned, source_id, name
        self.plan = planned.plan.of_source(source_id, name)
        self.counter = ZoneCounter(self.plan, source_id)
        self.rules = RuleWatch(planned.rules, self.plan, source_id, self.counter)
        self.recorded = RuleWatch(planned.recorded, self.plan, source_id, self.counter)

    def change(self, planned: Planned, now: Moment) -> Sequence[Event]:
        """Count by what is planned from now on; return what ends by that."""
        self.planned, self.plan = planned, planned.plan.of_source(self.source_id, self.name)
        self.rules.change(planned.rules, self.plan)
        self.recorded.change(planned.recorded, self.plan)
        return self.counter.change(self.plan, now.index, now.pts)


def _recording(frame: Frame, rule: Rule, path: Path) -> Event:
    pts = None if frame.pts is None else round(frame.pts, 6)
    return Event("recording", frame.source_id, frame.index, pts, zone=rule.place, rule=rule.text, file=str(path))
