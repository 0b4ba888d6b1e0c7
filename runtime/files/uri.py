"""Names of sources and sinks: their scheme, and how they are shown without credentials."""

import re

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_USER = re.compile(r"://.*@", re.DOTALL)
_PIPELINE = re.compile(r"gst:", re.IGNORECASE)
_PIPELINE_SECRET = re.compile(r"((?:user-pw|password|token|secret|key)\s*=\s*)(\"[^\"]*\"|\S+)", re.IGNORECASE)
_SECRET = re.compile(r"([?&;][^=&;#]*(?:token|pass|pwd|secret|key|auth|sig|cred)[^=&;#]*=)[^&;#]*", re.IGNORECASE)


def scheme_of(uri: str) -> str | None:
    """Return the scheme of `uri` in lower case, "gst" for a GStreamer pipeline (gst:…), or None for a plain path."""
    if _PIPELINE.match(uri):
        return "gst"
    match = _SCHEME.match(uri)
    return match.group(1).lower() if match else None


def redact(uri: str) -> str:
    """Return `uri` without user, password and secret query values, fit for logs, metrics and files.

    A password may contain anything, "/" and "@" included, so everything up to the last "@" goes; a path with an "@"
    loses its host, which is the price. Plain paths are returned as they are.
    """
    if scheme_of(uri) is None:
        return uri
    if _PIPELINE.match(uri):
        return _PIPELINE_SECRET.sub(r"\1***", re.sub(r"://\S*@", "://***@", uri))
    return _SECRET.sub(r"\1***", _USER.sub("://***@", uri))
