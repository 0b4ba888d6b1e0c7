"""Panoptic ground truth, and what it says in the terms of the other two techniques."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from segrt.runtime.postproc import count_ids, ids_of_colors
from segrt.runtime.results import Label, PanopticResult, Segment, rle
from segrt.runtime.results.remap import remap
from segrt.runtime.results.semantic import class_map_dtype


@dataclass(frozen=True)
class TruthSegment:
    """One segment; a crowd is a region of several objects that nobody told apart. Predictions carry a score."""

    id: int
    class_id: int
    iscrowd: bool
    score: float = 1.0


@dataclass(frozen=True, eq=False)
class PanopticTruth:
    """The truth of one image, or a prediction read from a file: `ids` and what each id is; class_ids index `labels`.

    `ids` is int32 (H, W), 0 = void, or a panoptic PNG's picture as decoded, uint8 BGR (H, W, 3): counting reads the
    colours in place. `refuse`, of what was read from files, raises SegrtError that says which segments do not fit.
    `whole` is the truth before classes were left out, whose void is nobody's class.
    """

    ids: npt.NDArray[Any]
    segments: tuple[TruthSegment, ...]
    labels: tuple[Label, ...]
    refuse: "Callable[[PanopticTruth], None] | None" = None
    whole: "PanopticTruth | None" = None

    @cached_property
    def segment_ids(self) -> npt.NDArray[np.int32]:
        """The segment of each pixel, int32 (H, W), 0 = void."""
        return self.ids if self.ids.ndim == 2 else ids_of_colors(self.ids)

    @property
    def size(self) -> tuple[int, int]:
        """The picture's (height, width)."""
        return int(self.ids.shape[0]), int(self.ids.shape[1])

    @property
    def known_ids(self) -> list[int]:
        """Void and the segments' ids: the rows of a count."""
        return [0, *(segment.id for segment in self.segments)]

    def verify(self, counts: "Sequence[int] | None" = None) -> None:
        """Raise SegrtError when the map of a file and its segments differ; `counts` are of `known_ids`, if known."""
        if self.refuse is not None:
            if counts is None:
                counts = count_ids(self.ids, self.known_ids).tolist()
            if counts[0] or 0 in counts[2:]:
                self.refuse(self)

    def to_result(self) -> PanopticResult:
        """Return it as a segmenter would; areas and boxes are those of the map."""
        segments = []
        for segment in self.segments:
            mask = (self.segment_ids == segment.id).view(np.uint8)
            x, y, width, height = cv2.boundingRect(mask)
            thing = self.labels[segment.class_id].isthing
            area = int(np.count_nonzero(mask))
            box = (x, y, width, height)
            segments.append(Segment(segment.id, segment.class_id, thing, segment.score, area, box))
        return PanopticResult(self.segment_ids, segments, self.labels)

    def class_map(self) -> npt.NDArray[Any]:
        """Return each pixel's class, uint8 or uint16 (H, W); void pixels get 255 or 65535 and are not evaluated.

        A crowd's pixels have its class, as panopticapi's panoptic2semantic_segmentation.py has it.
        """
        dtype = class_map_dtype(len(self.labels))
        table = {segment.id: segment.class_id for segment in self.segments}
        return remap(self.segment_ids, table, default=int(np.iinfo(dtype).max), dtype=dtype)

    def objects(self) -> list[dict[str, Any]]:
        """Return the things as COCO instance annotations without ids: category_id is the class id.

        Crowds come along with iscrowd 1, so that detections on them are neither right nor wrong (panopticapi's
        panoptic2detection_coco_format.py).
        """
        objects = []
        for segment in self.segments:
            if not self.labels[segment.class_id].isthing:
                continue
            mask = self.segment_ids == segment.id
            x, y, width, height = cv2.boundingRect(mask.view(np.uint8))
            objects.append(
                {
                    "category_id": segment.class_id,
                    "iscrowd": int(segment.iscrowd),
                    "area": int(np.count_nonzero(mask)),
                    "bbox": [x, y, width, height],
                    "segmentation": rle.encode(mask),
                }
            )
        return objects


@dataclass(frozen=True, eq=False)
class SemanticTruth:
    """The class of each pixel of one image, uint8 or uint16 (H, W); what is no position in `labels` is void."""

    classes: npt.NDArray[Any]
    labels: tuple[Label, ...]

    @property
    def size(self) -> tuple[int, int]:
        """The picture's (height, width)."""
        return int(self.classes.shape[0]), int(self.classes.shape[1])

    def class_map(self) -> npt.NDArray[Any]:
        """Return the map."""
        return self.classes


@dataclass(frozen=True, eq=False)
class InstanceTruth:
    """The objects of one image as COCO annotations; category_id is the position in `labels`."""

    annotations: list[dict[str, Any]]
    size: tuple[int, int]
    labels: tuple[Label, ...]

    def objects(self) -> list[dict[str, Any]]:
        """Return the objects."""
        return self.annotations


Truth = PanopticTruth | SemanticTruth | InstanceTruth
