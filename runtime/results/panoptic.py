"""The panoptic result: one class and one instance id for every pixel, no overlaps."""

from collections.abc import Iterator, Sequence
from copy import copy
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from segrt.runtime.errors import SegrtError
from segrt.runtime.results import rle
from segrt.runtime.results.class_choice import Classes, check_score, chosen_classes
from segrt.runtime.results.coco_entries import ImageId, plain_id
from segrt.runtime.results.detections import detections
from segrt.runtime.results.found import counted_names, found_text
from segrt.runtime.results.instance import InstanceResult
from segrt.runtime.results.labels.label import Label, check_labels
from segrt.runtime.results.remap import remap
from segrt.runtime.results.semantic import SemanticResult, class_map_dtype, describe
from segrt.runtime.results.timings import Timings
from segrt.runtime.results.track_ids import enclosing, track_id_array, tracked, with_tracks
from segrt.runtime.results.viewing import Viewable


@dataclass(frozen=True)
class Segment:
    """One segment: its `id` in the map, `area` in pixels, `bbox` (x, y, width, height) in pixels.

    `name` is its class's; a result gives it to segments that were made without. `track_id` says which object of a video
    it is, the same in each frame; None where nothing was tracked.
    """

    id: int
    class_id: int
    isthing: bool
    score: float
    area: int
    bbox: tuple[int, int, int, int]
    name: str = field(default="", compare=False)
    track_id: int | None = None


@dataclass(frozen=True, eq=False, repr=False)
class PanopticResult(Viewable):
    """One class and one instance id for every pixel; iterating gives its segments.

    `segment_ids` int32 (H, W), 0 = void; `segments` describes each id in it; their class_ids are positions in `labels`.
    `image` is the picture that was segmented, as it was given: not a copy.
    """

    segment_ids: npt.NDArray[np.int32]
    segments: list[Segment]
    labels: tuple[Label, ...]
    timings: Timings | None = None
    nonfinite_heads: int = 0  # network outputs with NaN or infinity among the values that were read
    image: npt.NDArray[Any] | None = None

    @classmethod
    def decided(
        cls,
        ids: npt.NDArray[np.int32] | npt.NDArray[np.uint8] | npt.NDArray[np.uint16],
        segments: list[Segment],
        labels: tuple[Label, ...],
        *,
        nonfinite_heads: int = 0,
    ) -> "PanopticResult":
        """Return the result of a decoder that has painted no other ids than its segments': no pixel is looked at.

        `ids` (H, W) may be of a smaller type; `segment_ids` is made of them when it is first asked for. Checking and
        widening four bytes a pixel would take longer than a GPU's merge and its download.
        """
        result = object.__new__(cls)
        name = "segment_ids" if ids.dtype == np.int32 else "_narrow_ids"
        for key, value in (
            (name, ids), ("segments", segments), ("labels", labels), ("timings", None),
            ("nonfinite_heads", nonfinite_heads),
        ):  # fmt: skip
            object.__setattr__(result, key, value)
        result._check_segments()
        return result

    if not TYPE_CHECKING:  # for whom every attribute would be there

        def __getattr__(self, name: str) -> Any:
            """Widen the ids of a result that has none of their full type yet."""
            narrow = self.__dict__.get("_narrow_ids")
            if name != "segment_ids" or narrow is None:
                raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
            object.__setattr__(self, "segment_ids", narrow.astype(np.int32))
            return self.__dict__["segment_ids"]

    def __post_init__(self) -> None:
        """Raise ValueError with what was expected and what was met."""
        array = self.segment_ids
        if not isinstance(array, np.ndarray) or array.ndim != 2 or array.dtype != np.int32 or array.size == 0:
            raise ValueError(f"segment_ids must be int32 with shape (H, W), but got {describe(array)}")
        object.__setattr__(self, "labels", check_labels(self.labels))
        self._check_segments()
        # A full look-up of every pixel would cost more than the merge; the extremes catch maps that are not ids at all.
        lowest, highest = int(array.min()), int(array.max())
        most = max((segment.id for segment in self.segments), default=0)
        if lowest < 0 or highest > most:
            raise ValueError(f"segment_ids holds {lowest} to {highest}, but segments has ids up to {most}")

    def _check_segments(self) -> None:
        ids = [segment.id for segment in self.segments]
        if len(set(ids)) != len(ids) or min(ids, default=1) < 1:
            raise ValueError(f"segments must have distinct ids of at least 1, but got {sorted(ids)}")
        for segment in self.segments:
            if not 0 <= segment.class_id < len(self.labels):
                raise ValueError(
                    f"segment {segment.id} has class_id {segment.class_id}, but there are {len(self.labels)} labels"
                )
        if any(segment.name != self.labels[segment.class_id].name for segment in self.segments):
            named = [replace(segment, name=self.labels[segment.class_id].name) for segment in self.segments]
            object.__setattr__(self, "segments", named)

    @property
    def size(self) -> tuple[int, int]:
        """The picture's (height, width)."""
        height, width = self.stored_ids.shape
        return int(height), int(width)

    @property
    def stored_ids(self) -> npt.NDArray[Any]:
        """`segment_ids` in the type that the decoder painted, uint8, uint16 or int32 (H, W), without widening it."""
        narrow: npt.NDArray[Any] | None = self.__dict__.get("_narrow_ids")
        return self.segment_ids if narrow is None else narrow

    def __len__(self) -> int:
        """Return the number of segments."""
        return len(self.segments)

    def __iter__(self) -> Iterator[Segment]:
        """Yield each segment."""
        return iter(self.segments)

    def __getitem__(self, index: int) -> Segment:
        """Return one segment by its place in `segments`, which is not its id."""
        return self.segments[index]

    def mask(self, segment: Segment | int) -> npt.NDArray[np.bool_]:
        """Return where a segment (or the one of that id) is, bool (H, W); raise SegrtError where there is none such."""
        wanted = segment.id if isinstance(segment, Segment) else segment
        if all(known.id != wanted for known in self.segments):
            ids = ", ".join(str(known.id) for known in self.segments[:12])
            raise SegrtError(f"segment: there is no id {wanted}; ids are {ids or 'none'}")
        mask: npt.NDArray[np.bool_] = self.segment_ids == wanted
        return mask

    def with_tracks(self, track_ids: Sequence[int | None]) -> "PanopticResult":
        """Return this result with a track id for each segment, in their order; the map is shared."""
        tracked = copy(self)
        object.__setattr__(tracked, "segments", with_tracks(self.segments, track_ids))
        return tracked

    def by_track(self) -> "PanopticResult":
        """Return this result with its tracks' ids for the ids of its segments and in its map.

        Ids are then those of COCO's panoptic video format: unique over the clip, stuff having one a class. What has no
        track is void; segments of one track are one. Raises SegrtError where nothing was tracked.
        """
        followed = [segment for segment in self.segments if segment.track_id is not None]
        if self.segments and not followed:
            raise SegrtError("by_track: nothing was tracked; stream with track=True, or give results to a Tracker")
        merged: dict[int, Segment] = {}
        for segment in followed:
            track = _track_id(segment)
            other = merged.get(track)
            moved = replace(segment, id=track)
            if other is not None:
                bbox = enclosing(other.bbox, moved.bbox)
                moved = replace(other, score=max(other.score, moved.score), area=other.area + moved.area, bbox=bbox)
            merged[track] = moved
        table = {segment.id: _track_id(segment) for segment in followed}
        ids = remap(self.stored_ids, table, default=0, dtype=np.dtype(np.int32))
        renamed = PanopticResult.decided(ids, list(merged.values()), self.labels, nonfinite_heads=self.nonfinite_heads)
        object.__setattr__(renamed, "timings", self.timings)
        object.__setattr__(renamed, "image", self.image)
        return renamed

    def counts(self) -> dict[str, int]:
        """Return how many things of each class there are, name → number, the most frequent first; stuff has none."""
        return counted_names([segment.name for segment in self.segments if segment.isthing])

    def filter(self, classes: Classes | None = None, *, score_threshold: float | None = None) -> "PanopticResult":
        """Return the segments of these classes (names or class ids) whose score is `score_threshold` or more.

        Pixels of others become void, 0; ids stay. Raises SegrtError for a class that there is not.
        """
        least = check_score(score_threshold)
        ids = range(len(self.labels)) if classes is None else chosen_classes(classes, self.labels)
        kept = [item for item in self.segments if item.class_id in ids and item.score >= least]
        table = {segment.id: segment.id for segment in kept}
        return replace(
            self, segments=kept, segment_ids=remap(self.segment_ids, table, default=0, dtype=np.dtype(np.int32))
        )

    def found(self) -> str:
        """Return what was found in one line, things counted, then stuff: "3 person, 1 dog, road, sky"."""
        stuff = sorted((item for item in self.segments if not item.isthing), key=lambda item: -item.area)
        return found_text(self.counts(), [segment.name for segment in stuff])

    def to_rows(self) -> list[dict[str, Any]]:
        """Return a dict for each segment: id, class_id, name, isthing, score, area (pixels), bbox (x, y, w, h).

        A segment of a track has its track_id, too.
        """
        return [
            {
                "id": segment.id,
                "class_id": segment.class_id,
                "name": segment.name,
                "isthing": segment.isthing,
                "score": round(float(segment.score), 4),
                "area": segment.area,
                "bbox": list(segment.bbox),
                **tracked(segment.track_id),
            }
            for segment in self.segments
        ]

    def to_supervision(self) -> Any:
        """Return `supervision.Detections` of all segments, stuff too, with their masks; needs supervision.

        `result.filter(...)` or `result.to_instances()` before leaves out what is not wanted.
        """
        return detections(
            np.array([_xyxy(segment.bbox) for segment in self.segments], np.float32),
            np.array([self.segment_ids == segment.id for segment in self.segments], np.bool_),
            np.array([segment.class_id for segment in self.segments]),
            [segment.name for segment in self.segments],
            np.array([segment.score for segment in self.segments]),
            [segment.track_id for segment in self.segments],
        )

    def to_semantic(self) -> SemanticResult:
        """Return each pixel's class; pixels of id 0 become the semantic result's `void_id`."""
        dtype = class_map_dtype(len(self.labels))
        table = {segment.id: segment.class_id for segment in self.segments}
        class_map = remap(self.stored_ids, table, default=int(np.iinfo(dtype).max), dtype=dtype)
        return SemanticResult(class_map, self.labels, self.timings, image=self.image)

    def to_instances(self) -> InstanceResult:
        """Return the things as objects, best score first; stuff has no objects and is left out."""
        things = sorted((segment for segment in self.segments if segment.isthing), key=lambda segment: -segment.score)
        boxes = np.array([_xyxy(segment.bbox) for segment in things], dtype=np.float32).reshape(-1, 4)
        return InstanceResult(
            boxes=boxes,
            scores=np.array([segment.score for segment in things], dtype=np.float32),
            class_ids=np.array([segment.class_id for segment in things], dtype=np.int64),
            rles=[rle.encode_id(self.stored_ids, item.id, item.bbox, item.area) for item in things],
            size=self.size,
            labels=self.labels,
            timings=self.timings,
            image=self.image,
            track_ids=track_id_array([segment.track_id for segment in things]),
        )

    def to_coco(self, image_id: ImageId = 0, file_name: str | None = None) -> dict[str, Any]:
        """Return the annotation of COCO's panoptic JSON; `file_name` is that of the PNG (see `coco_format.id2rgb`).

        Without one it is named by the picture's id, "0.png".
        `category_id` is the label's `dataset_id`; `isthing` and `score` are carried along, as detectron2's
        `segments_info` has them, which COCO's readers ignore, and so is `track_id` where there is one.
        """
        return {
            "image_id": plain_id(image_id),
            "file_name": f"{image_id}.png" if file_name is None else file_name,
            "segments_info": [
                {
                    "id": segment.id,
                    "category_id": self.labels[segment.class_id].dataset_id,
                    "isthing": segment.isthing,
                    "area": segment.area,
                    "bbox": list(segment.bbox),
                    "iscrowd": 0,
                    "score": round(float(segment.score), 6),
                    **tracked(segment.track_id),
                }
                for segment in self.segments
            ],
        }


def _xyxy(bbox: tuple[int, int, int, int]) -> tuple[int, int, int, int]:
    x, y, width, height = bbox
    return x, y, x + width, y + height


def _track_id(segment: Segment) -> int:
    """Return the track of a segment that has one, as an id of its own."""
    if segment.track_id is None or not 1 <= segment.track_id < 1 << 31:
        raise SegrtError(f"by_track: ids are 1 to {(1 << 31) - 1}, but segment {segment.id} is of {segment.track_id}")
    return segment.track_id
