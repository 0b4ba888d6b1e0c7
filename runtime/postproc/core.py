"""The one door to the C++ core, which is compiled from `cpp_postproc/`."""

from segrt.runtime import _postproc as core

__all__ = ["core"]
