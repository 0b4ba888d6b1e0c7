"""What two panoptic maps of one frame share, segment by segment, under ids that last over the clip."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from segrt.runtime.errors import SegrtError
from segrt.runtime.evaluate import conversion
from segrt.runtime.evaluate.class_matching import ClassMatch
from segrt.runtime.evaluate.clips.clip_ids import lasting_ids
from segrt.runtime.evaluate.conversion import Prediction
from segrt.runtime.evaluate.truth import PanopticTruth, Truth
from segrt.runtime.postproc import count_overlaps
from segrt.runtime.results import PanopticResult

Integers = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Side:
    """The T segments of one side: lasting ids (T,), class ids (T,), and whether each is a crowd (T,)."""

    ids: Integers
    classes: Integers
    crowd: npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class FrameCounts:
    """`shared` int64 (T + 1, P + 1): pixels of each true (row) and predicted (column) segment; row, column 0: void."""

    true: Side
    predicted: Side
    shared: Integers


def count_frame(prediction: Prediction, truth: Truth, match: ClassMatch) -> FrameCounts:
    """Count what prediction and truth share; the truth is in the classes of `match` already.

    Raises SegrtError when a file's map and its list of segments differ, or the sizes do.
    """
    if not isinstance(truth, PanopticTruth):
        raise SegrtError("the data set has no panoptic truth; evaluate as instance")
    predicted = conversion.panoptic(prediction, match)
    ids = _map(predicted)
    conversion.check_same_size(ids, truth.size)
    shared = count_overlaps(_map(truth), ids, _known(truth), _known(predicted))
    for image, counts in ((truth, shared.sum(axis=1)), (predicted, shared.sum(axis=0))):
        if isinstance(image, PanopticTruth):
            image.verify(counts.tolist())
        if counts[0]:
            raise SegrtError("the prediction's map holds ids that are not among its segments; list them")
    return FrameCounts(_side(truth), _side(predicted), shared[1:, 1:])


def _map(image: PanopticResult | PanopticTruth) -> npt.NDArray[np.int32] | npt.NDArray[np.uint8]:
    return image.ids if isinstance(image, PanopticTruth) else image.segment_ids


def _known(image: PanopticResult | PanopticTruth) -> list[int]:
    """Return void and the segments' ids; what is in neither is in row or column 0 of the counts."""
    return [0, *(segment.id for segment in image.segments)]


def _side(image: PanopticResult | PanopticTruth) -> Side:
    crowd = [segment.iscrowd for segment in image.segments] if isinstance(image, PanopticTruth) else None
    return Side(
        np.array(lasting_ids(image), np.int64),
        np.array([segment.class_id for segment in image.segments], np.int64),
        np.zeros(len(image.segments), np.bool_) if crowd is None else np.array(crowd, np.bool_),
    )
