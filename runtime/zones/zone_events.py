"""What is told of zones: one struct, one JSON object, in a documented and versioned form."""

import msgspec

from segrt.runtime.files.json_files import encode_json


class Event(
    msgspec.Struct, frozen=True, omit_defaults=True, rename={"class_name": "class"}, tag_field="format", tag="1.0"
):
    """One event. Fields that say nothing are left out of its JSON.

    `event`: seen, gone, entered, left, crossed, count, rule or recording. `index` and `pts` (seconds) are those of the
    frame that showed it; `zone` is the zone's or line's name, `class` and `class_id` the thing's, `track_id` its track.
    `share` of the mask was inside when it entered. `direction`, of crossed, is "left to right" or "right to left".
    `dwell` is for how long it was inside (left) or there (gone), in seconds, None where the source states no times;
    `first_seen` and `last_seen` are the pts of its first and last frame. `reason` says why a stay ended without the
    thing's leaving: gone, time jumped back, zones changed, end. `counts`, of count, are all classes that are inside
    now. `rule` is its text, `file` the clip that is recorded.
    """

    event: str
    source: str
    index: int
    pts: float | None
    zone: str | None = None
    class_name: str | None = None
    class_id: int | None = None
    track_id: int | None = None
    share: float | None = None
    direction: str | None = None
    dwell: float | None = None
    first_seen: float | None = None
    last_seen: float | None = None
    reason: str | None = None
    counts: dict[str, int] | None = None
    rule: str | None = None
    file: str | None = None


def line_of_event(event: Event) -> bytes:
    """Return the event as JSON, without a line feed."""
    return encode_json(event)
