"""`open_bundle`: a bundle on a backend, or on the server that has it, as the segmenter of its technique."""

from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypedDict, overload

if TYPE_CHECKING:
    from collections.abc import Sequence

    from typing_extensions import Unpack

    from segrt.runtime.inference.engine_policy import EnginePolicy
    from segrt.runtime.inference.execution import WantedPlace
    from segrt.runtime.inference.tensors import WantedDevice
    from segrt.runtime.preprocess.tiling import Tiling
    from segrt.runtime.results.technique import Technique
    from segrt.runtime.segmenter.calling import Segmenter
    from segrt.runtime.segmenter.typed_segmenters import InstanceSegmenter, PanopticSegmenter, SemanticSegmenter


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
    engines: "EnginePolicy | None"
    device: "WantedDevice"
    decode_on: "WantedPlace"
    tile: "Tiling | str | Sequence[int] | None"


@overload
def open_bundle(path_or_name: Literal["street-semantic"], **options: "Unpack[_Options]") -> "SemanticSegmenter": ...
@overload
def open_bundle(
    path_or_name: str | Path, *, technique: Literal["semantic"], **options: "Unpack[_Options]"
) -> "SemanticSegmenter": ...
@overload
def open_bundle(path_or_name: Literal["street-instance"], **options: "Unpack[_Options]") -> "InstanceSegmenter": ...
@overload
def open_bundle(
    path_or_name: str | Path, *, technique: Literal["instance"], **options: "Unpack[_Options]"
) -> "InstanceSegmenter": ...
@overload
def open_bundle(path_or_name: Literal["street-panoptic"], **options: "Unpack[_Options]") -> "PanopticSegmenter": ...
@overload
def open_bundle(
    path_or_name: str | Path, *, technique: Literal["panoptic"], **options: "Unpack[_Options]"
) -> "PanopticSegmenter": ...
@overload
def open_bundle(
    path_or_name: str | Path, *, technique: "Technique | None" = None, **options: "Unpack[_Options]"
) -> "Segmenter": ...
def open_bundle(
    path_or_name: str | Path,
    *,
    technique: "Technique | None" = None,
    backend: str = "auto",
    precision: str | None = None,
    threads: int = 0,
    score_threshold: float | None = None,
    overlap_threshold: float | None = None,
    merge_rule: str | None = None,
    compat: bool | None = None,
    batch: int | None = 1,
    sources: int = 1,
    engines: "EnginePolicy | None" = None,
    device: "WantedDevice" = "auto",
    decode_on: "WantedPlace" = "auto",
    tile: "Tiling | str | Sequence[int] | None" = None,
) -> "Segmenter":
    """Open a bundle's folder, an embedded one by name ("street-panoptic"), or a server's, on a backend.

    "triton://HOST:8001/NAME" is a model of `segrt export-triton` on a Triton server, which then executes the network
    and decodes its heads: see docs/triton.md.

    `technique`, "semantic", "instance" or "panoptic", says what the caller counts on: another bundle is refused, and
    the segmenter's type tells its results' (`PanopticSegmenter`); without it, the results may be of any technique.
    `precision` picks a variant (the first one by default), `threads` the number of CPU threads (0: the default),
    the thresholds (0 to 1) replace those of the bundle's decode rule, `merge_rule` and `compat` the way it merges: see
    `RuleChanges`. `batch` is how many frames a slot holds; None
    means one of each of `sources`, or four tiles with `tile`, where the network takes so many, else 1. `engines` says
    where TensorRT's engines lie and whether they may be built. With `device` "cpu" no GPU is used, as for whatever
    others are compared with. `decode_on` is what decodes the heads, "cpu", "cuda", or with "auto" where they lie; it is
    no part of the bundle's decode rule. `tile` cuts pictures that are larger into tiles that overlap, (height, width),
    (height, width, overlap) in pixels, or text as "768x1280,20%"; each is brought to the network's input as a picture
    is, in batches of `batch`, and the results are joined by their pixels to that of the whole: see
    docs/large-pictures.md. A bundle that takes prompts is opened as a `PromptSegmenter`, which is called with boxes or
    points: see docs/prompts.md. Raises BundleError, BackendError, or SegrtError for tiles that cannot be.
    """
    from segrt.runtime.decode.rule_changes import RuleChanges
    from segrt.runtime.errors import BundleError
    from segrt.runtime.preprocess.tiling import Tiling
    from segrt.runtime.segmenter.bundle_finding import find_bundle
    from segrt.runtime.segmenter.segmenter_opening import batch_for, open_segmenter

    tiling = None if tile is None else Tiling.of(tile)
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
        batch=batch_for(bundle, sources, tiling) if batch is None else batch,
        engines=engines,
        device=device,
        decode_on=decode_on,
        tile=tiling,
    )
