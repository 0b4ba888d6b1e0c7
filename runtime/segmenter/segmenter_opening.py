"""Opens a bundle whose manifest has been read as the segmenter of its technique."""

import logging
from dataclasses import replace
from typing import TYPE_CHECKING, cast

from segrt.runtime.bundle.bundle import Bundle
from segrt.runtime.bundle.manifest import Variant
from segrt.runtime.bundle.network_files import member_files, network_file, tensor_specs
from segrt.runtime.decode.decoding_place import after_opening, before_opening
from segrt.runtime.decode.rule import Context, MemberRule
from segrt.runtime.decode.rule_changes import RuleChanges
from segrt.runtime.errors import BackendError
from segrt.runtime.inference.backend import Backend
from segrt.runtime.inference.backends import check_choice, open_backend, open_chain, open_members
from segrt.runtime.inference.engine_policy import EnginePolicy
from segrt.runtime.inference.execution import WantedPlace
from segrt.runtime.inference.network_file import Opening
from segrt.runtime.inference.tensors import WantedDevice
from segrt.runtime.preprocess.tiling import Tiling
from segrt.runtime.segmenter.calling import Segmenter
from segrt.runtime.segmenter.typed_segmenters import SEGMENTERS

if TYPE_CHECKING:
    from segrt.runtime.remote.remote_bundle import RemoteBundle

log = logging.getLogger("segrt.decode")
_TILES_AT_ONCE = 4


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
    tile: Tiling | None = None,
    trial_prompt: bool = False,
) -> Segmenter:
    """Open `bundle`, whose manifest has been read; see `open_bundle`.

    With `trial_prompt` one that takes prompts is opened as a segmenter that gives the same one for every picture
    (`segrt.runtime.preprocess.prompts.trial_prompt`): for golden frames and profiles, which are about the networks.
    """
    state = next(iter(bundle.manifest.state), None)
    if tile is not None and bundle.manifest.takes_prompts:
        raise BackendError(f"--tile: {bundle.where} takes prompts, which tiles would cut; leave it out")
    if tile is not None:
        if state is not None:
            raise BackendError(
                f"--tile: input {state!r} is carried from frame to frame, which tiles are not; leave it out"
            )
        return _opened_tiled(
            open_segmenter(
                bundle,
                backend=backend,
                precision=precision,
                threads=threads,
                changes=changes,
                batch=batch,
                engines=engines,
                device=device,
                decode_on=decode_on,
            ),
            tile,
        )
    decode = (changes or RuleChanges()).of(bundle.manifest.decode, bundle.where)
    variant = bundle.variant(precision)
    if not bundle.is_here:
        from segrt.runtime.segmenter.served_opening import open_served, refuse_server_choices

        served = cast("RemoteBundle", bundle)
        refuse_server_choices(served, backend, device, decode_on)
        return open_served(served, variant, batch, decode, changes or RuleChanges())
    if state is not None:
        if decode_on == "cuda":
            raise BackendError(
                f"--decode cuda: input {state!r} is carried from frame to frame by the CPU; leave it out"
            )
        decode_on = "cpu"
    if bundle.manifest.takes_prompts:
        placement = before_opening(decode_on, decode, {})
        opening = Opening(threads, engines=engines or EnginePolicy(), device=device)
        context = Context(decode, bundle.manifest.labels, threads)
        check_choice(backend, opening)
        chained = open_chain(
            member_files(bundle, variant, batch), bundle.manifest.embeddings, backend=backend, opening=opening
        )
        if trial_prompt:
            from segrt.runtime.segmenter.prompt_steps import TrialSteps

            steps = TrialSteps(bundle, chained, context, placement)
            return SEGMENTERS[bundle.manifest.technique](bundle, variant, chained, context, placement, steps)
        from segrt.runtime.segmenter.prompting import PromptSegmenter

        return PromptSegmenter(bundle, variant, chained, context, placement)
    heads = tensor_specs(bundle.manifest, variant, batch)[1]
    roles = {spec.role: head for spec, head in zip(bundle.manifest.heads, heads, strict=True)}
    placement = before_opening(decode_on, decode, roles)
    opening = Opening(threads, engines=engines or EnginePolicy(), heads_on=placement.device, device=device)
    if state is not None:  # a frame is given what the one before has made
        opening = replace(opening, slots=1)
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


def _opened_tiled(segmenter: Segmenter, tile: Tiling) -> Segmenter:
    """Return a segmenter that gives pictures to this one tile by tile, and closes it."""
    from segrt.runtime.segmenter.tiles.tiled_backend import tiled_backend
    from segrt.runtime.segmenter.tiles.tiled_steps import TiledSteps

    backend = tiled_backend(segmenter, tile)
    made = SEGMENTERS[segmenter.manifest.technique]
    return made(
        segmenter.bundle, segmenter.variant, backend, segmenter.context, segmenter.placement, TiledSteps(backend)
    )


def _opened(bundle: Bundle, variant: Variant, batch: int, backend: str, opening: Opening) -> Backend:
    check_choice(backend, opening)
    if bundle.manifest.members:
        return open_members(member_files(bundle, variant, batch), backend=backend, opening=opening)
    return open_backend(network_file(bundle, variant, batch), backend=backend, opening=opening)


def batch_for(bundle: Bundle, sources: int, tile: Tiling | None = None) -> int:
    """Return how many frames a slot of `bundle` holds: one of each source where the network takes so many, else 1.

    Of tiles it is some of one picture.
    """
    wanted = sources if tile is None else _TILES_AT_ONCE
    return wanted if all(spec.shape[0] == "N" for spec in bundle.manifest.inputs) else 1
