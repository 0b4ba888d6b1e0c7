"""Prompts: the box and the points that say which object is meant, as a network with prompts takes them.

The network takes a fixed number of tokens, each a point in pixels of its own picture with a label: `OBJECT` or
`BACKGROUND` for points, two corners for a box, `NO_POINT` once at the end, and `UNUSED` for those that are left, which
take no part. Order and labels are those of SAM 2's prompt encoder in transformers (`Sam2PromptEncoder`).
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from segrt.runtime.errors import SegrtError
from segrt.runtime.preprocess.geometry import Geometry
from segrt.runtime.preprocess.input_spec import InputSpec

OBJECT, BACKGROUND = 1, 0
TOP_LEFT, BOTTOM_RIGHT, NO_POINT, UNUSED = 2, 3, -1, -10
_CORNERS = 2
LEAST_TOKENS = _CORNERS + 1  # a box, and the one at the end
_LONGEST_TOLD = 60

Point = tuple[float, float]
Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Prompt:
    """What one object is pointed at by: a box, points, or both.

    `box` is (left, top, right, bottom) and each of `points` (x, y), in pixels of the picture, its left and top edge
    being 0. `labels` has one entry for each point: 1 on the object, 0 on what does not belong to it.
    """

    box: Box | None = None
    points: tuple[Point, ...] = ()
    labels: tuple[int, ...] = ()

    @property
    def tokens(self) -> int:
        """How many tokens it takes, with the one at the end."""
        return len(self.points) + (_CORNERS if self.box is not None else 0) + 1

    @property
    def is_ambiguous(self) -> bool:
        """Whether it is one point alone, which may mean a thing, or a part of it."""
        return self.box is None and len(self.points) == 1


@dataclass(frozen=True)
class PromptedGeometry(Geometry):
    """Where a picture lies in the network's input, and whether the prompt that was given leaves open what is meant."""

    is_ambiguous: bool = False


def check_prompt(prompt: Prompt, size: tuple[int, int], tokens: int, where: str) -> Prompt:
    """Return `prompt` in plain numbers when it says something about a picture of `size` (H, W).

    `tokens` is how many the network takes, `where` names the prompt in errors. Raises SegrtError for what is no number,
    lies outside the picture, shows background alone, or is too much.
    """
    if not isinstance(prompt, Prompt):
        raise SegrtError(f"{where}: must be a Prompt(box=, points=, labels=), but got {told(prompt)}")
    box = None if prompt.box is None else _checked_box(prompt.box, size, where)
    points = tuple(_checked_point(point, size, where) for point in _entries(prompt.points, "points", where))
    labels = tuple(_checked_label(label, where) for label in _entries(prompt.labels, "labels", where))
    if len(points) != len(labels):
        raise SegrtError(
            f"{where}: every point needs a label, 1 on the object or 0 on background, but {len(points)} points "
            f"have {len(labels)}"
        )
    if box is None and OBJECT not in labels:
        what = "is empty" if not points else "shows background alone"
        raise SegrtError(f"{where}: {what}, no object; add a box or a point that lies on the object")
    checked = Prompt(box, points, labels)
    if checked.tokens > tokens:
        room = tokens - 1 - (_CORNERS if box is not None else 0)
        raise SegrtError(
            f"{where}: the network takes at most {room} points{' beside a box' if box is not None else ''}, "
            f"but got {len(points)}; leave some out"
        )
    return checked


def trial_prompt(size: tuple[int, int]) -> Prompt:
    """Return the box that golden frames and `segrt profile` use: the middle half of a picture of `size` (H, W)."""
    height, width = size
    return Prompt(box=(0.25 * width, 0.25 * height, 0.75 * width, 0.75 * height))


def fill_prompt(
    prompt: Prompt, geometry: Geometry, points: npt.NDArray[Any], labels: npt.NDArray[Any]
) -> PromptedGeometry:
    """Write `prompt`, which has been checked, into `points` float32 (K, 2) and `labels` int32 (K,).

    Returns `geometry`, that of the picture, with what a decoder must know of the prompt.
    """
    points[...] = 0
    labels[...] = UNUSED
    rows: list[Point] = list(prompt.points)
    marks = list(prompt.labels)
    if prompt.box is not None:
        rows += [prompt.box[:2], prompt.box[2:]]
        marks += [TOP_LEFT, BOTTOM_RIGHT]
    top, left, bottom, right = geometry.window
    height, width = geometry.source_size
    scale = np.array([(right - left) / width, (bottom - top) / height], np.float32)
    count = len(rows)
    points[:count] = np.array(rows, np.float32) * scale + np.array([left, top], np.float32)
    labels[:count] = marks
    labels[count] = NO_POINT
    return PromptedGeometry(geometry.source_size, geometry.network_size, geometry.window, prompt.is_ambiguous)


def shown(numbers: Iterable[float]) -> str:
    """Return numbers as a user writes them: 10,20.5."""
    return ",".join(f"{number:g}" for number in numbers)


def told(given: object) -> str:
    """Return what a caller gave on one line, cut short and in quotes, for errors."""
    try:
        text = str(given)
    except ValueError:  # Python writes no integers of thousands of digits
        text = f"<{type(given).__name__}>"
    return repr(text[:_LONGEST_TOLD])


def most_tokens(inputs: Iterable[InputSpec]) -> int:
    """Return how many tokens a decoder with these inputs takes: points, two corners of a box, and one at the end."""
    return int(next(spec.shape[1] for spec in inputs if spec.role == "point_labels"))


def _checked_box(given: object, size: tuple[int, int], where: str) -> Box:
    height, width = size
    left, top, right, bottom = _numbers(given, 4, "a box must be left, top, right, bottom in pixels", where)
    box = left, top, right, bottom
    if right <= left or bottom <= top:
        raise SegrtError(
            f"{where}: a box must be left, top, right, bottom with left < right and top < bottom, but got {shown(box)}"
        )
    if left < 0 or top < 0 or right > width or bottom > height:
        raise SegrtError(
            f"{where}: the box {shown(box)} reaches out of the picture, which is {width} wide and {height} high; cut "
            "it off at its edges"
        )
    return box


def _checked_point(given: object, size: tuple[int, int], where: str) -> Point:
    height, width = size
    x, y = _numbers(given, 2, "points must each be x, y in pixels, as ((80, 48),)", where)
    if not (0 <= x <= width and 0 <= y <= height):
        raise SegrtError(
            f"{where}: the point {shown((x, y))} lies outside the picture, which is {width} wide and {height} high; "
            "give x, then y"
        )
    return x, y


def _checked_label(given: object, where: str) -> int:
    try:
        label = _number(given)
    except (TypeError, ValueError, OverflowError):
        label = math.nan
    if label in (OBJECT, BACKGROUND):
        return int(label)
    raise SegrtError(f"{where}: a point's label must be 1, on the object, or 0, background, but got {told(given)}")


def _entries(given: Any, what: str, where: str) -> list[Any]:
    try:
        return list(given)
    except TypeError:
        raise SegrtError(f"{where}: {what} must be a tuple, one for each point, but got {told(given)}") from None


def _numbers(given: Any, count: int, rule: str, where: str) -> tuple[float, ...]:
    """Return `given` as `count` finite numbers; raise SegrtError with `rule` for all else."""
    try:
        numbers = tuple(_number(entry) for entry in given)
    except (TypeError, ValueError, OverflowError):
        numbers = ()
    if len(numbers) != count:
        raise SegrtError(f"{where}: {rule}, but got {told(given)}")
    if not np.isfinite(numbers).all():
        raise SegrtError(f"{where}: must be of finite numbers, but got {shown(numbers)}")
    return numbers


def _number(entry: Any) -> float:
    if isinstance(entry, str | bytes) or np.iscomplexobj(entry):
        raise TypeError("no number")
    return float(entry)
