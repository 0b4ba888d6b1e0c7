"""What is done to a picture by what was found in it: another background, objects made unrecognisable."""

from dataclasses import dataclass
from math import ceil
from typing import Protocol

import cv2
import numpy as np
import numpy.typing as npt

from segrt.runtime.draw.fills import Image
from segrt.runtime.results import InstanceResult, PanopticResult, Result, SemanticResult, rle
from segrt.runtime.results.labels.palette import Color

# The long side has so many cells: what is smaller than some of them is not recognised any more.
_CELLS = 64
_LEAST_CELL = 8
_LEAST_SHARE = 0.1  # of its box that an object's mask fills where it can be trusted to cover the object

Classes = frozenset[int]


class Background(Protocol):
    """Makes the background of a picture."""

    def __call__(self, image: Image) -> Image:
        """Return what stands where the subject is not, uint8 BGR of the size of `image` (H, W, 3)."""


class Blurred:
    """The picture itself, blurred."""

    def __call__(self, image: Image) -> Image:
        """See `Background`."""
        return blurred(image)


class Greyed:
    """The picture itself in grey (OpenCV's cvtColor)."""

    def __call__(self, image: Image) -> Image:
        """See `Background`."""
        return cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR)


@dataclass(frozen=True)
class Plain:
    """One RGB colour."""

    color: Color

    def __call__(self, image: Image) -> Image:
        """See `Background`."""
        return np.full_like(image, self.color[::-1])


class Backdrop:
    """Another picture, uint8 BGR, enlarged or reduced until it covers, its middle in the middle."""

    def __init__(self, picture: Image) -> None:
        self._picture = picture
        self._fitted: Image | None = None

    def __call__(self, image: Image) -> Image:
        """See `Background`."""
        if self._fitted is None or self._fitted.shape != image.shape:
            self._fitted = _covering(self._picture, image.shape[:2])
        return self._fitted


@dataclass(frozen=True, eq=False)
class PictureEdits:
    """Positions of classes in the bundle's labels say what is edited; the rest of the picture keeps its every bit.

    `blur`: classes that are made unrecognisable, with half a cell around them; an instance whose mask leaves nine
    tenths of its box bare goes with its box. `background`: what replaces everything but the classes of `subject`.
    """

    blur: Classes = frozenset()
    background: Background | None = None
    subject: Classes = frozenset()

    def __call__(self, image: Image, result: Result) -> Image:
        """Return an edited copy of `image`, uint8 BGR (H, W, 3), of the result's size."""
        edited: Image = image.copy()
        if self.blur:
            hidden = _widened(mask_of(result, self.blur) | _boxes_without_masks(result, self.blur))
            if hidden.any():
                edited[hidden] = blurred(image)[hidden]
        if self.background is not None:
            beside = ~mask_of(result, self.subject)
            # Of the edited picture: what is blurred must not come back in a background that is made of it.
            edited[beside] = self.background(edited)[beside]
        return edited


def blurred(image: Image) -> Image:
    """Return `image` (H, W, 3) without what is smaller than a 64th of its long side.

    The means of square cells, interpolated between their centres: what was inside a cell is gone for good.
    """
    height, width = image.shape[:2]
    cell = cell_of((height, width))
    small = cv2.resize(image, (-(-width // cell), -(-height // cell)), interpolation=cv2.INTER_AREA)
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR_EXACT)


def cell_of(size: tuple[int, int]) -> int:
    """Return the side in pixels of a cell in a picture of `size` (H, W)."""
    return max(_LEAST_CELL, -(-max(size) // _CELLS))


def _widened(mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Return `mask` (H, W) with what lies within half a cell of it: a mask may end a little inside its object."""
    reach = cell_of((mask.shape[0], mask.shape[1])) // 2
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
    wide: npt.NDArray[np.bool_] = cv2.dilate(mask.view(np.uint8), disc).astype(bool)
    return wide


def mask_of(result: Result, classes: Classes) -> npt.NDArray[np.bool_]:
    """Return where `result` has one of `classes`, positions in its labels, bool (H, W)."""
    if isinstance(result, SemanticResult):
        return np.isin(result.class_map, list(classes))
    if isinstance(result, PanopticResult):
        ids = [segment.id for segment in result.segments if segment.class_id in classes]
        return np.isin(result.segment_ids, ids)
    found = np.zeros(result.size, bool)
    for class_id, mask in _masks(result):
        if class_id in classes:
            found |= rle.decode(mask).astype(bool)
    return found


def _boxes_without_masks(result: Result, classes: Classes) -> npt.NDArray[np.bool_]:
    """Return the boxes of instances of `classes` that their masks leave bare, bool (H, W): they are found, too."""
    bare = np.zeros(result.size, bool)
    if isinstance(result, InstanceResult):
        for (class_id, mask), (left, top, right, bottom) in zip(_masks(result), result.boxes, strict=True):
            if class_id in classes and rle.area(mask) < _LEAST_SHARE * (right - left) * (bottom - top):
                rows, columns = slice(int(max(0, top)), ceil(bottom)), slice(int(max(0, left)), ceil(right))
                bare[rows, columns] = True
    return bare


def _masks(result: InstanceResult) -> "zip[tuple[int, rle.Rle]]":
    return zip((int(class_id) for class_id in result.class_ids), result.rles, strict=True)


def _covering(picture: Image, size: tuple[int, ...]) -> Image:
    """Return the middle of `picture`, of the shape of `size` (h, w), at that size."""
    scale = max(size[0] / picture.shape[0], size[1] / picture.shape[1])
    # Cut before it is enlarged: what sticks out of a long, narrow picture may be more than any memory holds.
    height, width = (min(picture.shape[axis], max(1, round(size[axis] / scale))) for axis in (0, 1))
    top, left = (picture.shape[0] - height) // 2, (picture.shape[1] - width) // 2
    way = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR_EXACT
    resized: Image = cv2.resize(picture[top : top + height, left : left + width], (size[1], size[0]), interpolation=way)
    return resized
