"""Opens a bundle on a backend, or on the server that has it, as the segmenter of its technique."""

import logging
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypedDict, overload

from segrt.runtime.bundle.bundle import Bundle
from segrt.runtime.bundle.manifest import Variant
from segrt.runtime.bundle.network_files import member_files, network_file, tensor_specs
from segrt.runtime.decode.decoding_place import Placement, after_opening, before_opening
from segrt.runtime.decode.rule import Context, DecodeRule, MemberRule
from segrt.runtime.decode.rule_changes import RuleChanges
from segrt.runtime.errors import BackendError, BundleError
from segrt.runtime.inference.backend import Backend
from segrt.runtime.inference.backends import check_choice, open_backend, open_members
from segrt.runtime.inference.engine_policy import EnginePolicy
from segrt.runtime.inference.execution import WantedPlace
from segrt.runtime.inference.network_file import Opening
from segrt.runtime.inference.tensors import WantedDevice
from segrt.runtime.remote.remote_bundle import RemoteBundle
from segrt.runtime.remote.remote_steps import RemoteSteps
from segrt.runtime.results.technique import Technique
from segrt.runtime.segmenter.bundle_finding import find_bundle
from segrt.runtime.segmenter.calling import Segmenter
from segrt.runtime.segmenter.typed_segmenters import (
    SEGMENTERS,
    InstanceSegmenter,
    PanopticSegmenter,
    SemanticSegmenter,
)

if TYPE_CHECKING:
    from typing_extensions import Unpack

log = logging.getLogger("segrt.decode")


class _Options(TypedDict, total=False):
    """What `open_bundle` takes beside the bundle and its technique, for its overloads."""

    backend: str
    precision: str | None
    threads: int
    score_threshold: float | None
    overlap_threshold: float | None
    merge_rule: str | None
    compat: bool | None
    batch: int | None
    sources: int
    engines: EnginePolicy | None
    device: WantedDevice
    decode_on: WantedPlace


@overload
def open_bundle(path_or_name: Literal["street-semantic"], **options: "Unpack[_Options]") -> SemanticSegmenter: ...
@overload
def open_bundle(
    path_or_name: str | Path, *, technique: Literal["semantic"], **options: "Unpack[_Options]"
) -> SemanticSegmenter: ...
@overload
def open_bundle(path_or_name: Literal["street-instance"], **options: "Unpack[_Options]") -> InstanceSegmenter: ...
@overload
def open_bundle(
    path_or_name: str | Path, *, technique: Literal["instance"], **options: "Unpack[_Options]"
) -> InstanceSegmenter: ...
@overload
def open_bundle(path_or_name: Literal["street-panoptic"], **options: "Unpack[_Options]") -> PanopticSegmenter: ...
@overload
def open_bundle(
    path_or_name: str | Path, *, technique: Literal["panoptic"], **options: "Unpack[_Options]"
) -> PanopticSegmenter: ...
@overload
def open_bundle(
    path_or_name: str | Path, *, technique: Technique | None = None, **options: "Unpack[_Options]"
) -> Segmenter: ...
def open_bundle(
    path_or_name: str | Path,
    *,
    technique: Technique | None = None,
    backend: str = "auto",
    precision: str | None = None,
    threads: int = 0,
    score_threshold: float | None = None,
    overlap_threshold: float | None = None,
    merge_rule: str | None = None,
    compat: bool | None = None,
    batch: int | None = 1,
    sources: int = 1,
    engines: EnginePolicy | None = None,
    device: WantedDevice = "auto",
    decode_on: WantedPlace = "auto",
) -> Segmenter:
    """Open a bundle's folder, an embedded one by name ("street-panoptic"), or a server's, on a backend.

    "triton://HOST:8001/NAME" is a model of `segrt export-triton` on a Triton server, which then executes the network
    and decodes its heads: see docs/triton.md.

    `technique`, "semantic", "instance" or "panoptic", says what the caller counts on: another bundle is refused, and
    the segmenter's type tells its results' (`PanopticSegmenter`); without it, the results may be of any technique.
    `precision` picks a variant (the first one by default), `threads` the number of CPU threads (0: the default),
    the thresholds (0 to 1) replace those of the bundle's decode rule, `merge_rule` and `compat` the way it merges: see
    `RuleChanges`. `batch` is how many frames a slot holds; None
    means one of each of `sources` where the network takes so many, else 1. `engines` says where TensorRT's engines lie
    and whether they may be built. With `device` "cpu" no GPU is used, as for whatever others are compared with.
    `decode_on` is what decodes the heads, "cpu", "cuda", or with "auto" where they lie; it is no part of the bundle's
    decode rule. Raises BundleError or BackendError.
    """
    bundle = find_bundle(path_or_name)
    if technique is not None and technique != bundle.manifest.technique:
        raise BundleError(
            f"{path_or_name}: technique must be {technique!r}, but its is {bundle.manifest.technique!r}; open another "
            "bundle, or leave technique out"
        )
    return open_segmenter(
        bundle,
        backend=backend,
        precision=precision,
        threads=threads,
        changes=RuleChanges(score_threshold, overlap_threshold, merge_rule, compat),
        batch=_batch_for(bundle, sources) if batch is None else batch,
        engines=engines,
        device=device,
        decode_on=decode_on,
    )


def open_segmenter(
    bundle: Bundle,
    *,
    backend: str = "auto",
    precision: str | None = None,
    threads: int = 0,
    changes: RuleChanges | None = None,
    batch: int = 1,
    engines: EnginePolicy | None = None,
    device: WantedDevice = "auto",
    decode_on: WantedPlace = "auto",
) -> Segmenter:
    """Open `bundle`, whose manifest has been read; see `open_bundle`."""
    decode = (changes or RuleChanges()).of(bundle.manifest.decode, bundle.where)
    variant = bundle.variant(precision)
    if isinstance(bundle, RemoteBundle):
        _refuse_server_choices(bundle, backend, device, decode_on)
        return _open_remote(bundle, variant, batch, decode, changes or RuleChanges())
    heads = tensor_specs(bundle.manifest, variant, batch)[1]
    roles = {spec.role: head for spec, head in zip(bundle.manifest.heads, heads, strict=True)}
    placement = before_opening(decode_on, decode, roles)
    opening = Opening(threads, engines=engines or EnginePolicy(), heads_on=placement.device, device=device)
    opened = _opened(bundle, variant, batch, backend, opening)
    if placement.device == "cuda":
        try:
            placement = after_opening(decode_on, decode, opened)
        except BaseException:
            opened.close()
            raise
        if placement.device == "cpu" and opened.head_device == "cuda":
            opened.close()
            opened = _opened(bundle, variant, batch, backend, replace(opening, heads_on="cpu"))
    log.info("%s: decoding on %s, %s", bundle.manifest.name, placement.device, placement.reason)
    members = tuple(
        MemberRule(member.name, member.decode, member.labels, member.classes) for member in bundle.manifest.members
    )
    segmenter = SEGMENTERS[bundle.manifest.technique]
    return segmenter(bundle, variant, opened, Context(decode, bundle.manifest.labels, threads, members), placement)


def _open_remote(
    bundle: RemoteBundle, variant: Variant, batch: int, decode: DecodeRule, changes: RuleChanges
) -> Segmenter:
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


def _refuse_server_choices(bundle: RemoteBundle, backend: str, device: str, decode_on: str) -> None:
    """Raise BackendError for what only whoever exports the model can choose."""
    for what, given in (("backend", backend), ("device", device), ("decode", decode_on)):
        if given != "auto":
            raise BackendError(
                f"{bundle.where}: {what} is the server's choice, but got {given!r}; leave it out, or give it to "
                "`segrt export-triton`"
            )


def _opened(bundle: Bundle, variant: Variant, batch: int, backend: str, opening: Opening) -> Backend:
    check_choice(backend, opening)
    if bundle.manifest.members:
        return open_members(member_files(bundle, variant, batch), backend=backend, opening=opening)
    return open_backend(network_file(bundle, variant, batch), backend=backend, opening=opening)


def _batch_for(bundle: Bundle, sources: int) -> int:
    return sources if all(spec.shape[0] == "N" for spec in bundle.manifest.inputs) else 1
