"""--track and its options: whether and how `segrt stream` follows things."""

from typing import TYPE_CHECKING

import click

from segrt.runtime.cli.options import grouped
from segrt.runtime.console.quantities import DURATION

if TYPE_CHECKING:
    from segrt.runtime.tracking import TrackerOptions


_COLORS = 0.9  # weight of colours; chosen on street clips that no figure is reported of


def _tracking(track: bool, track_lost: float | None, track_camera: bool, track_colors: bool) -> "TrackerOptions | None":
    """Return how things are followed, None where nothing is; refuse options of a tracking that was not asked for."""
    from segrt.runtime.errors import SegrtError

    named = ("--track-lost", track_lost is not None), ("--track-camera", track_camera), ("--track-colors", track_colors)
    for name, given in named:
        if given and not track:
            raise SegrtError(f"{name}: says how things are followed, but nothing is; add --track")
    if not track:
        return None
    from segrt.runtime.tracking import TrackerOptions

    lost = TrackerOptions().lost_seconds if track_lost is None else track_lost
    appearance = _COLORS if track_colors else 0.0
    return TrackerOptions(lost_seconds=lost, camera_motion=track_camera, appearance=appearance)


TRACKING = grouped(
    "tracking",
    _tracking,
    click.option("--track", is_flag=True, help="Follow things: each keeps its track_id from frame to frame."),
    click.option("--track-lost", type=DURATION, metavar="TIME", help="A thing may be out of sight for so long; 3s."),
    click.option("--track-camera", is_flag=True, help="Take the camera's own motion out, where it moves."),
    click.option("--track-colors", is_flag=True, help="Tell things that hide each other apart by their colours, too."),
)
