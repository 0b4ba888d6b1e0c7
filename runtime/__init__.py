"""segrt's lean runtime: opens a bundle, runs it on images and video; never imports torch."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from segrt.runtime.errors import SegrtError
    from segrt.runtime.results import InstanceResult, Label, PanopticResult, Result, Segment, SemanticResult
    from segrt.runtime.segmenter import (
        EmbeddedPicture,
        InstanceSegmenter,
        PanopticSegmenter,
        Prompt,
        PromptSegmenter,
        Segmenter,
        SemanticSegmenter,
        open_bundle,
    )

    __version__: str

__all__ = [
    "EmbeddedPicture",
    "InstanceResult",
    "InstanceSegmenter",
    "Label",
    "PanopticResult",
    "PanopticSegmenter",
    "Prompt",
    "PromptSegmenter",
    "Result",
    "Segment",
    "Segmenter",
    "SegrtError",
    "SemanticResult",
    "SemanticSegmenter",
    "__version__",
    "open_bundle",
]

_RESULTS = ("InstanceResult", "Label", "PanopticResult", "Result", "Segment", "SemanticResult")


def __getattr__(name: str) -> Any:
    """Import the public names on first use, so that `import segrt.runtime` costs nothing."""
    if name == "__version__":
        from importlib.metadata import version

        return version("segrt")
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if name == "SegrtError":
        return import_module("segrt.runtime.errors").SegrtError
    if name in _RESULTS:
        import_module("segrt.runtime.segmenter.drawers")  # enters what draws them
        return getattr(import_module("segrt.runtime.results"), name)
    return getattr(import_module("segrt.runtime.segmenter"), name)
