"""Opens a bundle that a server executes as the segmenter of its technique."""

import logging

from segrt.runtime.bundle.manifest import Variant
from segrt.runtime.decode.decoding_place import Placement
from segrt.runtime.decode.rule import Context, DecodeRule
from segrt.runtime.decode.rule_changes import RuleChanges
from segrt.runtime.errors import BackendError
from segrt.runtime.remote.remote_bundle import RemoteBundle
from segrt.runtime.remote.remote_steps import RemoteSteps
from segrt.runtime.segmenter.calling import Segmenter
from segrt.runtime.segmenter.typed_segmenters import SEGMENTERS

log = logging.getLogger("segrt.decode")


def open_served(
    bundle: RemoteBundle, variant: Variant, batch: int, decode: DecodeRule, changes: RuleChanges
) -> Segmenter:
    """Connect to the server of `bundle`; see `open_bundle`."""
    backend = bundle.connected(batch=batch, changes=changes)
    try:
        steps = RemoteSteps(backend, bundle.manifest, bundle.address.encoding)
    except BaseException:
        backend.close()
        raise
    log.info("%s: %s", bundle.manifest.name, backend.reason)
    placement = Placement(bundle.served.description.decode_device, "the server's choice")
    context = Context(decode, bundle.manifest.labels)
    return SEGMENTERS[bundle.manifest.technique](bundle, variant, backend, context, placement, steps)


def refuse_server_choices(bundle: RemoteBundle, backend: str, device: str, decode_on: str) -> None:
    """Raise BackendError for what only whoever exports the model can choose."""
    for what, given in (("backend", backend), ("device", device), ("decode", decode_on)):
        if given != "auto":
            raise BackendError(
                f"{bundle.where}: {what} is the server's choice, but got {given!r}; leave it out, or give it to "
                "`segrt export-triton`"
            )
