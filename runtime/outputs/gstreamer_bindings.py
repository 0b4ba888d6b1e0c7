"""The way to GStreamer from Python: its bindings come from the system (python3-gi), never from a package index."""

import sys
import warnings
from importlib import import_module
from typing import Any

from segrt.runtime.errors import VideoError

_SYSTEM_PACKAGES = "/usr/lib/python3/dist-packages"  # where Debian and JetPack put python3-gi
PACKAGES = "python3-gi gir1.2-gstreamer-1.0 gir1.2-gst-plugins-base-1.0 gstreamer1.0-plugins-base"


def start(name: str, packages: str = PACKAGES) -> Any:
    """Return GStreamer's `Gst`, ready for use.

    Raises VideoError, naming the source or sink `name` and Debian's `packages`, where it is not installed.
    """
    try:
        gst = library("Gst", "1.0")
        library("GstApp", "1.0")  # gives appsinks their methods
    except (ImportError, ValueError):
        raise VideoError(f"{name}: needs GStreamer's Python bindings; sudo apt-get install {packages}") from None
    if not gst.is_initialized():
        gst.init(None)
    return gst


def library(name: str, version: str) -> Any:
    """Return a library of GObject's world, "GstRtspServer"; raise ImportError or ValueError where it is not there."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ImportWarning)  # of gi's own way of importing
        import_gi().require_version(name, version)
        return import_module(f"gi.repository.{name}")


def import_gi() -> Any:
    """Return the module `gi`; raise ImportError where there is none for this Python."""
    try:
        return import_module("gi")
    except ImportError:
        # A virtual environment does not see the system's packages; only this one is taken from there.
        sys.path.append(_SYSTEM_PACKAGES)
        try:
            gi = import_module("gi")
            for name in ("gi.repository", "gi.overrides"):
                import_module(name)
            return gi
        finally:
            sys.path.remove(_SYSTEM_PACKAGES)
