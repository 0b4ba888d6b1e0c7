"""Carries a network's state from frame to frame: queries that go on with their objects, which numbers them.

What a query has found in one frame it is given in the next, and looks for again: its position is the object's number,
and no tracker is asked. After a cut, or where frames are missing, the network begins anew, and so do the numbers.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Protocol, cast, runtime_checkable

import numpy as np
import numpy.typing as npt

from segrt.runtime.bundle.manifest import Manifest, Variant
from segrt.runtime.decode.query_instances import QueryInstances
from segrt.runtime.decode.rule import DecodeRule
from segrt.runtime.errors import SegrtError
from segrt.runtime.files.images import Picture
from segrt.runtime.inference.tensors import Head, Slot
from segrt.runtime.preprocess.cuda.device_picture import DevicePicture, on_host
from segrt.runtime.preprocess.geometry import Geometry
from segrt.runtime.results import InstanceResult
from segrt.runtime.stream.frame import Frame
from segrt.runtime.stream.frame_segmenter import FrameBackend, FrameSegmenter
from segrt.runtime.tracking.scene_cuts import SceneCuts

_LONGEST_GAP = 2.0  # seconds without a frame: a camera that was away, a file that begins again


@runtime_checkable
class _Opened(Protocol):
    """What is known of a bundle's own segmenter beyond `FrameSegmenter`."""

    @property
    def manifest(self) -> Manifest:
        """What the bundle says about itself."""

    @property
    def decode(self) -> DecodeRule:
        """The decode rule with the thresholds in force."""


def carrying(segmenter: FrameSegmenter, sources: int) -> FrameSegmenter:
    """Return `segmenter`, or one that carries its network's state; raise SegrtError where that has several sources."""
    manifest = getattr(segmenter, "manifest", None)
    if not isinstance(manifest, Manifest) or not manifest.state:
        return segmenter
    if sources > 1:
        raise SegrtError(
            f"{manifest.name}: carries its queries from frame to frame, of one source at a time, but got {sources}; "
            "run a stream for each"
        )
    return CarriedState(segmenter)


class CarriedState:
    """A `FrameSegmenter` whose network is given at each frame what it made of the one before; its results have ids.

    Made for a bundle whose manifest has `state` and whose backend has one slot, so that one frame is done before the
    next begins. An object's `track_id` is its query's position, counted from 1; each new beginning counts on behind.
    """

    def __init__(self, segmenter: FrameSegmenter) -> None:
        assert isinstance(segmenter, _Opened)
        manifest = segmenter.manifest
        self._segmenter, self._opened = segmenter, cast("_Opened", segmenter)
        self._state = manifest.state
        self._query_heads = tuple(manifest.head(role).name for role in QueryInstances.roles)
        self._queries = int(manifest.head("class_logits").shape[1])
        self._held: dict[str, npt.NDArray[np.float32]] = {}
        self._first = 1
        self._cuts = SceneCuts()
        self._time: float | None = None

    @property
    def backend(self) -> FrameBackend:
        """See `FrameSegmenter`."""
        return self._segmenter.backend

    @property
    def variant(self) -> Variant:
        """See `FrameSegmenter`."""
        return self._segmenter.variant

    @property
    def technique(self) -> str:
        """See `FrameSegmenter`."""
        return self._segmenter.technique

    @property
    def manifest(self) -> Manifest:
        """What the bundle says about itself, for the metrics."""
        return self._opened.manifest

    @property
    def placement(self) -> Any:
        """Where heads are decoded, for the metrics."""
        return getattr(self._segmenter, "placement", None)

    def begin(self, frame: Frame) -> None:
        """Note which frame comes next, when all before it are done; begin anew after a cut or a gap.

        Pictures without a time follow each other whatever comes between.
        """
        last, self._time = self._time, frame.pts
        missed = last is not None and frame.pts is not None and not 0 <= frame.pts - last <= _LONGEST_GAP
        if self._cuts.is_cut(frame.visible) or missed:
            self._begin_anew()

    def preprocess(self, image: Picture | DevicePicture, slot: Slot, index: int = 0) -> Geometry:
        """See `FrameSegmenter`: fills the state, too."""
        geometry = self._segmenter.preprocess(on_host(image), slot, index)  # with zeros as state
        for name, held in self._held.items():
            slot.inputs[name][index] = held
        return geometry

    def postprocess(self, heads: Mapping[str, Head], geometry: Geometry, index: int = 0) -> InstanceResult:
        """See `FrameSegmenter`: keeps the state for the next frame, and numbers the objects."""
        made = {name: np.array(heads[head].array[index], np.float32) for name, head in self._state.items()}
        if all(np.isfinite(values).all() for values in made.values()):
            self._held = made
        else:  # it would never end
            self._begin_anew()
        found: list[InstanceResult] = []
        numbers: list[int] = []
        for query in self._live(heads[self._query_heads[0]].array[index]):
            single = {name: Head(name, heads[name].array[:, query : query + 1]) for name in self._query_heads}
            result = self._segmenter.postprocess({**heads, **single}, geometry, index)
            assert isinstance(result, InstanceResult)
            found.append(result)
            numbers += [self._first + query] * len(result)
        if not found:
            return cast("InstanceResult", self._segmenter.postprocess(heads, geometry, index))
        rule = self._opened.decode
        assert isinstance(rule, QueryInstances)
        return _together(found, numbers, rule.top_k)

    def _live(self, class_logits: npt.NDArray[Any]) -> list[int]:
        """Return the queries that may be above the threshold; their masks' scores make them less, never more."""
        rule = self._opened.decode
        assert isinstance(rule, QueryInstances)
        logits = class_logits.astype(np.float64)
        shares = np.exp(logits - logits.max(-1, keepdims=True))
        shares /= shares.sum(-1, keepdims=True)
        return [int(query) for query in np.flatnonzero(shares[:, :-1].max(-1) >= rule.score_threshold - 1e-6)]

    def _begin_anew(self) -> None:
        if self._held:
            self._first += self._queries
        self._held = {}


def _together(found: list[InstanceResult], numbers: list[int], most: int) -> InstanceResult:
    """Return the results of single queries as one, best first, `most` at most.

    A query is one object: where it has several classes above the threshold, the best is its class, so that no number
    is there twice.
    """
    scores = np.concatenate([result.scores for result in found])
    best: dict[int, int] = {}
    for place in np.argsort(-scores, kind="stable").tolist():
        best.setdefault(numbers[place], place)
    order = list(best.values())[:most]
    rles = [entry for result in found for entry in result.rles]
    return replace(
        found[0],
        boxes=np.concatenate([result.boxes for result in found])[order],
        scores=scores[order],
        class_ids=np.concatenate([result.class_ids for result in found])[order],
        rles=[rles[place] for place in order],
        nonfinite_heads=max(result.nonfinite_heads for result in found),
        track_ids=np.array(numbers, np.int64)[order],
    )
