"""A bundle's copy with other thresholds and another default variant."""

from pathlib import Path

import msgspec

from segrt.runtime.authoring.verification import live_queries, verify_or_refuse
from segrt.runtime.bundle.bundle import Bundle
from segrt.runtime.bundle.bundle_writer import BundleWriter
from segrt.runtime.bundle.golden import GoldenOutputs, pack_golden, read_golden
from segrt.runtime.bundle.manifest import Manifest
from segrt.runtime.bundle.truth_card import TruthCard
from segrt.runtime.segmenter import open_segmenter


def rewrite(
    bundle: Bundle,
    out: Path,
    thresholds: dict[str, float],
    *,
    first: str | None = None,
    overwrite: bool = False,
    threads: int = 0,
) -> Path:
    """Write a copy of `bundle` to `out` with other thresholds, its variant `first` being the default; return `out`.

    The golden frames' results and live queries are decoded anew from the first variant of `bundle` with the new
    thresholds; where nothing changes they stay as they are. What was measured of results by the old thresholds is left
    out of the copy (see `_unmeasured`). The copy is verified before it is put in place. Raises BundleError or
    CheckFailed.
    """
    manifest = bundle.manifest
    decode = manifest.decode.replaced(**thresholds)
    variants = sorted(manifest.variants, key=lambda variant: variant.precision != first) if first else manifest.variants
    with BundleWriter(out, overwrite=overwrite) as writer:
        for file in (file for variant in manifest.variants for file in variant.files):
            writer.copy(file.path, bundle.checked(file, full=True))
        golden = []
        with open_segmenter(
            bundle, backend="onnxruntime", threads=threads, device="cpu", trial_prompt=True
        ) as segmenter:
            for frame in manifest.golden:
                image, outputs = read_golden(bundle, frame)
                data = bundle.checked(frame.outputs).read_bytes()
                if decode != manifest.decode:
                    heads, geometry = segmenter.heads(image)
                    result = segmenter.decoded(heads, geometry, **thresholds)
                    by_role = {spec.role: heads[spec.name][0] for spec in manifest.heads}
                    live = None
                    if outputs.live is not None:
                        live = live_queries(decode, by_role["class_logits"])
                        by_role |= {role: by_role[role][live] for role in ("class_logits", "mask_logits")}
                    data = pack_golden(GoldenOutputs(by_role, result, live))
                writer.add(frame.image.path, bundle.checked(frame.image).read_bytes())
                golden.append(msgspec.structs.replace(frame, outputs=writer.add(frame.outputs.path, data)))
        changed = msgspec.structs.replace(manifest, decode=decode, variants=tuple(variants), golden=tuple(golden))
        if decode != manifest.decode:
            changed = _unmeasured(changed)
        precisions = [variant.precision for variant in changed.variants]
        return writer.finish(changed, lambda folder: verify_or_refuse(folder, out, precisions, threads=threads))


def _unmeasured(manifest: Manifest) -> Manifest:
    """Return `manifest` without the figures of results by another rule.

    The card keeps its comparisons of heads and input, and what is published; a variant's agreement goes as a whole.
    """
    variants = tuple(msgspec.structs.replace(variant, parity=None) for variant in manifest.variants)
    card = manifest.card
    if isinstance(card, TruthCard):
        checks = tuple(check for check in card.checks if check.what != "result")
        card = msgspec.structs.replace(card, checks=checks, measured=None)
    return msgspec.structs.replace(manifest, variants=variants, card=card)
