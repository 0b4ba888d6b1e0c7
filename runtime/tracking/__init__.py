"""Which object is which from frame to frame: results in, the same results with track ids out."""

from segrt.runtime.tracking.track import Track
from segrt.runtime.tracking.tracker import Tracker
from segrt.runtime.tracking.tracker_options import ClassOptions, TrackerOptions

__all__ = ["ClassOptions", "Track", "Tracker", "TrackerOptions"]
