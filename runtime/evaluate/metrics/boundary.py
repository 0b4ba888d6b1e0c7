"""Boundaries of masks and of class maps, as Cheng et al. 2021 define them (bowenc0221/boundary-iou-api).

A mask's boundary is what d erosions by a 3 x 3 square take away, the picture's border being an edge; d is 2 % of the
picture's diagonal, rounded half to even, and at least 1.
"""

from collections import defaultdict
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

RATIO = 0.02
_SQUARE = np.ones((3, 3), np.uint8)


def boundary_reach(size: tuple[int, int]) -> int:
    """Return how many pixels a boundary is wide in a picture of `size` (height, width)."""
    return max(1, round(RATIO * float(np.hypot(*size))))


def boundary_of(mask: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Return the boundary of `mask`, uint8 (H, W) of 0 and 1, as another one (the authors' mask_to_boundary)."""
    left, top, width, height = cv2.boundingRect(mask)
    boundary = np.zeros_like(mask)
    if width:
        inside = mask[top : top + height, left : left + width]
        padded = cv2.copyMakeBorder(inside, 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)
        eroded = cv2.erode(padded, _SQUARE, iterations=boundary_reach(mask.shape))
        boundary[top : top + height, left : left + width] = inside - eroded[1:-1, 1:-1]
    return boundary


def boundary_band(class_map: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    """Return where `class_map`, uint8 or uint16 (H, W), is on the boundary of its region, for every class at once."""
    reach = boundary_reach(class_map.shape)
    lowest = cv2.erode(class_map, _SQUARE, iterations=reach)
    band: npt.NDArray[np.bool_] = lowest != cv2.dilate(class_map, _SQUARE, iterations=reach)
    band[:reach] = band[-reach:] = True
    band[:, :reach] = band[:, -reach:] = True
    return band


def boundary_evaluation(truth: Any, detections: Any, **options: Any) -> Any:
    """Return faster-coco-eval's evaluation of masks, with the smaller one of their IoU and their boundaries'.

    `truth` and `detections` are the library's COCO objects. Its own kind "boundary" rounds the width half down, and
    lets erosion wrap into the next column where masks are as high as a very wide picture.
    """
    from faster_coco_eval import COCOeval_faster
    from faster_coco_eval import mask as masks

    class BoundaryEvaluation(COCOeval_faster):  # type: ignore[misc]
        def __init__(self) -> None:
            self.boundaries = tuple(_boundaries(content, masks) for content in (truth, detections))
            super().__init__(truth, detections, iouType="segm", **options)

        def computeIoU(self, image_id: int, category_id: int) -> Any:  # noqa: N802 (the library's name)
            ious = super().computeIoU(image_id, category_id)
            if not len(ious):
                return ious
            true, detected = (kind[image_id, category_id] for kind in self.boundaries)
            detected = sorted(detected, key=lambda entry: -entry[1])[: self.params.maxDets[-1]]
            crowds = [crowd for *_, crowd in true]
            edges = masks.iou([entry[0] for entry in detected], [entry[0] for entry in true], crowds)
            counted = ~np.array(crowds, bool)
            ious = np.array(ious)
            ious[:, counted] = np.minimum(ious[:, counted], np.array(edges)[:, counted])
            return ious

    return BoundaryEvaluation()


def _boundaries(content: Any, masks: Any) -> dict[tuple[int, int], list[tuple[Any, float, int]]]:
    """Return (boundary as RLE, score, crowd or not) of all annotations, in order, by image and category."""
    boundaries = defaultdict(list)
    for entry in content.dataset["annotations"]:
        mask = np.ascontiguousarray(masks.decode(content.annToRLE(entry)))
        edge = masks.encode(np.asfortranarray(boundary_of(mask)))
        key = (entry["image_id"], entry["category_id"])
        boundaries[key].append((edge, float(entry.get("score", 0.0)), int(entry.get("iscrowd", 0))))
    return boundaries
