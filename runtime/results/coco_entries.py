"""Objects and regions as entries of COCO's result files: https://cocodataset.org/#format-results."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from segrt.runtime.results import rle
from segrt.runtime.results.labels.label import Label

ImageId = int | str


def plain_id(image_id: Any) -> ImageId:
    """Return an image id as JSON has it: NumPy's integers are none of Python's."""
    plain: ImageId = image_id.item() if isinstance(image_id, np.generic) else image_id
    return plain


def instance_entry(
    image_id: ImageId,
    category_id: int,
    score: float,
    *,
    bbox: Sequence[float] | None = None,
    mask: "rle.Rle | Mapping[str, Any] | None" = None,
) -> dict[str, Any]:
    """Return one object's entry of COCO's instance results: `mask`, its run lengths, or `bbox`, [x, y, width, height].

    Of both the mask is written alone; see `InstanceResult.to_coco`.
    """
    entry: dict[str, Any] = {"image_id": plain_id(image_id), "category_id": category_id}
    if bbox is not None and mask is None:
        entry["bbox"] = list(bbox)
    entry["score"] = score
    if mask is not None:
        entry["segmentation"] = rle.text(mask)
    return entry


def stuff_entries(classes: npt.NDArray[Any], labels: Sequence[Label], image_id: ImageId) -> list[dict[str, Any]]:
    """Return a picture's entries of COCO's stuff results: a mask for each class that occurs, without a score.

    `classes` are integers (H, W), positions in `labels`; other values belong to no class.
    """
    entries = []
    for position, label in enumerate(labels):
        mask = classes == position
        if np.any(mask):
            code = rle.text(rle.encode(mask))
            entries.append({"image_id": plain_id(image_id), "category_id": label.dataset_id, "segmentation": code})
    return entries
