"""Runs a bundle's golden frames on this device and compares heads and results with the source framework's."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from segrt.runtime.authoring.agreement import agreement
from segrt.runtime.bundle.golden import HALF_EPSILON, QUERY_ROLES, GoldenOutputs, read_golden
from segrt.runtime.bundle.manifest import HeadTolerance
from segrt.runtime.decode.head_spec import HeadSpec
from segrt.runtime.decode.merge_queries import MergeQueries
from segrt.runtime.decode.query_instances import QueryInstances
from segrt.runtime.decode.rule import DecodeRule
from segrt.runtime.errors import BundleError
from segrt.runtime.inference.tensors import Head
from segrt.runtime.segmenter import Segmenter

Array = npt.NDArray[Any]
_SURELY_LIVE = 0.3


@dataclass(frozen=True)
class Check:
    """One line of `segrt verify`: `value` against `limit`, as text, for a head or the result of a golden frame."""

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
        heads, geometry = segmenter.heads(image)
        result = segmenter.postprocess({name: Head(name, array) for name, array in heads.items()}, geometry)
        compared = [spec for spec in bundle.manifest.heads if spec.name in variant.tolerance.heads]
        rows = _match_queries(expected, compared, heads)
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


def _match_queries(
    expected: GoldenOutputs, compared: list[HeadSpec], heads: Mapping[str, Array]
) -> npt.NDArray[np.intp] | None:
    """Return for each live golden query the position of the one of this device that is nearest in all its heads."""
    specs = [spec for spec in compared if spec.role in QUERY_ROLES]
    if expected.live is None or not specs or not expected.live.size:
        return None
    count = len(expected.live)
    cost = np.zeros((count, heads[specs[0].name].shape[1]))
    for spec in specs:
        golden = expected.heads[spec.role].reshape(count, -1).astype(np.float32)
        found = heads[spec.name][0].reshape(cost.shape[1], -1).astype(np.float32)
        spread = float(np.abs(golden).mean()) or 1.0
        for query in range(count):
            cost[query] += np.nan_to_num(np.abs(found - golden[query]).mean(axis=1) / spread, nan=np.inf)
    return cast("npt.NDArray[np.intp]", cost.argmin(axis=1))


def _compare_head(
    frame: str,
    spec: HeadSpec,
    tolerance: HeadTolerance,
    expected: GoldenOutputs,
    found: Array,
    rows: npt.NDArray[np.intp] | None,
) -> Check:
    golden = expected.heads[spec.role]
    what = spec.name
    if expected.live is not None and spec.role in QUERY_ROLES:
        found = found[rows] if rows is not None else found[:0]
        what = f"{spec.name} ({len(expected.live)} live queries)"
    if golden.shape != found.shape:
        return Check(frame, what, f"shape {list(found.shape)}", f"shape {list(golden.shape)}", False)
    wanted = golden.astype(np.float64)
    error = np.abs(found.astype(np.float64) - wanted)
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
