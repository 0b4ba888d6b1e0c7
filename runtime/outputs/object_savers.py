"""Each thing of a picture in a file of its own: cut out of it, or as a mask."""

from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from segrt.runtime.files.atomic import make_folder, write_atomic
from segrt.runtime.files.images import Picture, write_image
from segrt.runtime.files.json_files import encode_json
from segrt.runtime.outputs.output_files import safe_name
from segrt.runtime.outputs.saver import Saver, Segmented
from segrt.runtime.results import InstanceResult, PanopticResult, Result


@dataclass(frozen=True)
class Part:
    """An object, a segment or the region of a class: its `mask`, bool (H, W), where any pixel is set."""

    class_id: int
    name: str
    score: float | None
    mask: npt.NDArray[np.bool_]

    @property
    def box(self) -> tuple[int, int, int, int]:
        """The mask's extent: x, y, width, height."""
        rows, columns = np.flatnonzero(self.mask.any(1)), np.flatnonzero(self.mask.any(0))
        left, top = int(columns[0]), int(rows[0])
        return left, top, int(columns[-1]) + 1 - left, int(rows[-1]) + 1 - top


def parts_of(result: Result, *, stuff: bool) -> Iterator[Part]:
    """Yield a result's parts that have pixels, in its order; of a panoptic one stuff, too, where that is wanted."""
    if isinstance(result, InstanceResult):
        parts = (Part(one.class_id, one.name, one.score, one.mask) for one in result)
    elif isinstance(result, PanopticResult):
        wanted = (segment for segment in result if stuff or segment.isthing)
        parts = (Part(one.class_id, one.name, one.score, result.mask(one)) for one in wanted)
    else:
        parts = (Part(one.class_id, one.name, None, result.mask([one.class_id])) for one in result)
    return (part for part in parts if part.mask.any())


class _PartsSaver(Saver):
    """`KIND/NAME/001-CLASS.png` for each part, and `KIND/NAME.json` with each one's file, class, score, box, area."""

    kind = ""
    stuff = False

    def add(self, item: Segmented) -> Path:
        """Write a file for each part, and the list."""
        folder = make_folder(self.out / self.kind / item.name)
        rows: list[dict[str, Any]] = []
        for number, part in enumerate(parts_of(item.result, stuff=self.stuff), 1):
            path = folder / f"{number:03}-{safe_name(part.name.replace('/', ' '))}.png"
            write_image(path, self.picture_of(part, item.image))
            row = {"file": f"{item.name}/{path.name}", "class_id": part.class_id, "class": part.name}
            row |= {} if part.score is None else {"score": part.score}
            rows.append(row | {"box": part.box, "area": int(part.mask.sum())})
        listed = folder.with_name(f"{item.name}.json")
        write_atomic(listed, encode_json(rows) + b"\n")
        return listed

    @abstractmethod
    def picture_of(self, part: Part, image: Picture) -> npt.NDArray[np.uint8]:
        """Return what is written of `part`."""


class CutoutsSaver(_PartsSaver):
    """Objects, or regions of classes, cut out at their boxes: PNGs whose alpha is the mask."""

    kind = "cutouts"

    def picture_of(self, part: Part, image: Picture) -> npt.NDArray[np.uint8]:
        """Return BGRA (height, width, 4) of the part's box."""
        left, top, width, height = part.box
        rows, columns = slice(top, top + height), slice(left, left + width)
        alpha = part.mask[rows, columns].astype(np.uint8) * 255
        return np.dstack([image[rows, columns], alpha])


class MasksSaver(_PartsSaver):
    """Masks of the picture's size, 255 inside and 0 elsewhere, those of stuff included."""

    kind = "masks"
    stuff = True

    def picture_of(self, part: Part, image: Picture) -> npt.NDArray[np.uint8]:  # noqa: ARG002
        """Return the mask as grey (H, W)."""
        return part.mask.astype(np.uint8) * 255
