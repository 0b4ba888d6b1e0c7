"""A picture or a folder of pictures as a source."""

import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

from segrt.runtime.errors import ImageError
from segrt.runtime.files.finding import image_ids, unique_names
from segrt.runtime.files.images import SUFFIXES, read_image
from segrt.runtime.stream.frame import Frame
from segrt.runtime.stream.sources.source import Source, SourceInfo


class ImageSource(Source):
    """The picture at `path`, or every picture in the folder `path` by name, numbers in their natural order.

    Pictures have no presentation time, so `Frame.pts` is None.
    """

    forms: ClassVar = {"images": "a picture, a folder of pictures"}

    def __init__(self, path: Path, source_id: str) -> None:
        if path.is_dir():
            self._paths = sorted((child for child in path.iterdir() if child.suffix.lower() in SUFFIXES), key=_natural)
            if not self._paths:
                known = ", ".join(sorted(SUFFIXES))
                raise ImageError(f"{path}: the folder holds no pictures ({known}); give one that does")
        else:
            if not path.exists():
                raise ImageError(f"{path}: there is no such file; check the path")
            self._paths = [path]
        self._ids = image_ids(unique_names(self._paths))
        self.info = SourceInfo(source_id=source_id, frames=len(self._paths))

    def frames(self) -> Iterator[Frame]:
        """Yield each picture; raise ImageError at one that cannot be read."""
        for index, path in enumerate(self._paths):
            image = read_image(path)
            yield Frame(image, index, None, time.monotonic(), self.info.source_id, self._ids[index])


def _natural(path: Path) -> list[tuple[int, int, str]]:
    """Return a key that sorts frame_2 before frame_10."""
    parts = re.split(r"(\d+)", path.name)
    return [(0, int(part), part) if part.isdigit() else (1, 0, part) for part in parts]
