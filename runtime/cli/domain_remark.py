"""Says once that a bundle knows other pictures than photos, where it is to look at something else."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from segrt.runtime.console.printable import say

if TYPE_CHECKING:
    from segrt.runtime.bundle.manifest import Manifest

_DRAWN = "street://"  # the one source that is known to give what the embedded models know
_FOR_PHOTOS = "deeplabv3_mobilenet_v3_large"


def remark_on_domain(manifests: "Iterable[Manifest]", sources: Iterable[str]) -> None:
    """Write one line to standard error where some of `manifests` have a domain, and one of `sources` may leave it.

    What a picture shows is not guessed: everything but the drawn street itself may be something else.
    """
    domains: dict[str, dict[str, None]] = {}  # names in order, each once
    for manifest in manifests:
        if isinstance(manifest.domain, str):
            domains.setdefault(manifest.domain, {})[manifest.name] = None
    if all(str(source).startswith(_DRAWN) for source in sources):
        return
    for domain, names in domains.items():
        verb = "knows" if len(names) == 1 else "know"
        say(
            f"segrt: {', '.join(names)} {verb} {domain} alone, what is found in other pictures means "
            f"nothing; `segrt get {_FOR_PHOTOS}` fetches a network for photos",
            err=True,
        )
