"""COCO's files: their JSON as structs, and a panoptic PNG with its annotation."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any, TypeVar

import msgspec
import numpy as np

from segrt.runtime.errors import SegrtError
from segrt.runtime.evaluate.datasets.coco_masks import CocoMask, CocoRle
from segrt.runtime.evaluate.datasets.dataset import ImageId, check_size
from segrt.runtime.evaluate.truth import PanopticTruth, TruthSegment
from segrt.runtime.files.images import MOST_PIXELS
from segrt.runtime.files.json_files import JsonError, convert_json, decode_json, decode_loose_json
from segrt.runtime.files.reading import MOST_DATASET, read_bytes
from segrt.runtime.results import Label
from segrt.runtime.results.coco_format import read_panoptic_picture
from segrt.runtime.results.labels.palette import label_color

_Content = TypeVar("_Content")
_Edge = Annotated[int, msgspec.Meta(ge=0, le=MOST_PIXELS)]
_Number = Annotated[float, msgspec.Meta(ge=-1e9, le=1e9)]  # pixels: their products are still numbers
Box = tuple[_Number, _Number, _Number, _Number]


class CocoImage(msgspec.Struct, frozen=True):
    """An entry of `images`."""

    id: ImageId
    file_name: str = ""
    height: _Edge = 0
    width: _Edge = 0


class CocoCategory(msgspec.Struct, frozen=True):
    """An entry of `categories`; `isthing` is only in panoptic files, and classes of instances are things."""

    id: int
    name: str
    isthing: int = 1
    color: tuple[int, int, int] | None = None


class CocoSegment(msgspec.Struct, frozen=True):
    """An entry of a panoptic annotation's `segments_info`; `score` is in some predictions."""

    id: int
    category_id: int
    iscrowd: int = 0
    score: float = 1.0


class CocoObject(msgspec.Struct, frozen=True):
    """An entry of an instances file's `annotations`: one object."""

    image_id: ImageId
    category_id: int
    bbox: Box
    area: float | None = None
    iscrowd: int | bool = 0
    segmentation: CocoMask = None


class CocoResult(msgspec.Struct, frozen=True):
    """An entry of COCO results: a mask or a box of one image; those of stuff have no score."""

    image_id: ImageId
    category_id: int
    score: float = 0.0
    bbox: Box | None = None
    segmentation: CocoRle | None = None


class CocoPanopticAnnotation(msgspec.Struct, frozen=True):
    """An entry of a panoptic file's `annotations`: one image."""

    image_id: ImageId
    file_name: str
    segments_info: tuple[CocoSegment, ...]


def read_json(path: Path) -> Any:
    """Return the content of a JSON file; raise SegrtError when it is missing, empty or no JSON."""
    try:
        data = read_bytes(path, MOST_DATASET)
    except OSError as error:
        raise SegrtError(f"{path}: cannot be read ({error.strerror}); check the path and its permissions") from None
    if not data.strip():
        raise SegrtError(f"{path} is empty; give a COCO JSON")
    try:
        return decode_json(data)
    except JsonError as error:
        if _is_loose(data):
            raise SegrtError(
                f"{path} holds NaN or an infinity, which are no numbers in JSON; write finite ones"
            ) from None
        raise SegrtError(f"{path} is no valid JSON ({error}); it may be truncated: copy it again") from None


def _is_loose(data: bytes) -> bool:
    """Whether it is the JSON of a library that also writes NaN and infinities."""
    try:
        decode_loose_json(data.decode())
    except (JsonError, UnicodeDecodeError):
        return False
    return True


def convert(path: Path, value: Any, kind: type[_Content], what: str = "") -> _Content:
    """Return `value` as `kind`; raise SegrtError that names the file and the field that does not fit.

    `what` says which entry of the file it is, "result 3" for instance.
    """
    try:
        return convert_json(value, kind)
    except JsonError as error:
        where = f"{path}: {what}" if what else str(path)
        raise SegrtError(
            f"{where} is no valid COCO JSON: {error}; write it as https://cocodataset.org/#format-data says"
        ) from None


def labels_of(path: Path, categories: Sequence[CocoCategory]) -> tuple[Label, ...]:
    """Return the classes of a JSON; raise SegrtError for one that has an id twice, or no name."""
    seen: set[int] = set()
    for category in categories:
        if category.id in seen:
            raise SegrtError(f"{path} has category {category.id} twice; each id must be unique")
        seen.add(category.id)
    try:
        return tuple(
            Label(
                category.name, category.id, bool(category.isthing), category.color or label_color(category.name, index)
            )
            for index, category in enumerate(categories)
        )
    except ValueError as error:
        raise SegrtError(f"{path}: {error}; correct its categories") from None


def read_panoptic(
    png: Path,
    annotation: CocoPanopticAnnotation,
    labels: Sequence[Label],
    size: tuple[int, int] | None,
    source: Path,
    *,
    size_source: Path | str | None = None,
) -> PanopticTruth:
    """Read a panoptic PNG and what its annotation, of the JSON `source`, says of it.

    Raises SegrtError when it cannot be read, is not of `size` (which `size_source` or `source` states), and for an
    unknown category. That the PNG holds the segments of the annotation and no others is for `verify` to say, or for
    the PQ evaluator, which counts them anyway.
    """
    picture = read_panoptic_picture(png)
    check_size(png, (int(picture.shape[0]), int(picture.shape[1])), size, size_source or source)
    class_ids = {label.dataset_id: index for index, label in enumerate(labels)}
    _check_segments(annotation, class_ids, source)
    segments = tuple(
        TruthSegment(segment.id, class_ids[segment.category_id], bool(segment.iscrowd), segment.score)
        for segment in annotation.segments_info
    )
    return PanopticTruth(picture, segments, tuple(labels), partial(_refuse_segments, png, source))


def _check_segments(annotation: CocoPanopticAnnotation, class_ids: dict[int, int], source: Path) -> None:
    """Raise SegrtError when an annotation names a segment twice, an id that no colour has, or an unknown category."""
    listed = [segment.id for segment in annotation.segments_info]
    if len(set(listed)) != len(listed):
        raise SegrtError(f"{source} lists a segment of {annotation.file_name} twice; each id must be unique")
    for segment in annotation.segments_info:
        if not 0 < segment.id < 1 << 24:
            raise SegrtError(
                f"{source} gives a segment of {annotation.file_name} the id {segment.id}; ids are 1 to {(1 << 24) - 1}"
            )
        if segment.category_id not in class_ids:
            raise SegrtError(
                f"{source} gives segment {segment.id} of {annotation.file_name} the category {segment.category_id}, "
                "which is not in its categories; add it or correct the segment"
            )


def _refuse_segments(png: Path, source: Path, image: PanopticTruth) -> None:
    present = set(np.unique(image.segment_ids).tolist())
    strange, lost = present - set(image.known_ids), set(image.known_ids[1:]) - present
    if strange:
        raise SegrtError(
            f"{png} holds segment {min(strange)}, which {source} does not list for it; "
            "give a PNG and a JSON that belong together"
        )
    raise SegrtError(
        f"{source} lists segment {min(lost)} for {png}, which does not hold it; "
        "give a PNG and a JSON that belong together"
    )
