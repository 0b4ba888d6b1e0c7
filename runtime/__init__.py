"""segrt's lean runtime: opens a bundle, runs it on images and video; never imports torch."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from segrt.runtime.segmenter import Segmenter, open_bundle

__all__ = ["Segmenter", "open_bundle"]


def __getattr__(name: str) -> Any:
    """Import the public names on first use, so that `import segrt.runtime` costs nothing."""
    if name in __all__:
        from segrt.runtime import segmenter

        return getattr(segmenter, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
