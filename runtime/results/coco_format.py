"""COCO's file formats: panoptic PNG + JSON, and instance results as run-length encodings.

Formats: https://cocodataset.org/#format-data and #format-results; the colour of an id is panopticapi's (utils.py).
"""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, overload

import msgspec
import numpy as np
import numpy.typing as npt

from segrt.runtime.errors import ImageError
from segrt.runtime.files.atomic import make_folder, write_atomic
from segrt.runtime.files.truncation import is_truncated
from segrt.runtime.postproc import ids_of_colors
from segrt.runtime.results.instance import InstanceResult
from segrt.runtime.results.labels.label import Label
from segrt.runtime.results.panoptic import PanopticResult

ImageId = int | str


@overload
def id2rgb(ids: int) -> list[int]: ...
@overload
def id2rgb(ids: npt.NDArray[Any]) -> npt.NDArray[np.uint8]: ...
def id2rgb(ids: "int | npt.NDArray[Any]") -> "list[int] | npt.NDArray[np.uint8]":
    """Return the colour of each id, id = R + 256 G + 256² B: (H, W) → uint8 (H, W, 3) RGB, or an int → [R, G, B]."""
    if not isinstance(ids, np.ndarray):
        return [ids & 0xFF, ids >> 8 & 0xFF, ids >> 16 & 0xFF]
    # The low three bytes of a little-endian integer are R, G, B in this order.
    parts = np.ascontiguousarray(ids, dtype="<u4").view(np.uint8).reshape(*ids.shape, 4)
    return np.ascontiguousarray(parts[..., :3])


def encode_panoptic_png(segment_ids: npt.NDArray[Any]) -> bytes:
    """Return the PNG file of `segment_ids`, integers (H, W) of 0 to 2²⁴ - 1."""
    lowest, highest = int(segment_ids.min()), int(segment_ids.max())
    if lowest < 0 or highest >= 1 << 24:
        raise ValueError(
            f"segment_ids must be 0 to {(1 << 24) - 1} to fit a PNG's colours, but holds {lowest} to {highest}"
        )
    return encode_png(id2rgb(segment_ids)[..., ::-1])


def encode_png(image: npt.NDArray[Any]) -> bytes:
    """Return the PNG file of `image`: uint8 or uint16, (H, W) grey or (H, W, 3) BGR."""
    import cv2

    done, data = cv2.imencode(".png", np.ascontiguousarray(image))
    if not done:
        raise ValueError(f"cannot encode {image.dtype} {image.shape} as PNG")
    return data.tobytes()


def write_panoptic_png(path: "str | os.PathLike[str]", segment_ids: npt.NDArray[Any]) -> None:
    """Write `segment_ids` (H, W) as COCO's panoptic PNG, whole or not at all; the folder must exist."""
    write_atomic(Path(path), encode_panoptic_png(segment_ids))


def read_panoptic_png(path: "str | os.PathLike[str]") -> npt.NDArray[np.int32]:
    """Read a panoptic PNG; return its segment ids, int32 (H, W), 0 = void.

    Raises:
        ImageError: the file is missing, no picture, or not 8-bit RGB.
    """
    return ids_of_colors(read_panoptic_picture(path))


def read_panoptic_picture(path: "str | os.PathLike[str]") -> npt.NDArray[np.uint8]:
    """Read a panoptic PNG as it is, uint8 BGR (H, W, 3) or BGRA: the counting functions read ids from colours.

    Raises:
        ImageError: the file is missing, no picture, or not 8-bit RGB.
    """
    import cv2

    file = Path(path)
    if not file.is_file():
        raise ImageError(f"{file} does not exist; give the folder that holds the panoptic PNG files")
    try:
        data = np.fromfile(file, dtype=np.uint8)
    except OSError as error:
        raise ImageError(f"cannot read {file}: {error.strerror}") from error
    try:
        image = cv2.imdecode(data, cv2.IMREAD_UNCHANGED) if data.size and not is_truncated(data.tobytes()) else None
    except cv2.error:
        image = None
    if image is None:
        raise ImageError(f"{file} is no readable picture ({data.size} bytes); it may be truncated: fetch it again")
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] not in (3, 4):
        raise ImageError(f"{file} must be an 8-bit RGB PNG of segment ids, but is {image.dtype} {image.shape}")
    return np.asarray(image, dtype=np.uint8)


def categories(labels: Sequence[Label]) -> list[dict[str, Any]]:
    """Return the `categories` of a COCO panoptic JSON: ids are the labels' `dataset_id`s."""
    return [
        {"id": label.dataset_id, "name": label.name, "isthing": int(label.isthing), "color": list(label.color)}
        for label in labels
    ]


def instance_annotations(result: InstanceResult, image_id: ImageId) -> list[dict[str, Any]]:
    """Return one image's entries of COCO's instance results: category_id, bbox (x, y, w, h), score, ASCII RLE."""
    entries = []
    for box, score, class_id, encoded in zip(result.boxes, result.scores, result.class_ids, result.rles, strict=True):
        left, top, right, bottom = (round(float(side), 3) for side in box)
        entries.append(
            {
                "image_id": image_id,
                "category_id": result.labels[int(class_id)].dataset_id,
                "bbox": [left, top, round(right - left, 3), round(bottom - top, 3)],
                "score": round(float(score), 6),
                "segmentation": {"size": list(encoded["size"]), "counts": encoded["counts"].decode("ascii")},
            }
        )
    return entries


class PanopticFolder:
    """Collects panoptic results as COCO files: `NAME/*.png` beside `NAME.json`, as the data set has them.

    A context manager: the JSON is written on leaving, also when an exception ends the work, so that what was added
    stays readable.
    """

    def __init__(self, json_path: "str | os.PathLike[str]", labels: Sequence[Label]) -> None:
        self.json_path = Path(json_path)
        self.png_folder = self.json_path.with_suffix("")
        self._labels = tuple(labels)
        self._images: list[dict[str, Any]] = []
        self._annotations: list[dict[str, Any]] = []

    def add(self, result: PanopticResult, image_id: ImageId, file_name: str) -> None:
        """Write the PNG of `file_name`'s result now and keep its annotation for the JSON."""
        height, width = result.size
        png_name = Path(file_name).with_suffix(".png").name
        write_panoptic_png(make_folder(self.png_folder) / png_name, result.segment_ids)
        self._images.append({"id": image_id, "file_name": file_name, "height": height, "width": width})
        self._annotations.append(result.to_coco(image_id, png_name))

    def write(self) -> None:
        """Write the JSON of all that was added so far."""
        write_panoptic_json(self.json_path, self._images, self._annotations, self._labels)

    def __enter__(self) -> "PanopticFolder":
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Write the JSON."""
        self.write()


def write_panoptic_json(
    path: "str | os.PathLike[str]",
    images: Iterable[dict[str, Any]],
    annotations: Iterable[dict[str, Any]],
    labels: Sequence[Label],
) -> None:
    """Write COCO's panoptic JSON; `images` have id, file_name, height, width, `annotations` are of `to_coco`."""
    content = {"images": list(images), "annotations": list(annotations), "categories": categories(labels)}
    write_atomic(Path(path), msgspec.json.encode(content) + b"\n")
