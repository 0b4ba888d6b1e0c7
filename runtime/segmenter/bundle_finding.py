"""Bundles that can be opened as segmenters: those of this device, and those that a server executes, by address."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from segrt.runtime.bundle.bundle import Bundle
from segrt.runtime.bundle.locating import read_bundle
from segrt.runtime.errors import BundleError
from segrt.runtime.files.uri import redact, scheme_of
from segrt.runtime.registry import Registry

if TYPE_CHECKING:
    from segrt.runtime.remote.remote_bundle import RemoteBundle

SERVERS: Registry[Callable[[str], "RemoteBundle"]] = Registry(
    "server", {"triton": "segrt.runtime.remote.remote_bundle:find_remote"}
)
"""Scheme of an address → what asks the server there for a bundle."""


def find_bundle(path_or_name: str | Path) -> Bundle:
    """Return the bundle at a path, of a name or at a server's address (triton://HOST:8001/NAME), its manifest read.

    Whoever needs a bundle's files calls `read_bundle`, which takes no addresses. Raises BundleError or BackendError.
    """
    text = str(path_or_name)
    scheme = scheme_of(text) if isinstance(path_or_name, str) else None
    if scheme is None:
        return read_bundle(path_or_name)
    if scheme not in SERVERS:
        known = ", ".join(f"{name}://" for name in SERVERS)
        raise BundleError(f"{redact(text)}: bundles of scheme {scheme!r} are not known; give a folder or {known}…")
    return SERVERS.load(scheme)(text)
