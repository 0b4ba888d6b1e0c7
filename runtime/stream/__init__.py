"""Video in, results out: sources, the pipeline of stages in threads, and sinks.

Importing this package loads neither PyAV nor OpenCV: names are looked up on first use.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from segrt.runtime.stream.frame import Frame
    from segrt.runtime.stream.loop import run_stream, stream

__all__ = ["Frame", "run_stream", "stream"]

_HOMES = {
    "Frame": "segrt.runtime.stream.frame",
    "run_stream": "segrt.runtime.stream.loop",
    "stream": "segrt.runtime.stream.loop",
}


def __getattr__(name: str) -> Any:
    """Import the module that holds `name`."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
