"""Prompts from a coco.json: a box for each object that `segrt run --save coco` of another bundle has found."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from segrt.runtime.errors import SegrtError
from segrt.runtime.evaluate.datasets.coco_files import Box, CocoResult
from segrt.runtime.evaluate.datasets.coco_masks import mask_problem
from segrt.runtime.evaluate.datasets.youtube_vis import packed
from segrt.runtime.files.json_files import JsonError, decode_json
from segrt.runtime.files.reading import MOST_DATASET, read_bytes
from segrt.runtime.preprocess.prompts import Prompt, shown
from segrt.runtime.results import rle
from segrt.runtime.results.coco_entries import ImageId

_MOST_CATEGORY = (1 << 31) - 1
_MOST_PROMPTS = 10_000  # of a picture: the decoder runs for each of them
_MOST_SHOWN = 40  # characters of an id: a file's may have any length
_REMEDY = "give a coco.json that `segrt run --save coco` has written"


@dataclass(frozen=True)
class ResultsFile:
    """A file of COCO's instance results: its objects by the picture's id, which is a number or the picture's name."""

    path: Path
    entries: dict[ImageId, list[CocoResult]]

    def key_of(self, picture: Path) -> ImageId | None:
        """Return the id under which the file has objects of `picture`, None where it has none.

        That is its name without suffix, else, of a name in digits, the number. Never the number of an id in text: a
        file that has texts tells 8.png and 0008.png apart.
        """
        name = picture.stem
        if name in self.entries:
            return name
        number = int(name) if name.isascii() and name.isdecimal() else None
        return number if number in self.entries else None

    def of_picture(self, picture: Path, size: tuple[int, int]) -> tuple[list[tuple[Prompt, int]], int]:
        """Return a prompt and the category's number for each object of `picture`, of `size` (H, W).

        And how many objects were left out, whose masks have no pixels. Raises SegrtError for those that are not of a
        picture of this size.
        """
        key = self.key_of(picture)
        found, empty = [], 0
        for index, entry in enumerate(self.entries[key] if key is not None else []):
            box = self._box(entry, size, f"{self.path}: object {index} of {picture}")
            if box is None:
                empty += 1
            else:
                found.append((Prompt(box=box), entry.category_id))
        return found, empty

    def _box(self, entry: CocoResult, size: tuple[int, int], where: str) -> Box | None:
        """Return an object's box as left, top, right, bottom, inside the picture; None for an empty mask."""
        if entry.bbox is None:
            return self._extent(entry, size, where)
        x, y, wide, high = entry.bbox
        if wide <= 0 or high <= 0:
            raise SegrtError(f"{where}: its bbox is {wide:g} wide and {high:g} high, which is no box; {_REMEDY}")
        height, width = size
        inside = (max(x, 0.0), max(y, 0.0), min(x + wide, float(width)), min(y + high, float(height)))
        if not (inside[0] < inside[2] and inside[1] < inside[3]):
            raise SegrtError(
                f"{where}: its box {shown((x, y, x + wide, y + high))} lies outside the picture, which is {width} "
                f"wide and {height} high; {_REMEDY} for this picture"
            )
        return inside

    def _extent(self, entry: CocoResult, size: tuple[int, int], where: str) -> Box | None:
        mask = entry.segmentation
        if mask is None:
            raise SegrtError(f"{where}: has neither bbox nor segmentation; {_REMEDY}")
        problem = mask_problem(mask, size)
        if problem is not None:
            raise SegrtError(f"{where}: its mask {problem}; {_REMEDY} for this picture")
        areas, extents = rle.measure([packed(mask, size, self.path, entry.image_id)])
        left, top, right, bottom = (float(edge) for edge in extents[0])
        return (left, top, right, bottom) if areas[0] else None


def read_results(path: Path, pictures: Sequence[Path]) -> ResultsFile:
    """Return the objects of a file of COCO's instance results.

    Raises SegrtError where it cannot be read, is another file, knows none of `pictures`, has too much of one, or does
    not tell which of them it means.
    """
    try:
        entries: list[CocoResult] = decode_json(read_bytes(path, MOST_DATASET), list[CocoResult])
    except JsonError as error:
        what = f"is no list of COCO's results ({error})" if error.is_json else f"is no JSON ({error})"
        raise SegrtError(f"--prompt {path}: {what}; {_REMEDY}") from None
    except OSError as error:
        raise SegrtError(f"--prompt {path}: cannot be read ({error.strerror}); {_REMEDY}") from None
    by_picture: dict[ImageId, list[CocoResult]] = {}
    for number, entry in enumerate(entries):
        if not 0 <= entry.category_id <= _MOST_CATEGORY:
            raise SegrtError(
                f"--prompt {path}: result {number} has category_id {_short(entry.category_id)}, but categories are 0 "
                f"to {_MOST_CATEGORY}; {_REMEDY}"
            )
        by_picture.setdefault(entry.image_id, []).append(entry)
    file = ResultsFile(path, by_picture)
    _check_pictures(file, pictures)
    return file


def _check_pictures(file: ResultsFile, pictures: Sequence[Path]) -> None:
    """Raise SegrtError where the file knows none of `pictures`, or does not tell which of them it means."""
    keys = {picture: file.key_of(picture) for picture in pictures}
    if file.entries and all(key is None for key in keys.values()):
        known = ", ".join(_short(key) for key in list(file.entries)[:3])
        more = f" and {len(keys) - 1} more" if len(keys) > 1 else ""
        raise SegrtError(
            f"--prompt {file.path}: knows none of these pictures ({pictures[0].stem}{more}), but {known}; {_REMEDY} "
            "of the same picture, under the same name"
        )
    seen: dict[ImageId, Path] = {}
    for picture, key in keys.items():
        same = seen.setdefault(picture.stem if key is None else key, picture)
        if same != picture:
            raise SegrtError(
                f"--prompt {file.path}: {same} and {picture} have one name in it, only their order tells them apart; "
                "segment each folder by itself, the detector's run and this one"
            )
    for picture, key in keys.items():
        if key is not None:
            _check_objects(file, key, picture)


def _check_objects(file: ResultsFile, key: ImageId, picture: Path) -> None:
    if f"{key}-2" in file.entries and not _has_sibling(picture, f"{key}-2"):
        raise SegrtError(
            f"--prompt {file.path}: has {_short(key)} and {_short(key)}-2, pictures of one name that only their order "
            f"told apart, and does not say which of them {picture} is; segment each folder by itself, the detector's "
            "run and this one"
        )
    if len(file.entries[key]) > _MOST_PROMPTS:
        raise SegrtError(
            f"--prompt {file.path}: has {len(file.entries[key])} objects of {picture}, but at most {_MOST_PROMPTS} "
            "are asked for; raise the detector's --score-threshold"
        )


def _has_sibling(picture: Path, name: str) -> bool:
    """Whether a file of that name, but for its suffix, lies beside `picture`: then it is no number that segrt gave."""
    return any(other.stem == name for other in picture.absolute().parent.iterdir())


def _short(value: object) -> str:
    """Return an id of a file in at most 40 characters."""
    text = str(value)
    return text if len(text) <= _MOST_SHOWN else f"{text[: _MOST_SHOWN - 1]}…"
