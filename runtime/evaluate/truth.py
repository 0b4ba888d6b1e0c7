"""Panoptic ground truth, and what it says in the terms of the other two techniques."""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from segrt.runtime.results import Label, rle
from segrt.runtime.results.remap import remap
from segrt.runtime.results.semantic import class_map_dtype


@dataclass(frozen=True)
class TruthSegment:
    """One segment of the truth; a crowd is a region of several objects that nobody told apart."""

    id: int
    class_id: int
    iscrowd: bool


@dataclass(frozen=True, eq=False)
class PanopticTruth:
    """The truth of one image: `segment_ids` int32 (H, W), 0 = void, and what each id is; class_ids index `labels`."""

    segment_ids: npt.NDArray[np.int32]
    segments: tuple[TruthSegment, ...]
    labels: tuple[Label, ...]

    @property
    def size(self) -> tuple[int, int]:
        """The picture's (height, width)."""
        height, width = self.segment_ids.shape
        return int(height), int(width)

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
        found = []
        for segment in self.segments:
            if not self.labels[segment.class_id].isthing:
                continue
            mask = self.segment_ids == segment.id
            x, y, width, height = cv2.boundingRect(mask.view(np.uint8))
            found.append(
                {
                    "category_id": segment.class_id,
                    "iscrowd": int(segment.iscrowd),
                    "area": int(np.count_nonzero(mask)),
                    "bbox": [x, y, width, height],
                    "segmentation": rle.encode(mask),
                }
            )
        return found
