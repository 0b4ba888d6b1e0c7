"""What outputs mean, by signs in what they hold on a few pictures; signs that do not agree leave it to the user."""

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np

from segrt.export.adopt.candidates import Candidate, UndecidedError
from segrt.export.adopt.guessing import Output
from segrt.runtime.inference.tensors import Array

Runs = Sequence[Mapping[str, Array]]
MasksIn = Literal["box", "picture"]

_MOST_BOX_MASK = 56  # cells of a mask in its box: 14 or 28 mostly, twice that at most
_INSIDE, _SPREAD = 0.98, 0.7  # shares of a mask's pixels that lie in its box, if it lies in the picture
SURE = 0.05  # score from which a row is taken for a detection


def masks_in(heads: Mapping[str, Output], runs: Runs, size: tuple[int, int], said: bool | None) -> MasksIn:
    """Return where masks of boxes lie; `size` (h, w) is the input's, `said` whether a file says the whole picture.

    Signs: the masks' size, whether their pixels keep to their boxes, and what the exporter said. Raises UndecidedError.
    """
    height, width = heads["masks"].spec.lengths[-2:]
    by_size: MasksIn | None = "picture" if (height, width) == size else "box"
    if by_size == "picture" and height == width <= _MOST_BOX_MASK:
        by_size = None  # as small as a mask in a box is
    share = _share_in_boxes(heads, runs, size)
    by_pixels: MasksIn | None = None
    if share is not None and max(height, width) > _MOST_BOX_MASK // 2:
        by_pixels = "picture" if share >= _INSIDE else ("box" if share < _SPREAD else None)
    by_file: MasksIn | None = None if said is None else ("picture" if said else "box")
    signs = {"their size": by_size, "their pixels": by_pixels, "the exporter's files": by_file}
    found = {sign: where for sign, where in signs.items() if where is not None}
    if len(set(found.values())) == 1:
        return next(iter(found.values()))
    told = ", ".join(f"{sign} the {where}" for sign, where in found.items()) or "nothing tells"
    raise UndecidedError(
        f"masks {heads['masks'].spec} may lie in their boxes or in the whole picture ({told})",
        [Candidate(f"--masks {where}", {"masks": where}) for where in ("box", "picture")],
    )


def _share_in_boxes(heads: Mapping[str, Output], runs: Runs, size: tuple[int, int]) -> float | None:
    """Return the share of the masks' pixels that lie in their boxes, were they masks in the picture; None for none.

    Boxes that fill most of the picture tell nothing and are left out.
    """
    inside = total = 0
    for run in runs:
        boxes, scores, masks = (run[heads[role].spec.name] for role in ("boxes", "scores", "masks"))
        cells = masks.shape[-2:]
        masks = masks.reshape(-1, *cells)
        scale = np.array([cells[1] / size[1], cells[0] / size[0]] * 2)
        for box, score, mask in zip(boxes.reshape(-1, 4), scores.reshape(-1), masks, strict=False):
            if not (score > SURE and np.isfinite(box).all()):
                continue
            x0, y0, x1, y1 = box * scale
            top, left = max(int(np.floor(y0)) - 1, 0), max(int(np.floor(x0)) - 1, 0)
            bottom, right = int(np.ceil(y1)) + 1, int(np.ceil(x1)) + 1
            part = np.clip([bottom - top, right - left], 0, cells)
            if part.prod() > mask.size / 2:
                continue
            marked = mask > (0.5 if mask.min() >= 0 else 0)
            inside += int(np.count_nonzero(marked[top:bottom, left:right]))
            total += int(np.count_nonzero(marked))
    return inside / total if total else None


def are_logits(name: str, runs: Runs) -> bool:
    """Whether an output holds logits: numbers beyond probabilities."""
    return any(run[name].size and (run[name].min() < -1e-3 or run[name].max() > 1 + 1e-3) for run in runs)


def first_class(heads: Mapping[str, Output], runs: Runs, labels: int, counts_background: bool) -> int:
    """Return the class id of the first label: 1 where ids of up to `labels` are seen, but no 0, else 0.

    `counts_background` says that networks of this kind do so: then no 0 among the ids is enough.
    """
    ids = [run[heads["class_ids"].spec.name].reshape(-1) for run in runs]
    seen = np.concatenate(ids) if ids else np.zeros(0)
    if seen.size == 0:
        return int(counts_background)
    return int(seen.min() >= 1 and (counts_background or int(seen.max()) == labels))


def activation(heads: Mapping[str, Output], runs: Runs, labels: int) -> str:
    """Return what makes scores of class logits (Q, C): sigmoid for a column for each label, softmax for one more.

    The column more must then be "no object", and win somewhere: queries without an object are most of all. Raises
    UndecidedError where it never does.
    """
    output = heads["class_logits"]
    columns = output.spec.lengths[-1]
    if columns == labels:
        return "sigmoid"
    if columns == labels + 1:
        rows = np.concatenate([run[output.spec.name].reshape(-1, columns) for run in runs])
        if len(rows) > 1 and not (rows.argmax(axis=1) == labels).any():
            raise UndecidedError(
                f"output {output.spec} has a column more than the {labels} labels, but in none of {len(rows)} queries "
                'is it the highest, as "no object" of a softmax would be; scores may be each class\'s own, too',
                [Candidate(f"--activation {name}", {"activation": name}) for name in ("softmax", "sigmoid")],
            )
    return "softmax"
