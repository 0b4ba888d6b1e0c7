"""Results as supervision's `Detections`, for its trackers, annotators and zones."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from segrt.runtime.errors import SegrtError
from segrt.runtime.results.track_ids import track_id_array


def detections(
    boxes: npt.NDArray[Any],
    masks: npt.NDArray[np.bool_],
    class_ids: npt.NDArray[Any],
    names: Sequence[str],
    scores: npt.NDArray[Any] | None,
    track_ids: Sequence[int | None] = (),
) -> Any:
    """Return a `supervision.Detections`; `data["class_name"]` has the names, as supervision's own readers write it.

    `boxes` (N, 4) xyxy in pixels, `masks` bool (N, H, W), `class_ids` (N,), `scores` (N,) or None where there are none,
    `track_ids` N or none. Raises SegrtError where supervision is not installed.
    """
    try:
        import supervision  # type: ignore[import-not-found,unused-ignore]  # optional
    except ImportError:
        raise SegrtError("to_supervision needs supervision; `pip install supervision`") from None
    if not len(class_ids):
        return supervision.Detections.empty()
    return supervision.Detections(
        xyxy=np.asarray(boxes, np.float32).reshape(-1, 4),
        mask=masks,
        class_id=np.asarray(class_ids, np.int64),
        confidence=None if scores is None else np.asarray(scores, np.float32),
        tracker_id=track_id_array(track_ids),
        data={"class_name": np.array(list(names))},
    )
