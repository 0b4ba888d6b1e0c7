"""What of a result is followed: its things, with their masks as runs."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from segrt.runtime.errors import SegrtError
from segrt.runtime.postproc import MaskRuns
from segrt.runtime.results import InstanceResult, PanopticResult, Result
from segrt.runtime.results.thing_runs import thing_runs


@dataclass(frozen=True, eq=False)
class Things:
    """The N things of a frame: `places` in their result, class ids, scores, masks, and the masks' areas and boxes.

    `boxes` float64 (N, 4) are x0, y0, x1, y1, edges in pixels, 0 of an empty mask. `size` is the picture's (H, W).
    """

    places: npt.NDArray[np.intp]
    class_ids: npt.NDArray[np.int64]
    scores: npt.NDArray[np.float64]
    masks: MaskRuns
    areas: npt.NDArray[np.int64]
    boxes: npt.NDArray[np.float64]
    size: tuple[int, int]

    def __len__(self) -> int:
        return len(self.places)

    @cached_property
    def rows(self) -> npt.NDArray[np.float64]:
        """Each thing's area, box and class id, float64 (N, 6)."""
        rows = np.empty((len(self), 6))
        rows[:, 0], rows[:, 1:5], rows[:, 5] = self.areas, self.boxes, self.class_ids
        return rows


def things_of(result: Result) -> Things:
    """Return the things of a result; raise SegrtError for one that has none by its technique."""
    if isinstance(result, PanopticResult):
        return _of_panoptic(result)
    if isinstance(result, InstanceResult):
        return _of_instances(result)
    raise SegrtError(
        "tracking: a semantic result has classes and no objects that could be followed; take an instance or panoptic "
        "bundle"
    )


def _of_panoptic(result: PanopticResult) -> Things:
    places, masks = thing_runs(result)
    segments = [result.segments[place] for place in places]
    areas, boxes = masks.measure()
    return Things(
        np.array(places, np.intp),
        np.array([segment.class_id for segment in segments], np.int64),
        np.array([segment.score for segment in segments], np.float64),
        masks,
        areas,
        boxes.astype(np.float64),
        result.size,
    )


def _of_instances(result: InstanceResult) -> Things:
    masks = MaskRuns.of_rles(result.rles)
    areas, boxes = masks.measure()
    return Things(
        np.arange(len(result)),
        result.class_ids.astype(np.int64),
        result.scores.astype(np.float64),
        masks,
        areas,
        boxes.astype(np.float64),
        result.size,
    )
