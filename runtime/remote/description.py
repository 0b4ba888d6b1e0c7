"""What a served model says of itself when it is asked for its description."""

from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import msgspec

from segrt.runtime.bundle.bundle import Bundle
from segrt.runtime.bundle.manifest import Manifest, Variant
from segrt.runtime.bundle.manifest_parsing import parse_manifest
from segrt.runtime.errors import BackendError
from segrt.runtime.inference.tensors import Device
from segrt.runtime.remote.result_tensors import PROTOCOL

PARAMETER = "segrt_protocol"
"""The parameter of `config.pbtxt` by which a model of segrt is known."""


class Description(msgspec.Struct, frozen=True):
    """The running model: segrt's version there, the bundle, and what executes and decodes it.

    `digest` is the SHA-256 of the manifest, which has those of all other files; `manifest` has one variant, the one
    that is executed at `precision`.
    """

    protocol: int
    segrt: str
    digest: str
    precision: str
    backend: str
    device: str
    decode_device: Device
    reason: str
    manifest: msgspec.Raw


@dataclass(frozen=True)
class ServedBundle:
    """A description that was read: its manifest, and the variant that is executed."""

    description: Description
    manifest: Manifest
    variant: Variant


def own_version() -> str:
    """Return the version of this segrt."""
    return version("segrt")


def same_release(one: str, other: str) -> bool:
    """Whether two versions of segrt give the same results: they differ in their last number at most."""
    return one.split(".")[:2] == other.split(".")[:2]


def check_release(where: str, theirs: str, protocol: Any) -> None:
    """Raise BackendError for a model of another segrt than this one; `where` names it."""
    if str(protocol) != str(PROTOCOL) or not same_release(theirs, own_version()):
        raise BackendError(
            f"{where}: is a model of segrt {theirs}, but this is segrt {own_version()}; install the same version on "
            "both sides, or export the model again"
        )


def read_description(data: bytes, where: str) -> ServedBundle:
    """Return what a model has said; raise BackendError or BundleError where this segrt cannot go by it."""
    try:
        description = msgspec.json.decode(data, type=Description)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise BackendError(f"{where}: describes itself in a way that this segrt cannot read; export it again") from None
    check_release(where, description.segrt, description.protocol)
    manifest = parse_manifest(bytes(description.manifest), where)
    bundle = Bundle(Path(where), manifest)
    return ServedBundle(description, manifest, bundle.variant(description.precision))
