"""Which segment of a frame is which one of the clip: ids that last from frame to frame."""

from collections.abc import Sequence
from itertools import count

from segrt.runtime.errors import SegrtError
from segrt.runtime.evaluate.truth import PanopticTruth
from segrt.runtime.results import PanopticResult

_UNTRACKED = count(-(1 << 40), -1)
"""Ids of what nobody tracked; each is used once. Those of stuff lie between these and 0."""


def lasting_ids(image: PanopticResult | PanopticTruth) -> list[int]:
    """Return the lasting id of each segment.

    Of files it is the id in the map, as the layouts of clips have it. Of results it is the track; stuff has one a
    class, and a thing without a track is a segment of this frame alone.
    """
    if isinstance(image, PanopticTruth):
        return [segment.id for segment in image.segments]
    ids = []
    for segment in image.segments:
        if not image.labels[segment.class_id].isthing:
            ids.append(-1 - segment.class_id)
        else:
            ids.append(next(_UNTRACKED) if segment.track_id is None else segment.track_id)
    check_unique(ids)
    return ids


def is_untracked(lasting_id: int) -> bool:
    """Whether it is the id of a thing without a track."""
    return lasting_id <= -(1 << 40)


def check_unique(track_ids: Sequence[int]) -> None:
    """Raise SegrtError when two objects of one frame are of one track."""
    twice = next((track for track in track_ids if track_ids.count(track) > 1), None)
    if twice is not None:
        raise SegrtError(f"the prediction has track {twice} twice in one frame; a track is one object")
