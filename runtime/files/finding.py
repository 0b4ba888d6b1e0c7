"""Finds the pictures that a user names: files, folders and patterns."""

import glob
from collections.abc import Iterable, Sequence
from pathlib import Path

from segrt.runtime.errors import ImageError
from segrt.runtime.files.collisions import tell_apart
from segrt.runtime.files.images import SUFFIXES
from segrt.runtime.files.json_files import readable
from segrt.runtime.files.rasters import ARRAYS
from segrt.runtime.files.reading import exists, is_folder, is_regular

VIDEOS = frozenset({".avi", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".ts", ".webm", ".wmv"})
"""Suffixes of videos."""


def find_pictures(sources: Iterable[str], *, arrays: bool = False) -> list[Path]:
    """Return the pictures that `sources` name, each once, folders and patterns in the order of their names.

    A source is a file, a folder (its pictures, not those of its subfolders) or a pattern such as "photos/*.jpg". With
    `arrays` folders and patterns give .npy files, too. Raises ImageError for a source that is missing, without pictures
    or a video.
    """
    pictures: dict[Path, None] = {}
    for source in sources:
        pictures |= dict.fromkeys(_expand(source, SUFFIXES | ARRAYS if arrays else SUFFIXES))
    return list(pictures)


def unique_names(paths: Iterable[Path]) -> list[str]:
    """Return a name without suffix for each path's results: its stem, numbered where two have the same.

    It is fit for files and JSON: what a stem has that is no UTF-8 is escaped.
    """
    return tell_apart(readable(path.stem) for path in paths)


def image_ids(names: Sequence[str]) -> list[int | str]:
    """Return COCO's id for each of the pictures `names`: numbers if all names are, as 000000000139, else the names."""
    numbers = [int(name) for name in names if name.isascii() and name.isdecimal()]
    return list(numbers if len(set(numbers)) == len(names) else names)


def _expand(source: str, suffixes: frozenset[str]) -> list[Path]:
    path = Path(source)
    if is_folder(path):
        pictures = sorted(entry for entry in path.iterdir() if entry.suffix.lower() in suffixes and is_regular(entry))
        if not pictures:
            raise ImageError(f"{path}: holds no pictures ({', '.join(sorted(suffixes))}); give another folder")
        return pictures
    if exists(path):
        if path.suffix.lower() in VIDEOS:
            raise ImageError(f"{path}: is a video; use `segrt stream` for it")
        return [path]
    if "://" in source:
        raise ImageError(f"{source.split('://')[0]}://…: is no picture; use `segrt stream` for streams")
    if glob.has_magic(source):
        matches = sorted(Path(match) for match in glob.glob(source, recursive=True))  # noqa: PTH207 (may be absolute)
        pictures = [match for match in matches if match.suffix.lower() in suffixes and is_regular(match)]
        if not pictures:
            raise ImageError(f"{source}: matches no picture; check the pattern")
        return pictures
    raise ImageError(f"{path}: there is no such picture or folder; check the path")
