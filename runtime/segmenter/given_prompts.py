"""What a caller may give as prompts: boxes, points with their labels, or the objects that a detector has found."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from segrt.runtime.errors import SegrtError
from segrt.runtime.preprocess.prompts import BACKGROUND, OBJECT, Box, Point, Prompt, check_prompt, told
from segrt.runtime.results import InstanceResult, Label, PanopticResult, Result
from segrt.runtime.results.labels.one_object import OBJECT_LABEL

_REMEDY = "give boxes=, points= or prompts="


@dataclass(frozen=True)
class GivenPrompts:
    """One prompt for each object, in order, and what is known of the objects: classes and tracks.

    None stands for an object of which nothing lies in the picture: its mask is empty, and the network is not asked.
    `class_ids` are positions in `labels`, one for each prompt.
    """

    prompts: tuple[Prompt | None, ...]
    class_ids: npt.NDArray[np.int64]
    labels: tuple[Label, ...] = (OBJECT_LABEL,)
    track_ids: npt.NDArray[np.int64] | None = field(default=None)

    @property
    def asked(self) -> list[Prompt]:
        """What the network is asked, in order."""
        return [prompt for prompt in self.prompts if prompt is not None]


def given_prompts(
    size: tuple[int, int],
    tokens: int,
    *,
    prompts: Sequence[Prompt] | Prompt | None = None,
    boxes: "InstanceResult | PanopticResult | npt.ArrayLike | None" = None,
    points: Sequence[Any] | npt.NDArray[Any] | None = None,
    point_labels: Sequence[Any] | npt.NDArray[Any] | None = None,
) -> GivenPrompts:
    """Return the prompts for a picture of `size` (H, W) of what `PromptSegmenter` takes; raise SegrtError for others.

    `tokens` is how many the network takes.
    """
    if prompts is not None:
        if boxes is not None or points is not None or point_labels is not None:
            raise SegrtError("prompts: are boxes and points already; give them alone")
        return _checked([prompts] if isinstance(prompts, Prompt) else _entries("prompts", prompts), size, tokens)
    if boxes is None and points is None:
        what = "point_labels: there are no points that they belong to" if point_labels is not None else "no prompt"
        raise SegrtError(f"{what}; {_REMEDY}")
    if isinstance(boxes, Result):
        for what, also in (("points", points), ("point_labels", point_labels)):
            if also is not None:
                raise SegrtError(
                    f"{what}: cannot be joined to a result's objects; give boxes= its boxes, clipped to the picture, "
                    "with points"
                )
        return _of_result(boxes, size)
    rows = None if boxes is None else _boxes(boxes)
    grouped = None if points is None else _grouped(points, point_labels)
    if grouped is None and point_labels is not None:
        raise SegrtError("point_labels: there are no points that they belong to; give points=, too")
    count = len(rows) if rows is not None else len(grouped or ())
    if rows is not None and grouped is not None and len(grouped) != count:
        raise SegrtError(f"points: must be one point or list of points for each box, {count}, but got {len(grouped)}")
    made = [
        Prompt(
            box=None if rows is None else rows[index],
            points=() if grouped is None else grouped[index][0],
            labels=() if grouped is None else grouped[index][1],
        )
        for index in range(count)
    ]
    return _checked(made, size, tokens, "boxes" if grouped is None else "points")


def _checked(prompts: list[Prompt], size: tuple[int, int], tokens: int, what: str = "prompts") -> GivenPrompts:
    checked = tuple(check_prompt(prompt, size, tokens, f"{what}[{index}]") for index, prompt in enumerate(prompts))
    return GivenPrompts(checked, np.zeros(len(checked), np.int64))


def _of_result(result: Result, size: tuple[int, int]) -> GivenPrompts:
    """Return the boxes of a detector's objects, cut off at the picture's edges, beyond which detectors reach."""
    if isinstance(result, PanopticResult):
        result = result.to_instances()
    if not isinstance(result, InstanceResult):
        raise SegrtError(
            f"boxes: a {type(result).__name__} has no objects; give the result of an instance or a panoptic network"
        )
    if result.size != size:
        raise SegrtError(
            f"boxes: are of a picture of {result.size[1]}x{result.size[0]} pixels, but this one has "
            f"{size[1]}x{size[0]}; give the result of this picture"
        )
    height, width = size
    inside = np.clip(result.boxes, 0, np.array([width, height, width, height], np.float32))
    return GivenPrompts(
        tuple(_of_edges(_box(row)) for row in inside.tolist()),
        np.asarray(result.class_ids, np.int64),
        result.labels,
        result.track_ids,
    )


def _of_edges(box: Box) -> Prompt | None:
    """Return the prompt for a box that has been cut off, None where nothing is left of it."""
    left, top, right, bottom = box
    return Prompt(box=box) if left < right and top < bottom else None


def _boxes(given: npt.ArrayLike) -> list[Box]:
    """Return boxes (N, 4), or one (4,), as numbers."""
    rows = _numbers("boxes", given)
    rows = rows[None] if rows.shape == (4,) else rows
    if rows.shape in ((0,), (0, 4)):
        return []
    if rows.ndim != 2 or rows.shape[1] != 4:
        raise SegrtError(
            f"boxes: must be left, top, right, bottom of each object, shape (N, 4), but got shape {rows.shape}"
        )
    return [_box(row) for row in rows.tolist()]


def _grouped(points: Any, labels: Any) -> list[tuple[tuple[Point, ...], tuple[int, ...]]]:
    """Return each object's points and labels: `points` has a point, or a list of points, for each object."""
    entries = _entries("points", points)
    if len(entries) == 2 and not any(_has_length(entry) for entry in entries):  # one point by itself
        entries, labels = [entries], None if labels is None else [labels]
    marks = [None] * len(entries) if labels is None else _entries("point_labels", labels)
    if len(marks) != len(entries):
        raise SegrtError(
            f"point_labels: must be as many as points, {len(entries)}, nested as they are, but got {len(marks)}"
        )
    grouped = []
    for index, (entry, mark) in enumerate(zip(entries, marks, strict=True)):
        rows = _numbers(f"points[{index}]", entry)
        rows = rows[None] if rows.shape == (2,) else rows
        if rows.ndim != 2 or rows.shape[1] != 2 or not len(rows):
            raise SegrtError(
                f"points[{index}]: must be x, y, or a list of such points of one object, but got shape {rows.shape}"
            )
        own = np.ones(len(rows)) if mark is None else np.atleast_1d(_numbers(f"point_labels[{index}]", mark))
        if own.shape != (len(rows),) or not np.isin(own, (OBJECT, BACKGROUND)).all():
            raise SegrtError(
                f"point_labels[{index}]: must be 1, on the object, or 0, background, for each of {len(rows)} points, "
                f"but got {own.tolist()}"
            )
        grouped.append((tuple((float(x), float(y)) for x, y in rows), tuple(int(label) for label in own)))
    return grouped


def _entries(what: str, given: Any) -> list[Any]:
    """Return what a list or array holds, one entry for each object; raise SegrtError for all else."""
    try:
        if isinstance(given, str | bytes | Mapping):
            raise TypeError("no list")
        return list(given)
    except TypeError:
        raise SegrtError(f"{what}: must be a list, one for each object, but got {told(given)}") from None


def _numbers(what: str, given: Any) -> npt.NDArray[np.float64]:
    """Return an array, or nested lists, of real numbers; raise SegrtError for all else."""
    try:
        array = np.asarray(given)
        if array.dtype.kind not in "biufO":
            raise TypeError("no real numbers")
        return array.astype(np.float64)
    except (TypeError, ValueError, OverflowError, RuntimeError):  # torch raises the last for what has gradients
        raise SegrtError(f"{what}: must be numbers in pixels, but got {told(given)}") from None


def _box(row: Sequence[float]) -> Box:
    left, top, right, bottom = (float(edge) for edge in row)
    return left, top, right, bottom


def _has_length(entry: object) -> bool:
    return hasattr(entry, "__len__") and getattr(entry, "ndim", 1) != 0  # torch's numbers have a length, too
