"""Writes a bundle from ONNX files, what is known about them, and golden frames; checks it before it is put in place."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import numpy as np

from segrt.export.graph.own_heap import in_own_heap
from segrt.runtime.authoring.golden_frames import add_golden
from segrt.runtime.authoring.verification import live_queries, verify_or_refuse
from segrt.runtime.bundle.bundle_writer import BundleWriter
from segrt.runtime.bundle.golden import QUERY_ROLES, UNSTORED_ROLES, GoldenOutputs
from segrt.runtime.bundle.manifest import (
    CHANNELS,
    STATE,
    Golden,
    HeadTolerance,
    Manifest,
    Parity,
    Source,
    Tolerance,
    Variant,
)
from segrt.runtime.bundle.network_files import tensor_specs
from segrt.runtime.bundle.truth_card import TruthCard
from segrt.runtime.decode.decoders import find_decoder
from segrt.runtime.decode.head_spec import HeadSpec
from segrt.runtime.decode.rule import Context, DecodeRule
from segrt.runtime.errors import BundleError
from segrt.runtime.inference.tensors import Array, DType
from segrt.runtime.preprocess.channels import Raster
from segrt.runtime.preprocess.input_spec import InputSpec
from segrt.runtime.preprocess.picture import network_inputs
from segrt.runtime.results import Label, Result
from segrt.runtime.results.technique import Technique

_INTEGERS = ("uint8", "int8", "int32", "int64")


@dataclass(frozen=True)
class Network:
    """What is the same for all variants of a network; the fields are the manifest's."""

    name: str
    technique: Technique
    family: str
    source: Source
    inputs: tuple[InputSpec, ...]
    heads: tuple[HeadSpec, ...]
    labels: tuple[Label, ...]
    decode: DecodeRule
    domain: str | msgspec.UnsetType = msgspec.UNSET
    card: TruthCard | msgspec.UnsetType = msgspec.UNSET


@dataclass(frozen=True)
class VariantFile:
    """An ONNX file at a precision. Without `tolerance` the default of its precision is taken (`default_tolerance`)."""

    precision: str
    onnx: Path
    tolerance: Tolerance | None = None
    head_dtypes: Mapping[str, DType] = field(default_factory=dict)
    parity: Parity | None = None
    precision_share: float | None = None
    weight_share: float | None = None
    kept: tuple[str, ...] = ()


@dataclass(frozen=True)
class GoldenPicture:
    """A small picture, uint8 BGR (H, W, 3) or what the network takes instead, and the source framework's heads for it.

    `heads` maps each head's name to its array with the batch axis, computed on `network_inputs`. Without them the
    first variant's own outputs in ONNX Runtime are golden (an adopted network has no other source). `result` is the
    source framework's own final result; without it the heads are decoded by the bundle's rule.
    """

    name: str
    image: Raster
    heads: Mapping[str, Array] | None = None
    result: Result | None = None


def default_tolerance(network: Network, precision: str) -> Tolerance:
    """Return what `segrt verify` asks by default: equal heads for fp32, similar ones for fp16, results for int8."""
    agreement, absolute, relative, outliers = {
        "fp32": (0.995, 2e-3, 2e-3, 0.0),
        "fp16": (0.98, 5e-2, 2e-2, 1e-3),
    }.get(precision, (0.9, 0.0, 0.0, 0.0))
    heads = {}
    for head in network.heads:
        if precision not in ("fp32", "fp16") or head.role in UNSTORED_ROLES:
            continue
        if head.dtype in _INTEGERS:
            heads[head.name] = HeadTolerance(absolute=0.0, outliers=1 - agreement)
            continue
        heads[head.name] = HeadTolerance(
            absolute, relative, rows="live_queries" if head.role in QUERY_ROLES else "all", outliers=outliers
        )
    return Tolerance(agreement, heads)


def features_of(network: Network) -> tuple[str, ...]:
    """Return what a reader must know of to use the bundle: rules and inputs that older ones would misread."""
    plain = all(
        spec.role != "image" or (spec.color in ("rgb", "bgr") and spec.takes_pictures) for spec in network.inputs
    )
    carries = any(spec.role == "state" for spec in network.inputs)
    resizing = tuple(sorted({feature for spec in network.inputs for feature in spec.required_features}))
    rules = network.decode.required_features + resizing
    return rules + (() if plain else (CHANNELS,)) + ((STATE,) if carries else ())


def write_bundle(
    out: Path,
    network: Network,
    variants: Sequence[VariantFile],
    golden: Sequence[GoldenPicture],
    *,
    overwrite: bool = False,
    check: bool = True,
    threads: int = 0,
) -> Path:
    """Write the bundle to the folder `out` and return it; the folder appears whole or not at all.

    With `check` every variant is opened in ONNX Runtime and run on the golden frames first. Raises BundleError when
    something is missing or does not fit, CheckFailed when the golden frames differ.
    """
    with BundleWriter(out, overwrite=overwrite) as writer:
        entries = tuple(add_variant(writer, network, variant) for variant in variants)
        manifest = Manifest(
            required_features=features_of(network),
            name=network.name.replace("/", "-"),  # a repository on a hub is ORGANISATION/NAME
            technique=network.technique,
            family=network.family,
            source=network.source,
            inputs=network.inputs,
            heads=network.heads,
            labels=network.labels,
            decode=network.decode,
            variants=entries,
            domain=network.domain,
            card=network.card,
        )
        frames = tuple(
            _add_golden(writer, network, picture, _heads_of(manifest, variants[0], picture, threads))
            for picture in golden
        )

        precisions = [entry.precision for entry in entries]
        return writer.finish(
            msgspec.structs.replace(manifest, golden=frames),
            (lambda folder: in_own_heap(lambda: verify_or_refuse(folder, out, precisions, threads=threads)))
            if check and frames
            else None,
        )


def add_variant(writer: BundleWriter, network: Network, variant: VariantFile) -> Variant:
    """Write a variant's file into a bundle in the making; return its entry. Raises BundleError if it is unreadable."""
    try:
        file = writer.copy(f"model.{variant.precision}.onnx", variant.onnx)
    except OSError as error:
        raise BundleError(f"{variant.onnx}: cannot be read ({error.strerror}); check the path") from None
    return Variant(
        precision=variant.precision,
        file=file,
        tolerance=variant.tolerance or default_tolerance(network, variant.precision),
        head_dtypes=dict(variant.head_dtypes),
        precision_share=variant.precision_share,
        weight_share=variant.weight_share,
        kept=variant.kept,
        parity=variant.parity,
    )


def _heads_of(manifest: Manifest, variant: VariantFile, picture: GoldenPicture, threads: int) -> Mapping[str, Array]:
    if picture.heads is not None:
        return picture.heads
    from segrt.runtime.inference.onnxruntime import OnnxRuntimeBackend

    inputs, heads = tensor_specs(manifest, manifest.variants[0])
    arrays, _ = network_inputs(manifest.inputs, picture.image)
    with OnnxRuntimeBackend(variant.onnx, inputs, heads, threads=threads, slots=1, only_cpu=True) as backend:
        return backend.run(arrays)


def _add_golden(writer: BundleWriter, network: Network, picture: GoldenPicture, heads: Mapping[str, Array]) -> Golden:
    for spec in network.heads:
        array = heads.get(spec.name)
        if array is None or array.shape[0] != 1 or array.ndim != len(spec.shape):
            got = "none" if array is None else f"{array.dtype} {list(array.shape)}"
            raise BundleError(
                f"golden frame {picture.name!r} must have head {spec.name!r} {list(spec.shape)}, but got {got}"
            )
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise BundleError(
                f"golden frame {picture.name!r} must be finite, but head {spec.name!r} holds NaN or infinity"
            )
    by_role = {spec.role: heads[spec.name][0] for spec in network.heads}
    result = picture.result
    if result is None:
        _, geometry = network_inputs(network.inputs, picture.image)
        decoder = find_decoder(network.decode, "cpu")
        result = decoder(by_role, geometry, Context(network.decode, network.labels))
    live = None
    if set(QUERY_ROLES) <= set(by_role):
        live = live_queries(network.decode, by_role["class_logits"])
        by_role |= {role: by_role[role][live] for role in QUERY_ROLES}
    stored = {role: array for role, array in by_role.items() if role not in UNSTORED_ROLES}
    return add_golden(writer, picture.name, picture.image, GoldenOutputs(stored, result, live))
