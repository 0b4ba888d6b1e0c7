"""The float32 network on some pictures, and how far a variant is from it: in its heads, and in the final results."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from segrt.export.bundling import Network
from segrt.export.golden_pictures import reduced
from segrt.export.precision.indexed_graph import open_session
from segrt.runtime.authoring.agreement import agreement
from segrt.runtime.authoring.class_overlap import class_overlap
from segrt.runtime.authoring.matched_share import matched_share, mutual_quality
from segrt.runtime.authoring.verification import live_queries, match_queries
from segrt.runtime.bundle.golden import QUERY_ROLES
from segrt.runtime.decode.decoders import find_decoder
from segrt.runtime.decode.rule import Context
from segrt.runtime.errors import SegrtError
from segrt.runtime.files.images import Picture
from segrt.runtime.inference.tensors import Array
from segrt.runtime.preprocess.geometry import Geometry
from segrt.runtime.preprocess.picture import network_inputs
from segrt.runtime.results import Result

Heads = Mapping[str, Array]
_LONGEST_SIDE = 640
_FEW_QUERIES = 5


@dataclass(frozen=True)
class Comparison:
    """A variant against float32 over `images` pictures.

    agreement, worst: mean and least of `segrt.runtime.authoring.agreement` over the pictures. matched: instance and
    panoptic, the share of the sure objects or segments of either that have a partner of their class with IoU above 0.5.
    classes: semantic, `segrt.runtime.authoring.class_overlap`.
    quality: panoptic, the PQ of one against the other (over all classes together). error: the heads' relative error.
    is_finite: whether no head holds NaN or infinity where float32's has a number.
    head_errors: each head's largest and mean absolute difference.
    """

    images: int
    agreement: float
    worst: float
    error: float
    is_finite: bool
    matched: float | None = None
    classes: float | None = None
    quality: float | None = None
    head_errors: Mapping[str, tuple[float, float]] | None = None


class Float32Reference:
    """Holds pictures with the float32 network's heads and results for them."""

    def __init__(
        self,
        network: Network,
        pictures: Sequence[Picture],
        run: Callable[[Heads], Heads],
        known: Sequence[Heads] | None = None,
    ) -> None:
        """Run the network on `pictures`, reduced to 640 pixels, unless its heads for them are `known`.

        What is known of a larger picture is not what the network makes of the reduced one, and is not used.
        """
        if not pictures:
            raise SegrtError("a variant is compared with float32 on pictures; give at least one")
        self.network = network
        small = [reduced(picture, _LONGEST_SIDE) for picture in pictures]
        prepared = [network_inputs(network.inputs, picture) for picture in small]
        self.feeds: list[dict[str, Array]] = [feed for feed, _ in prepared]
        self._geometries = [geometry for _, geometry in prepared]
        whole = [less.shape == picture.shape for less, picture in zip(small, pictures, strict=True)]
        given = known if known is not None else [None] * len(small)
        self.heads = [
            heads if heads is not None and is_whole else run(feed)
            for heads, is_whole, feed in zip(given, whole, self.feeds, strict=True)
        ]
        self.results = self.decode(self.heads)

    @cached_property
    def _context(self) -> Context:
        return Context(self.network.decode, self.network.labels, 1)

    def decode(self, heads: Sequence[Heads]) -> list[Result]:
        """Return the final results of one entry of heads per picture."""
        return [self._decode(entry, geometry) for entry, geometry in zip(heads, self._geometries, strict=True)]

    def compare(self, heads: Sequence[Heads]) -> Comparison:
        """Compare a variant's heads, one entry per picture in their order, with float32's."""
        finite = all(self._is_finite(ours, theirs) for ours, theirs in zip(self.heads, heads, strict=True))
        results = self.decode(heads)
        agreements = [agreement(ours, theirs) for ours, theirs in zip(self.results, results, strict=True)]
        pairs = list(zip(self.results, results, strict=True))
        return Comparison(
            images=len(heads),
            agreement=float(np.mean(agreements)),
            worst=float(np.min(agreements)),
            error=self.error(heads),
            is_finite=finite,
            matched=matched_share(pairs),
            classes=class_overlap(pairs),
            quality=mutual_quality(pairs) if self.network.technique == "panoptic" else None,
            head_errors={spec.name: self._differences(spec.name, heads) for spec in self.network.heads},
        )

    def error(self, heads: Sequence[Heads]) -> float:
        """Return the relative error of the heads, 0 for equal ones; infinity where one is not finite.

        Queries are compared with the nearest one, for their order may change; of detections the scores in their order,
        and the results, for the rest has no fixed places.
        """
        errors = []
        for wanted, actual, geometry, result in zip(self.heads, heads, self._geometries, self.results, strict=True):
            if not self._is_finite(wanted, actual):
                return float(np.inf)
            errors.append(self._error(wanted, actual, geometry, result))
        return float(np.mean(errors))

    def _is_finite(self, wanted: Heads, actual: Heads) -> bool:
        for spec in self.network.heads:
            ours, theirs = wanted[spec.name], actual[spec.name]
            if theirs.dtype.kind != "f" or np.isfinite(theirs).all():
                continue
            if ours.shape != theirs.shape or not np.isfinite(theirs[np.isfinite(ours)]).all():
                return False
        return True

    def _error(self, wanted: Heads, actual: Heads, geometry: Geometry, result: Result) -> float:
        ours = {spec.role: np.nan_to_num(wanted[spec.name][0].astype(np.float64)) for spec in self.network.heads}
        theirs = {spec.role: np.nan_to_num(actual[spec.name][0].astype(np.float64)) for spec in self.network.heads}
        if "scores" in ours:
            scores = _relative(np.sort(ours["scores"])[::-1], np.sort(theirs["scores"])[::-1])
            return scores + 1 - agreement(result, self._decode(actual, geometry))
        if set(QUERY_ROLES) <= set(ours):
            rows = _rows(self.network.decode, ours["class_logits"])
            nearest = match_queries([ours[role][rows] for role in QUERY_ROLES], [theirs[role] for role in QUERY_ROLES])
            ours |= {role: ours[role][rows] for role in QUERY_ROLES}
            theirs |= {role: theirs[role][nearest] for role in QUERY_ROLES}
        dtypes = {spec.role: wanted[spec.name].dtype.kind for spec in self.network.heads}
        return max(
            _relative(ours[role], theirs[role]) if dtypes[role] == "f" else float(np.mean(ours[role] != theirs[role]))
            for role in ours
        )

    def _differences(self, name: str, heads: Sequence[Heads]) -> tuple[float, float]:
        """Return the largest and the mean absolute difference of a head."""
        largest, means = 0.0, []
        for wanted, actual in zip(self.heads, heads, strict=True):
            if wanted[name].shape != actual[name].shape:
                return float(np.inf), float(np.inf)
            both = np.isfinite(wanted[name]) & np.isfinite(actual[name])
            difference = np.abs(wanted[name][both].astype(np.float64) - actual[name][both].astype(np.float64))
            largest = max(largest, float(difference.max(initial=0.0)))
            means.append(float(difference.mean()) if difference.size else 0.0)
        return largest, float(np.mean(means))

    def _decode(self, heads: Heads, geometry: Geometry) -> Result:
        decoder = find_decoder(self.network.decode, "cpu")
        arrays = {
            spec.role: np.ascontiguousarray(
                np.nan_to_num(heads[spec.name][0]) if heads[spec.name].dtype.kind == "f" else heads[spec.name][0]
            )
            for spec in self.network.heads
        }
        return decoder(arrays, geometry, self._context)


def session_runner(model: Any, network: Network, threads: int = 0) -> Callable[[Heads], dict[str, Array]]:
    """Return a function that runs an ONNX model: inputs by name → heads by name; the first call opens its session."""
    names = [spec.name for spec in network.heads]
    opened: list[Any] = []

    def run(feed: Heads) -> dict[str, Array]:
        session = opened[0] if opened else open_session(model, threads=threads)
        opened[:] = [session]
        return dict(zip(names, session.run(names, dict(feed)), strict=True))

    return run


def _relative(wanted: Array, actual: Array) -> float:
    if wanted.shape != actual.shape:
        return 1.0
    return float(np.sqrt(np.sum((wanted - actual) ** 2) / max(float(np.sum(wanted**2)), 1e-12)))


def _rows(decode: Any, class_logits: Array) -> npt.NDArray[np.int64]:
    """Return the queries that the result is made of, or the surest few where it is empty."""
    rows = live_queries(decode, class_logits)
    return rows if rows.size else np.argsort(-class_logits.max(axis=1))[:_FEW_QUERIES]
