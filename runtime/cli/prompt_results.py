"""Prompts from a coco.json: a box for each object that `segrt run --save coco` of another bundle has found."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from segrt.runtime.errors import SegrtError
from segrt.runtime.files.json_files import JsonError, decode_json
from segrt.runtime.files.reading import read_bytes
from segrt.runtime.preprocess.prompts import Box, Prompt, shown
from segrt.runtime.results import rle
from segrt.runtime.results.coco_entries import ImageId

_MOST_FILE = 1 << 30
_REMEDY = "give a coco.json that `segrt run --save coco` has written"


class _Mask(msgspec.Struct, frozen=True):
    size: tuple[int, int]
    counts: str


class _Entry(msgspec.Struct, frozen=True):
    """One object of COCO's instance results; of box and mask one is there at least."""

    image_id: ImageId
    category_id: int
    bbox: tuple[float, float, float, float] | None = None
    segmentation: _Mask | None = None


@dataclass(frozen=True)
class ResultsFile:
    """A file of COCO's instance results: objects by the picture's id, a number or a name, as text."""

    path: Path
    entries: dict[str, list[_Entry]]

    def of_picture(self, image_id: ImageId, size: tuple[int, int], picture: Path) -> list[tuple[Prompt, int]]:
        """Return a prompt and the category's number for each object of `picture`, of `size` (H, W)."""
        found = []
        for index, entry in enumerate(self.entries.get(str(image_id), [])):
            where = f"{self.path}: object {index} of {picture}"
            left, top, right, bottom = self._box(entry, size, where)
            height, width = size
            inside = (max(left, 0.0), max(top, 0.0), min(right, float(width)), min(bottom, float(height)))
            if not (inside[0] < inside[2] and inside[1] < inside[3]):
                raise SegrtError(
                    f"{where}: its box {shown((left, top, right, bottom))} lies outside the picture, which is {width} "
                    f"wide and {height} high; {_REMEDY} for this picture"
                )
            found.append((Prompt(box=inside), entry.category_id))
        return found

    def _box(self, entry: _Entry, size: tuple[int, int], where: str) -> Box:
        if entry.bbox is not None:
            x, y, width, height = entry.bbox
            if not np.isfinite(entry.bbox).all():
                raise SegrtError(f"{where}: has a box of {shown(entry.bbox)}, no numbers; {_REMEDY}")
            return x, y, x + width, y + height
        mask = entry.segmentation
        if mask is None:
            raise SegrtError(f"{where}: has neither bbox nor segmentation; {_REMEDY}")
        if mask.size != size:
            raise SegrtError(
                f"{where}: its mask is of a picture of {mask.size[1]}x{mask.size[0]} pixels, but this one has "
                f"{size[1]}x{size[0]}; {_REMEDY} for this picture"
            )
        code: Any = {"size": list(size), "counts": mask.counts.encode("ascii", "replace")}
        try:
            edges = rle.measure([code])[1][0].tolist()
        except ValueError as error:
            raise SegrtError(f"{where}: its mask is damaged ({error}); {_REMEDY}") from None
        return edges[0], edges[1], edges[2], edges[3]


def read_results(path: Path, image_ids: Sequence[ImageId]) -> ResultsFile:
    """Return the objects of a file of COCO's instance results.

    Raises SegrtError where it cannot be read, is another file, or knows none of the pictures `image_ids`.
    """
    try:
        entries: list[_Entry] = decode_json(read_bytes(path, _MOST_FILE), list[_Entry])
    except JsonError as error:
        what = f"is no list of COCO's results ({error})" if error.is_json else f"is no JSON ({error})"
        raise SegrtError(f"--prompt {path}: {what}; {_REMEDY}") from None
    except OSError as error:
        raise SegrtError(f"--prompt {path}: cannot be read ({error.strerror}); {_REMEDY}") from None
    by_picture: dict[str, list[_Entry]] = {}
    for entry in entries:
        by_picture.setdefault(str(entry.image_id), []).append(entry)
    if entries and not any(str(image_id) in by_picture for image_id in image_ids):
        known = ", ".join(list(by_picture)[:3])
        raise SegrtError(
            f"--prompt {path}: knows none of these pictures ({image_ids[0]}), but {known}; {_REMEDY} of the same "
            "picture, under the same name"
        )
    return ResultsFile(path, by_picture)
