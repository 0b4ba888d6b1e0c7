"""A bundle opened on a backend: picture in, result out."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from segrt.runtime.preprocess.prompts import Prompt
    from segrt.runtime.segmenter.bundle_finding import find_bundle
    from segrt.runtime.segmenter.bundle_opening import open_bundle
    from segrt.runtime.segmenter.calling import Segmenter, with_timings
    from segrt.runtime.segmenter.prompting import EmbeddedPicture, PromptSegmenter
    from segrt.runtime.segmenter.segmenter_opening import batch_for, open_segmenter
    from segrt.runtime.segmenter.typed_segmenters import InstanceSegmenter, PanopticSegmenter, SemanticSegmenter

__all__ = [
    "EmbeddedPicture",
    "InstanceSegmenter",
    "PanopticSegmenter",
    "Prompt",
    "PromptSegmenter",
    "Segmenter",
    "SemanticSegmenter",
    "batch_for",
    "find_bundle",
    "open_bundle",
    "open_segmenter",
    "with_timings",
]

_HERE = "segrt.runtime.segmenter"
_HOMES = {
    "EmbeddedPicture": f"{_HERE}.prompting",
    "InstanceSegmenter": f"{_HERE}.typed_segmenters",
    "PanopticSegmenter": f"{_HERE}.typed_segmenters",
    "Prompt": "segrt.runtime.preprocess.prompts",
    "PromptSegmenter": f"{_HERE}.prompting",
    "Segmenter": f"{_HERE}.calling",
    "SemanticSegmenter": f"{_HERE}.typed_segmenters",
    "batch_for": f"{_HERE}.segmenter_opening",
    "find_bundle": f"{_HERE}.bundle_finding",
    "open_bundle": f"{_HERE}.bundle_opening",
    "open_segmenter": f"{_HERE}.segmenter_opening",
    "with_timings": f"{_HERE}.calling",
}


def __dir__() -> list[str]:
    """Name what can be imported from here, also what nobody has asked for yet."""
    return sorted({*globals(), *__all__})


def __getattr__(name: str) -> Any:
    """Import the module that holds `name`: `open_bundle` costs nothing before it is called."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
