"""Pictures of results: overlays, grids of query masks, comparisons side by side."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from segrt.runtime.draw.overlays import overlay
    from segrt.runtime.draw.panels import fit, side_by_side
    from segrt.runtime.draw.queries import query_grid

_HOMES = {
    "fit": "segrt.runtime.draw.panels",
    "overlay": "segrt.runtime.draw.overlays",
    "query_grid": "segrt.runtime.draw.queries",
    "side_by_side": "segrt.runtime.draw.panels",
}

__all__ = ["fit", "overlay", "query_grid", "side_by_side"]


def __getattr__(name: str) -> Any:
    """Import a drawing function, and OpenCV with it, on first use."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
