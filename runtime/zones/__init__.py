"""Zones and lines of a camera's picture: what is inside, who entered, left and crossed, and the rules about it.

They count what results hold and follow things by their track ids, wherever these come from.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from segrt.runtime.zones.counting import ZoneCounter
    from segrt.runtime.zones.zone_file import read_zones

__all__ = ["ZoneCounter", "read_zones"]

_HOMES = {"ZoneCounter": "segrt.runtime.zones.counting", "read_zones": "segrt.runtime.zones.zone_file"}


def __getattr__(name: str) -> Any:
    """Import the module that holds `name`."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
