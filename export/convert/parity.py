"""Compares an exported network with the framework it came from, on pictures that were not used for tracing.

Three comparisons, each of ONNX Runtime's and segrt's way with torch's: every head, value by value; the final result,
with the framework's complete own way (its unmodified model and its own post-processing); the network's input, with the
framework's own image processor.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice

import cv2
import numpy as np
import torch

from segrt.export.convert.computed_once import computed_once
from segrt.export.family import Exportable, HeadParityLimit, ParityLimits, Size
from segrt.export.graph.group_norm import exact_group_norm
from segrt.export.graph.own_heap import give_back
from segrt.export.graph.tracing import IMAGE, VALID_MASK, Traced
from segrt.export.synthetic_pictures import synthetic_picture
from segrt.runtime.authoring.agreement import agreement
from segrt.runtime.authoring.matched_share import count_objects, matched_share, mutual_quality
from segrt.runtime.authoring.same_detections import paired_detections
from segrt.runtime.authoring.verification import Check, match_queries
from segrt.runtime.bundle.golden import QUERY_ROLES
from segrt.runtime.bundle.manifest import HeadParity, Parity
from segrt.runtime.decode.decoders import find_decoder
from segrt.runtime.decode.head_spec import HeadSpec
from segrt.runtime.decode.rule import Context
from segrt.runtime.files.images import Picture
from segrt.runtime.inference.onnxruntime import OnnxRuntimeBackend
from segrt.runtime.inference.tensors import Array, TensorSpec
from segrt.runtime.preprocess.geometry import Geometry
from segrt.runtime.preprocess.picture import network_inputs
from segrt.runtime.results import Result

LEAST_PICTURES = 3
_SURELY_SAME = 0.01
_HELD_BYTES, _MOST_HELD = 128e6, 8  # of torch's heads, and pictures, that wait for ONNX Runtime
_SYNTHETIC = ((5001, (240, 320)), (5002, (320, 213)), (5003, (200, 424)))


@dataclass(frozen=True)
class Reference:
    """What torch makes of one picture: heads (name → array with batch axis), its own result; and the inputs for it."""

    picture: Picture
    inputs: Mapping[str, Array]
    geometry: Geometry
    heads: Mapping[str, Array]
    result: Result


@dataclass
class HeadError:
    """Differences of one head, summed up over pictures; `share` is the largest part of what is allowed."""

    largest: float = 0.0
    total: float = 0.0
    count: int = 0
    squares: float = 0.0
    reference_squares: float = 0.0
    share: float = 0.0

    def add(self, actual: Array, wanted: Array, limit: HeadParityLimit | None) -> None:
        """Count a picture's head; NaN counts as infinitely wrong."""
        if actual.shape != wanted.shape:
            raise ValueError(f"heads must have one shape, but got {actual.shape} and {wanted.shape}")
        exact = wanted.astype(np.float64)
        error = np.nan_to_num(np.abs(actual.astype(np.float64) - exact), nan=np.inf)
        self.largest = max(self.largest, float(error.max(initial=0.0)))
        self.total += float(error.sum())
        self.count += error.size
        self.squares += float((error**2).sum())
        self.reference_squares += float((exact**2).sum())
        if limit is not None and error.size:
            allowed = limit.absolute + limit.relative * np.abs(exact)
            with np.errstate(divide="ignore", invalid="ignore"):
                shares = np.where(error > 0, error / allowed, 0.0)
            self.share = max(self.share, float(np.nan_to_num(shares, nan=np.inf).max()))

    def parity(self) -> HeadParity:
        """Return the figures for the manifest."""
        relative = (self.squares / self.reference_squares) ** 0.5 if self.reference_squares else 0.0
        return HeadParity(self.largest, self.total / max(self.count, 1), relative)


@dataclass(frozen=True)
class ParityReport:
    """The figures for the manifest, the lines that are shown, and how many classes or objects the results had."""

    parity: Parity
    lines: tuple[Check, ...]
    objects: tuple[int, ...] = field(default=())

    @property
    def passed(self) -> bool:
        """Whether everything is within the family's limits."""
        return all(line.passed for line in self.lines)


def synthetic_pictures() -> list[Picture]:
    """Return three pictures of different sizes and aspect ratios, uint8 BGR (H, W, 3), always the same."""
    return [synthetic_picture(seed, size) for seed, size in _SYNTHETIC]


def brought_to(size: Size | None, picture: Picture) -> Picture:
    """Return `picture`, uint8 BGR (H, W, 3), stretched to `size` (h, w), or as it is without a size."""
    if size is None:
        return picture
    stretched: Picture = cv2.resize(picture, size[::-1], interpolation=cv2.INTER_AREA).astype(np.uint8)
    return stretched


def refer(traced: Traced, exportable: Exportable, picture: Picture) -> Reference:
    """Run torch on `picture`, uint8 BGR (H, W, 3): the network that was exported, and the framework's own way."""
    inputs, geometry = network_inputs(traced.inputs, picture)
    image = torch.from_numpy(inputs[IMAGE])
    others = [torch.from_numpy(array) for name, array in inputs.items() if name != IMAGE]
    mask = others[0] if VALID_MASK in inputs else None
    with torch.inference_mode(), computed_once(exportable.shared):
        with exact_group_norm():
            heads = traced.network(image, *others)
        result = exportable.framework_result(traced.network.pixels(image), mask, geometry)
    named = {spec.name: head.numpy() for spec, head in zip(traced.heads, heads, strict=True)}
    return Reference(picture, inputs, geometry, named, result)


def compare(
    traced: Traced,
    exportable: Exportable,
    pictures: Iterable[Picture],
    *,
    threads: int = 0,
    keep: int = 0,
) -> tuple[ParityReport, list[Reference]]:
    """Compare the ONNX file in ONNX Runtime with torch over `pictures`, uint8 BGR (H, W, 3) each.

    The references of the first `keep` pictures are returned, too. Torch and ONNX Runtime take turns: while one works,
    the other has given its memory back. A turn is as many pictures as have small heads together, for opening a session
    takes seconds.
    """
    limits = exportable.limits
    errors = {spec.name: HeadError() for spec in traced.heads}
    pairs: list[tuple[Result, Result]] = []
    input_errors: list[tuple[float, float]] = []
    kept: list[Reference] = []
    context = Context(exportable.decode, exportable.labels, threads)
    decoder = find_decoder(exportable.decode, "cpu")
    inputs = [TensorSpec(spec.name, spec.dtype, (1, *spec.shape[1:])) for spec in traced.inputs]
    heads = [TensorSpec(spec.name, spec.dtype, (1, *spec.shape[1:])) for spec in traced.heads]
    for portion in _portions(pictures, traced.heads):
        references = []
        for picture in portion:
            give_back()
            references.append(refer(traced, exportable, brought_to(limits.at, picture)))
            if exportable.framework_pixels is not None:
                input_errors.append(input_error(traced, exportable, picture))
        give_back()
        with OnnxRuntimeBackend(traced.path, inputs, heads, threads=threads, slots=1, only_cpu=True) as backend:
            for reference in references:
                heads_of_file = backend.run(reference.inputs)
                for name, array in aligned(traced.heads, reference.heads, heads_of_file, limits).items():
                    errors[name].add(array, reference.heads[name], limit_of(limits, name))
                by_role = {spec.role: heads_of_file[spec.name][0] for spec in traced.heads}
                pairs.append((reference.result, decoder(by_role, reference.geometry, context)))
        kept += references[: keep - len(kept)]
    return report_of(errors, pairs, input_errors, limits), kept


def _portions(pictures: Iterable[Picture], heads: Sequence[HeadSpec]) -> Iterator[list[Picture]]:
    """Yield so many pictures at a time that torch's `heads` for them are small; one where a single one's are not."""
    sizes = (math.prod(side for side in spec.shape[1:] if isinstance(side, int)) for spec in heads)
    a_picture = sum(np.dtype(spec.dtype).itemsize * size for spec, size in zip(heads, sizes, strict=True))
    count = int(min(max(_HELD_BYTES // a_picture, 1), _MOST_HELD))
    waiting = iter(pictures)
    while portion := list(islice(waiting, count)):
        yield portion


def limit_of(limits: ParityLimits, name: str) -> HeadParityLimit | None:
    """Return what the head `name` may differ by, None where it has no limit of its own."""
    return limits.heads.get(name, limits.head)


def aligned(
    heads: Sequence[HeadSpec], wanted: Mapping[str, Array], actual: Mapping[str, Array], limits: ParityLimits
) -> dict[str, Array]:
    """Return `actual` (name → array with batch axis) with its queries, or detections, in the order of `wanted`.

    A TopK in the graph meets ties, and rounding may swap neighbours in its order: the same queries at other places
    are the same result. Each wanted query takes the nearest one, as long as no two take the same. For detections see
    `segrt.runtime.authoring.same_detections`.
    """
    detections = _paired(heads, wanted, actual, limits)
    if detections is not None:
        return detections
    names = [spec.name for spec in heads if spec.role in QUERY_ROLES]
    reordered = dict(actual)
    if len(names) < len(QUERY_ROLES):
        return reordered
    if all(_is_near(wanted[name], actual[name]) for name in names):
        return reordered
    nearest = match_queries([wanted[name][0] for name in names], [actual[name][0] for name in names])
    if np.unique(nearest).size == len(nearest):
        reordered |= {name: actual[name][:, nearest] for name in names}
    return reordered


def _paired(
    heads: Sequence[HeadSpec], wanted: Mapping[str, Array], actual: Mapping[str, Array], limits: ParityLimits
) -> dict[str, Array] | None:
    """Return `actual` with its detections in the rows of `wanted`, None where the heads are none or need it not."""
    names = {spec.role: spec.name for spec in heads}
    limit = limit_of(limits, names["scores"]) if "scores" in names else None
    if limit is None or any(len(array) != 1 for array in wanted.values()):
        return None
    scores = names["scores"]
    if wanted[scores].shape != actual[scores].shape:
        return None
    if np.abs(wanted[scores] - actual[scores]).max(initial=0.0) <= limit.absolute:
        return None
    found = paired_detections(
        {role: wanted[name][0] for role, name in names.items()},
        {role: actual[name][0] for role, name in names.items()},
        limit.absolute,
    )
    return None if found is None else {names[role]: array[None] for role, array in found.items()}


def _is_near(wanted: Array, actual: Array) -> bool:
    """Return whether no value is off by a hundredth of the values' mean size: then no query changed its place."""
    error = np.abs(actual.astype(np.float32) - wanted.astype(np.float32)).max(initial=0.0)
    return bool(error <= _SURELY_SAME * np.abs(wanted).mean())


def input_error(traced: Traced, exportable: Exportable, picture: Picture) -> tuple[float, float]:
    """Return mean and largest difference of the network's input from the framework's own, in grey levels."""
    assert exportable.framework_pixels is not None
    wanted = exportable.framework_pixels(picture)
    inputs, _ = network_inputs(traced.inputs, picture)
    with torch.inference_mode():
        ours = traced.network.pixels(torch.from_numpy(inputs[IMAGE]))[0].numpy()
    if wanted.shape != ours.shape:
        return float("inf"), float("inf")
    error = np.abs(ours - wanted) * (np.array(exportable.std, np.float32) * 255)[:, None, None]
    # Both are whole grey levels, brought to float32 and back: what is left of that must not decide.
    return float(error.mean()), round(float(error.max()), 3)


def report_of(
    errors: Mapping[str, HeadError],
    pairs: Sequence[tuple[Result, Result]],
    inputs: Sequence[tuple[float, float]],
    limits: ParityLimits,
) -> ParityReport:
    """Return the report of what was measured: heads by name, pairs of results (ours, theirs), differences of inputs."""
    lines = []
    heads = {name: error.parity() for name, error in errors.items()}
    for name, head in heads.items():
        limit = limit_of(limits, name)
        value = f"largest error {head.max_abs:.2g}, mean {head.mean_abs:.2g}, relative {head.relative:.2g}"
        allowed = "none of its own" if limit is None else f"{limit.absolute:g} + {limit.relative:g}·|x|"
        lines.append(Check("", name, value, allowed, limit is None or errors[name].share <= 1))
    worst = min(agreement(ours, theirs) for ours, theirs in pairs)
    matched, quality = matched_share(pairs), mutual_quality(pairs)
    value = f"{worst:.4%} agree"
    if matched is not None:
        value += f", {matched:.2%} matched, PQ {quality:.4f}"
    lines.append(Check("", "result", value, f"at least {limits.agreement:.4%}", worst >= limits.agreement))
    mean = max(error[0] for error in inputs) if inputs else None
    largest = max(error[1] for error in inputs) if inputs else None
    if mean is not None and largest is not None:
        value = f"largest difference {largest:.2f}, mean {mean:.3f} grey levels"
        passed = mean <= limits.input_mean and largest <= limits.input_max
        lines.append(Check("", "input", value, f"{limits.input_max:g}, mean {limits.input_mean:g}", passed))
    parity = Parity(len(pairs), worst, heads, matched, quality, mean, largest)
    return ParityReport(parity, tuple(lines), tuple(count_objects(ours) for ours, _ in pairs))
