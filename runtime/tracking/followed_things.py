"""What of a result is followed: its things, with their masks as runs."""

from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
import numpy.typing as npt

from segrt.runtime.errors import SegrtError
from segrt.runtime.postproc import MaskRuns
from segrt.runtime.results import InstanceResult, PanopticResult, Result


@dataclass(frozen=True, eq=False)
class Things:
    """The N things of a frame: `places` in their result, class ids, scores, masks, and the masks' areas and boxes.

    `boxes` float64 (N, 4) are x0, y0, x1, y1, edges in pixels, 0 of an empty mask. `frame` is one mask, the whole
    picture's.
    """

    places: list[int]
    class_ids: npt.NDArray[np.int64]
    scores: npt.NDArray[np.float64]
    masks: MaskRuns
    areas: npt.NDArray[np.int64]
    boxes: npt.NDArray[np.float64]
    frame: MaskRuns

    def __len__(self) -> int:
        return len(self.places)

    @cached_property
    def listed(self) -> list[tuple[int, float, int, list[float]]]:
        """Each thing's class id, score, area and box: what is read one by one is read faster from a list."""
        columns = (self.class_ids.tolist(), self.scores.tolist(), self.areas.tolist(), self.boxes.tolist())
        return list(zip(*columns, strict=True))


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
    places = [place for place, segment in enumerate(result.segments) if segment.isthing]
    segments = [result.segments[place] for place in places]
    masks = MaskRuns.of_map(result.stored_ids, [segment.id for segment in segments])
    areas, boxes = masks.measure()
    return Things(
        places,
        np.array([segment.class_id for segment in segments], np.int64),
        np.array([segment.score for segment in segments], np.float64),
        masks,
        areas,
        boxes.astype(np.float64),
        _whole(result.size, by_columns=False),
    )


def _of_instances(result: InstanceResult) -> Things:
    masks = MaskRuns.of_rles(result.rles)
    areas, boxes = masks.measure()
    return Things(
        list(range(len(result))),
        result.class_ids.astype(np.int64),
        result.scores.astype(np.float64),
        masks,
        areas,
        boxes.astype(np.float64),
        _whole(result.size, by_columns=True),
    )


@lru_cache(maxsize=8)
def _whole(size: tuple[int, int], *, by_columns: bool) -> MaskRuns:
    """Return the mask of a whole picture (H, W), shared by all that ask for it."""
    lines, length = size[::-1] if by_columns else size
    runs = np.zeros((lines, 3), np.int32)
    runs[:, 0], runs[:, 2] = np.arange(lines), length
    return MaskRuns(runs, np.array([0, lines], np.int64), by_columns)
