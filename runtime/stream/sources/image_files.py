"""A picture or a folder of pictures as a source."""

import re
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import ClassVar

from segrt.runtime.errors import ImageError
from segrt.runtime.files.finding import image_ids, unique_names
from segrt.runtime.files.images import SUFFIXES, read_image
from segrt.runtime.files.rasters import ARRAYS
from segrt.runtime.preprocess.channels import Raster, read_input
from segrt.runtime.preprocess.input_spec import InputSpec
from segrt.runtime.stream.frame import Frame
from segrt.runtime.stream.sources.source import Source, SourceInfo


class ImageSource(Source):
    """The picture at `path`, or every picture in the folder `path` by name, numbers in their natural order.

    Where the network takes other values or more bands than those of ordinary pictures, they are read with them, and
    .npy files are pictures, too. Pictures have no presentation time, so `Frame.pts` is None.
    """

    forms: ClassVar = {"images": "a picture, a folder of pictures"}

    def __init__(self, path: Path, source_id: str) -> None:
        self._id = source_id
        self._files = [path]
        if path.is_dir():
            known = SUFFIXES | ARRAYS
            self._files = sorted((child for child in path.iterdir() if child.suffix.lower() in known), key=_natural)
            if not self._files:
                raise ImageError(
                    f"{path}: the folder holds no pictures ({', '.join(sorted(SUFFIXES))}); give one that does"
                )
        elif not path.exists():
            raise ImageError(f"{path}: there is no such file; check the path")
        self._read: Callable[[Path], Raster] = read_image
        self._show([path for path in self._files if path.suffix.lower() not in ARRAYS] or self._files)

    def give(self, spec: InputSpec) -> None:
        """See `Source`: files are read as the input wants them."""
        self._read = partial(read_input, inputs=(spec,))
        if not spec.takes_pictures:
            self._show(self._files)

    def _show(self, paths: list[Path]) -> None:
        self._paths = paths
        self._ids = image_ids(unique_names(paths))
        self.info = SourceInfo(source_id=self._id, frames=len(paths))

    def frames(self) -> Iterator[Frame]:
        """Yield each picture; raise ImageError at one that cannot be read."""
        for index, path in enumerate(self._paths):
            image = self._read(path)
            yield Frame(image, index, None, time.monotonic(), self.info.source_id, self._ids[index])


def _natural(path: Path) -> list[tuple[int, int, str]]:
    """Return a key that sorts frame_2 before frame_10."""
    parts = re.split(r"(\d+)", path.name)
    return [(0, int(part), part) if part.isdigit() else (1, 0, part) for part in parts]
