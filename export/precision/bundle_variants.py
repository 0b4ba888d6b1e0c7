"""Adds variants to a bundle that exists: a new bundle with the same network at more precisions, without torch."""

import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import msgspec

from segrt.export.bundling import Network, VariantFile, add_variant
from segrt.export.precision.converted_variant import ConvertedVariant
from segrt.export.precision.variant_options import Say, VariantOptions
from segrt.export.precision.variants import Failed, check_precisions, make_variants
from segrt.runtime.authoring.verification import verify_or_refuse
from segrt.runtime.bundle.bundle import Bundle
from segrt.runtime.bundle.bundle_writer import BundleWriter
from segrt.runtime.bundle.golden import read_golden
from segrt.runtime.bundle.manifest import Variant
from segrt.runtime.errors import SegrtError


def network_of(bundle: Bundle) -> Network:
    """Return what a bundle's manifest says of its network, as the exporter describes one."""
    manifest = bundle.manifest
    return Network(
        name=manifest.name,
        technique=manifest.technique,
        family=manifest.family,
        source=manifest.source,
        inputs=manifest.inputs,
        heads=manifest.heads,
        labels=manifest.labels,
        decode=manifest.decode,
    )


def add_variants(
    bundle: Bundle,
    precisions: Sequence[str],
    out: Path,
    options: VariantOptions,
    *,
    overwrite: bool = False,
    say: Say = lambda line: None,  # noqa: ARG005
    failed: Failed | None = None,
) -> list[ConvertedVariant]:
    """Write a copy of `bundle` with the variants `precisions` to `out`; those that it has already are made anew.

    With `failed` those that cannot be made are told to it, and the others written, if there are any. Its float32
    variant is what they are made of. Raises SegrtError for a bundle without one, or whose network has two members, and
    what `make_variants` raises.
    """
    BundleWriter(out, overwrite=overwrite)  # complains now, not after minutes of work
    with tempfile.TemporaryDirectory(prefix="segrt-quantize-") as folder:
        failures: dict[str, SegrtError] = {}
        converted = make_bundle_variants(
            bundle, precisions, Path(folder), options, say=say, failed=failures.__setitem__
        )
        if failures and not converted:
            first = next(iter(failures.values()))
            raise type(first)("; ".join(dict.fromkeys(str(error) for error in failures.values())))
        for precision, error in failures.items():
            if failed is None:
                raise error
            failed(precision, error)
        write_with_variants(
            bundle, [variant.file for variant in converted], out, overwrite=overwrite, threads=options.threads
        )
    return converted


def make_bundle_variants(
    bundle: Bundle,
    precisions: Sequence[str],
    folder: Path,
    options: VariantOptions,
    *,
    say: Say,
    failed: Failed | None = None,
) -> list[ConvertedVariant]:
    """Make variants of a bundle's float32 one, their files in `folder`; `failed` as in `make_variants`."""
    check_precisions(precisions)
    source = float32_variant(bundle)
    golden = [read_golden(bundle, frame)[0] for frame in bundle.manifest.golden]
    return make_variants(
        bundle.network(source),
        precisions,
        network_of(bundle),
        folder=folder,
        say=say,
        options=replace(options, golden=golden),
        failed=failed,
    )


def float32_variant(bundle: Bundle) -> Variant:
    """Return the bundle's float32 variant; raise SegrtError when it has none to make others of."""
    if getattr(bundle.manifest, "members", ()):
        raise SegrtError(f"{bundle.folder}: has two networks; make the variants of its members, then pair them anew")
    variant = next((variant for variant in bundle.manifest.variants if variant.precision == "fp32"), None)
    if variant is None:
        names = ", ".join(variant.precision for variant in bundle.manifest.variants)
        raise SegrtError(f"{bundle.folder}: has no fp32 variant to make others of, only {names}; give one that has")
    return variant


def write_with_variants(
    bundle: Bundle, added: Sequence[VariantFile], out: Path, *, overwrite: bool = False, threads: int = 0
) -> Path:
    """Write a copy of `bundle` to `out` in which the variants `added` stand behind those that stay; return `out`.

    The golden frames are checked with each added variant first. Raises BundleError, or CheckFailed when they differ.
    """
    manifest = bundle.manifest
    names = {file.precision for file in added}
    with BundleWriter(out, overwrite=overwrite) as writer:
        variants = [variant for variant in manifest.variants if variant.precision not in names]
        for variant in variants:
            writer.copy(variant.file.path, bundle.checked(variant.file, full=True))
        for frame in manifest.golden:
            for file in (frame.image, frame.outputs):
                writer.add(file.path, bundle.checked(file).read_bytes())
        variants += [add_variant(writer, network_of(bundle), file) for file in added]
        precisions = [file.precision for file in added] if manifest.golden else []
        return writer.finish(
            msgspec.structs.replace(manifest, variants=tuple(variants)),
            lambda folder: verify_or_refuse(folder, out, precisions, threads=threads),
        )
