"""The instance result: a mask, class and score for every object, overlaps allowed."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from segrt.runtime.results import rle
from segrt.runtime.results.class_choice import Classes, check_score, chosen_classes
from segrt.runtime.results.coco_entries import ImageId, instance_entry
from segrt.runtime.results.detections import detections
from segrt.runtime.results.found import counted_names, found_text
from segrt.runtime.results.labels.label import Label, check_labels
from segrt.runtime.results.semantic import describe
from segrt.runtime.results.timings import Timings
from segrt.runtime.results.track_ids import tracked
from segrt.runtime.results.viewing import Viewable


@dataclass(frozen=True)
class Instance:
    """One object: `box` (x0, y0, x1, y1) in pixels as the network gave it, `rle` its mask in COCO's run lengths.

    `track_id` says which object of a video it is, the same in each frame; None where nothing was tracked.
    """

    class_id: int
    name: str
    score: float
    box: tuple[float, float, float, float]
    rle: "rle.Rle"
    track_id: int | None = None

    @property
    def mask(self) -> npt.NDArray[np.bool_]:
        """The mask, bool (H, W); decoded at each use."""
        return rle.decode(self.rle)

    @property
    def area(self) -> int:
        """The mask's pixels."""
        return rle.area(self.rle)


@dataclass(frozen=True, eq=False, repr=False)
class InstanceResult(Viewable):
    """Every object's box, score, class and mask; iterating and indexing give each object as an `Instance`.

    `boxes` float32 (N, 4) xyxy in source pixels, `scores` float32 (N,), `class_ids` int (N,) positions in `labels`,
    `rles` N COCO run-length encodings {"size": [H, W], "counts": bytes}, `size` (H, W) of the source. `image` is the
    picture that was segmented, as it was given: not a copy. `track_ids` int64 (N,) say which object of a video each is,
    -1 for one that is none's yet; None where nothing was tracked.
    """

    boxes: npt.NDArray[np.float32]
    scores: npt.NDArray[np.float32]
    class_ids: npt.NDArray[Any]
    rles: "list[rle.Rle]"
    size: tuple[int, int]
    labels: tuple[Label, ...]
    timings: Timings | None = None
    nonfinite_heads: int = 0  # network outputs with NaN or infinity among the values that were read
    image: npt.NDArray[Any] | None = None
    track_ids: npt.NDArray[np.int64] | None = None

    def __post_init__(self) -> None:
        """Raise ValueError with what was expected and what was met."""
        object.__setattr__(self, "labels", check_labels(self.labels))
        object.__setattr__(self, "size", (int(self.size[0]), int(self.size[1])))
        if min(self.size) < 1:
            raise ValueError(f"size must be (height, width) of at least 1, but got {self.size}")
        count = len(self.rles)
        for name, array, shape in (("boxes", self.boxes, (count, 4)), ("scores", self.scores, (count,))):
            if not isinstance(array, np.ndarray) or array.dtype != np.float32 or array.shape != shape:
                raise ValueError(f"{name} must be float32 with shape {shape}, but got {describe(array)}")
            if not np.isfinite(array).all():
                raise ValueError(f"{name} must be finite, but holds NaN or infinity")
        ids = self.class_ids
        if not isinstance(ids, np.ndarray) or ids.dtype.kind not in "iu" or ids.shape != (count,):
            raise ValueError(f"class_ids must be integers with shape {(count,)}, but got {describe(ids)}")
        if count and not 0 <= int(ids.min()) <= int(ids.max()) < len(self.labels):
            raise ValueError(
                f"class_ids must be 0 to {len(self.labels) - 1}, but got {int(ids.min())} to {int(ids.max())}"
            )
        tracks = self.track_ids
        if tracks is not None and (
            not isinstance(tracks, np.ndarray) or tracks.dtype != np.int64 or tracks.shape != (count,)
        ):
            raise ValueError(f"track_ids must be int64 with shape {(count,)}, but got {describe(tracks)}")
        for index, encoded in enumerate(self.rles):
            if tuple(encoded["size"]) != self.size:
                raise ValueError(f"rles[{index}] must have size {list(self.size)}, but got {list(encoded['size'])}")

    def __len__(self) -> int:
        """Return the number of objects."""
        return len(self.rles)

    def __iter__(self) -> Iterator[Instance]:
        """Yield each object."""
        return (self[index] for index in range(len(self)))

    def __getitem__(self, index: int) -> Instance:
        """Return one object."""
        class_id = int(self.class_ids[index])
        x0, y0, x1, y1 = (float(value) for value in self.boxes[index])
        name = self.labels[class_id].name
        track = -1 if self.track_ids is None else int(self.track_ids[index])
        return Instance(
            class_id=class_id,
            name=name,
            score=float(self.scores[index]),
            box=(x0, y0, x1, y1),
            rle=self.rles[index],
            track_id=None if track < 0 else track,
        )

    def with_tracks(self, track_ids: Sequence[int | None]) -> "InstanceResult":
        """Return this result with a track id for each object, in their order; the masks are shared."""
        return replace(self, track_ids=np.array([-1 if track is None else track for track in track_ids], np.int64))

    @property
    def names(self) -> list[str]:
        """Each object's class by name."""
        return [self.labels[int(class_id)].name for class_id in self.class_ids]

    def counts(self) -> dict[str, int]:
        """Return how many objects of each class there are, name → number, the most frequent first."""
        return counted_names(self.names)

    def filter(self, classes: Classes | None = None, *, score_threshold: float | None = None) -> "InstanceResult":
        """Return the objects of these classes (names or class ids) whose score is `score_threshold` (0 to 1) or more.

        Raises SegrtError for a class that there is not.
        """
        kept = self.scores >= np.float32(check_score(score_threshold))
        if classes is not None:
            kept &= np.isin(self.class_ids, sorted(chosen_classes(classes, self.labels)))
        places = np.flatnonzero(kept)
        rles = [self.rles[place] for place in places]
        return replace(
            self,
            boxes=self.boxes[places],
            scores=self.scores[places],
            class_ids=self.class_ids[places],
            rles=rles,
            track_ids=None if self.track_ids is None else self.track_ids[places],
        )

    def found(self) -> str:
        """Return what was found in one line: "3 person, 1 dog"."""
        return found_text(self.counts())

    def to_rows(self) -> list[dict[str, Any]]:
        """Return a dict for each object: class_id, name, score, area (pixels), bbox [x, y, width, height].

        An object of a track has its track_id, too.
        """
        sides = np.concatenate((self.boxes[:, :2], self.boxes[:, 2:] - self.boxes[:, :2]), axis=1)
        return [
            {
                "class_id": item.class_id,
                "name": item.name,
                "score": round(item.score, 4),
                "area": item.area,
                "bbox": [round(float(value), 2) for value in bbox],
                **tracked(item.track_id),
            }
            for item, bbox in zip(self, sides, strict=True)
        ]

    def to_coco(self, image_id: ImageId = 0) -> list[dict[str, Any]]:
        """Return the picture's entries of COCO's instance results: category_id, score and the mask's run lengths.

        They have no boxes: pycocotools takes an object's area from its box where it has one, which moves objects
        between small, medium and large (detectron2's `instances_to_coco_json` is stripped of them for masks, too).
        """
        return [
            instance_entry(image_id, self.labels[item.class_id].dataset_id, round(item.score, 6), mask=item.rle)
            for item in self
        ]

    def to_supervision(self) -> Any:
        """Return `supervision.Detections` with boxes, masks, class ids, confidences and names; needs supervision.

        Where objects are tracked, `tracker_id` has their track_ids.
        """
        tracks = [item.track_id for item in self]
        return detections(self.boxes, self.masks, self.class_ids, self.names, self.scores, tracks)

    @cached_property
    def masks(self) -> npt.NDArray[np.bool_]:
        """All masks, bool (N, H, W); decoded on first use and kept."""
        return rle.decode_all(self.rles, self.size)
