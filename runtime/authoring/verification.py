"""Runs a bundle's golden frames on this device and compares heads and results with the source framework's."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
import numpy.typing as npt

from segrt.runtime.authoring.agreement import agreement
from segrt.runtime.authoring.same_detections import paired_detections
from segrt.runtime.bundle.golden import HALF_EPSILON, QUERY_ROLES, GoldenOutputs, read_golden
from segrt.runtime.bundle.locating import read_bundle
from segrt.runtime.bundle.manifest import HeadTolerance
from segrt.runtime.decode.head_spec import HeadSpec
from segrt.runtime.decode.merge_queries import MergeQueries
from segrt.runtime.decode.query_instances import QueryInstances
from segrt.runtime.decode.rule import DecodeRule
from segrt.runtime.errors import BundleError, CheckFailed
from segrt.runtime.inference.tensors import Array
from segrt.runtime.segmenter import Segmenter, open_segmenter

_SURELY_LIVE = 0.3


@dataclass(frozen=True)
class Check:
    """One comparison, as text: the `value` met against its `limit`, for a head, the result or the network's input.

    `frame` is the golden frame; "" where several pictures were compared at once.
    """

    frame: str
    what: str
    value: str
    limit: str
    passed: bool


def verify(segmenter: Segmenter) -> list[Check]:
    """Run every golden frame of the segmenter's bundle; raise BundleError when there is none or one is damaged."""
    bundle, variant = segmenter.bundle, segmenter.variant
    if not bundle.manifest.golden:
        raise BundleError(f"{bundle.folder}: has no golden frames to check; write the bundle again with some")
    checks = []
    for golden in bundle.manifest.golden:
        image, expected = read_golden(bundle, golden)
        result, heads, _ = segmenter.detailed(image)
        compared = [spec for spec in bundle.manifest.heads if spec.name in variant.tolerance.heads]
        for spec in compared:
            if spec.role not in expected.heads:
                raise BundleError(f"{bundle.folder}: golden frame {golden.name} lacks head_{spec.role}; write it again")
        heads = _paired(expected, bundle.manifest.heads, heads, variant.tolerance.heads)
        rows = _nearest_live_queries(expected, compared, heads)
        for spec in compared:
            tolerance = variant.tolerance.heads[spec.name]
            checks.append(_compare_head(golden.name, spec, tolerance, expected, heads[spec.name][0], rows))
        same = agreement(expected.result, result)
        checks.append(
            Check(
                golden.name,
                "result",
                f"{same:.4%} agree",
                f"at least {variant.tolerance.agreement:.4%}",
                same >= variant.tolerance.agreement,
            )
        )
    return checks


def verify_or_refuse(folder: Path, out: Path, precisions: Iterable[str], *, threads: int = 0) -> None:
    """Verify variants of the bundle in `folder`, which is to become `out`, in ONNX Runtime.

    Raises CheckFailed for the first variant whose golden frames differ: the bundle must not be put in place.
    """
    bundle = read_bundle(folder)
    for precision in precisions:
        with open_segmenter(
            bundle, backend="onnxruntime", precision=precision, threads=threads, device="cpu", trial_prompt=True
        ) as segmenter:
            refuse_failed(verify(segmenter), out, precision)


def refuse_failed(checks: Sequence[Check], bundle: Path, precision: str) -> None:
    """Raise CheckFailed, for a bundle that cannot be written therefore, when a check of a variant failed."""
    failed = [check for check in checks if not check.passed]
    if failed:
        first = failed[0]
        raise CheckFailed(
            f"{bundle}: {len(failed)} golden checks of the {precision} variant fail, first {first.frame} {first.what}: "
            f"{first.value}, but must be {first.limit}; nothing was written"
        )


def live_queries(decode: DecodeRule, class_logits: Array) -> npt.NDArray[np.int64]:
    """Return the positions of the queries that the decode rule keeps; `class_logits` is (Q, C+1), or (Q, C) sigmoid."""
    logits = class_logits.astype(np.float64)
    if isinstance(decode, QueryInstances) and decode.activation == "sigmoid":
        scores = 1 / (1 + np.exp(-logits))
        return np.flatnonzero(scores.max(axis=1) > max(decode.score_threshold, _SURELY_LIVE))
    scores = np.exp(logits - logits.max(axis=1, keepdims=True))
    scores /= scores.sum(axis=1, keepdims=True)
    threshold = decode.score_threshold if isinstance(decode, MergeQueries | QueryInstances) else 0.0
    known = scores[:, :-1].max(axis=1)
    return np.flatnonzero((known > scores[:, -1]) & (known > max(threshold, _SURELY_LIVE)))


def match_queries(wanted: Sequence[Array], actual: Sequence[Array]) -> npt.NDArray[np.intp]:
    """Return for each wanted query the position of the actual one that is nearest in all of its heads together.

    wanted: one array (N, ...) for each head. actual: the same heads, (M, ...). A distance is the mean absolute
    difference in a head, relative to the head's mean magnitude; NaN is infinitely far. Several wanted queries may get
    the same actual one.
    """
    cost = np.zeros((len(wanted[0]), len(actual[0])))
    for wanted_head, actual_head in zip(wanted, actual, strict=True):
        targets = _as_rows(wanted_head)
        candidates = _as_rows(actual_head)
        magnitude = float(np.abs(targets).mean()) if targets.size else 1.0
        for query, target in enumerate(targets):
            distance = np.abs(candidates - target).mean(axis=1) / (magnitude or 1.0)
            cost[query] += np.nan_to_num(distance, nan=np.inf)
    return cast("npt.NDArray[np.intp]", cost.argmin(axis=1))


def _as_rows(queries: Array) -> npt.NDArray[np.float32]:
    return queries.reshape(len(queries), math.prod(queries.shape[1:])).astype(np.float32)


def _nearest_live_queries(
    expected: GoldenOutputs, compared: list[HeadSpec], heads: Mapping[str, Array]
) -> npt.NDArray[np.intp] | None:
    """Return where on this device the golden frame's live queries are; None where it has none to look for."""
    specs = [spec for spec in compared if spec.role in QUERY_ROLES]
    if expected.live is None or not specs or not expected.live.size:
        return None
    if any(expected.heads[spec.role].shape[1:] != heads[spec.name].shape[2:] for spec in specs):
        return None  # the comparison says so
    return match_queries([expected.heads[spec.role] for spec in specs], [heads[spec.name][0] for spec in specs])


def _paired(
    expected: GoldenOutputs,
    specs: Sequence[HeadSpec],
    heads: Mapping[str, Array],
    tolerances: Mapping[str, HeadTolerance],
) -> dict[str, Array]:
    """Return this device's heads with detections in the rows of the golden ones, where rows do not agree."""
    names = {spec.role: spec.name for spec in specs if spec.role in expected.heads}
    scores = names.get("scores")
    if scores is None or scores not in tolerances or expected.heads["scores"].shape != heads[scores].shape[1:]:
        return dict(heads)
    allowed = tolerances[scores].absolute
    if np.abs(expected.heads["scores"].astype(np.float32) - heads[scores][0]).max(initial=0.0) <= allowed:
        return dict(heads)
    found = paired_detections(
        {role: expected.heads[role] for role in names}, {role: heads[name][0] for role, name in names.items()}, allowed
    )
    return dict(heads) | ({} if found is None else {names[role]: array[None] for role, array in found.items()})


def _compare_head(
    frame: str,
    spec: HeadSpec,
    tolerance: HeadTolerance,
    expected: GoldenOutputs,
    actual: Array,
    rows: npt.NDArray[np.intp] | None,
) -> Check:
    golden = expected.heads[spec.role]
    what = spec.name
    if expected.live is not None and spec.role in QUERY_ROLES:
        actual = actual[rows] if rows is not None else actual[:0]
        what = f"{spec.name} ({len(expected.live)} live queries)"
    if golden.shape != actual.shape:
        return Check(frame, what, f"shape {list(actual.shape)}", f"shape {list(golden.shape)}", False)
    wanted = golden.astype(np.float64)
    error = np.abs(actual.astype(np.float64) - wanted)
    stored = HALF_EPSILON if golden.dtype == np.float16 and spec.dtype == "float32" else 0.0
    allowed = tolerance.absolute + (tolerance.relative + stored) * np.abs(wanted)
    outside = float(np.mean(~(error <= allowed))) if error.size else 0.0
    worst = float(error.max()) if error.size else 0.0
    limit = f"{tolerance.absolute:g} + {tolerance.relative:g}·|x|" if spec.dtype.startswith("float") else "equal"
    value = f"largest error {worst:.2g}"
    if spec.dtype.startswith("float") and tolerance.absolute > 0 and error.size:
        value += f" ({float((error / allowed).max()):.3g} of what is allowed)"
    if tolerance.outliers or outside:
        value += f", {outside:.3%} outside"
        limit += f", {tolerance.outliers:.3%} outside"
    return Check(frame, what, value, limit, outside <= tolerance.outliers)
