"""The masks of a query-based network one by one: what each kept query saw, with its class and score."""

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from segrt.runtime.draw.fills import Image, Pen, paint_outlined
from segrt.runtime.draw.panels import Panel, fit, side_by_side
from segrt.runtime.postproc import MaskRuns
from segrt.runtime.results import Label

_PANEL_SIDE = 480
_DARKEST = 0.36


def query_grid(
    image_bgr: Image,
    class_logits: npt.NDArray[Any],
    mask_logits: npt.NDArray[Any],
    labels: Sequence[Label],
    *,
    score_threshold: float = 0.5,
    window: tuple[float, float, float, float] | None = None,
    width: int = 1800,
    max_queries: int | None = None,
) -> Image:
    """Return a page with one panel per kept query, best score first: the picture lit where the query's mask is.

    A query is kept when its best class is not "no object" and scores above the threshold (softmax over all C + 1
    classes, as in MaskFormer); its mask is the sigmoid of its logits.

    Args:
        image_bgr: the picture, uint8 (H, W, 3) BGR.
        class_logits: float (Q, C + 1), "no object" last.
        mask_logits: float (Q, h, w).
        labels: the C classes.
        score_threshold: 0 to 1.
        window: (top, left, bottom, right) in pixels of the mask grid, as floats: the part that shows the picture where
            it was letterboxed or padded; None = all of it.
        width: of the page in pixels.
        max_queries: how many panels at most, None = one for every kept query; under the last one stands how many are
            left out.

    Returns:
        uint8 (height, width, 3) BGR.
    """
    if class_logits.ndim != 2 or class_logits.shape[1] != len(labels) + 1:
        raise ValueError(f"class_logits must have shape (Q, {len(labels) + 1}), but got {class_logits.shape}")
    if max_queries is not None and max_queries < 1:
        raise ValueError(f"max_queries must be 1 or more, or None, but got {max_queries}")
    if mask_logits.ndim != 3 or len(mask_logits) != len(class_logits):
        raise ValueError(f"mask_logits must have shape ({len(class_logits)}, h, w), but got {mask_logits.shape}")
    logits = class_logits.astype(np.float32)
    scores = np.exp(logits - logits.max(axis=1, keepdims=True))
    scores /= scores.sum(axis=1, keepdims=True)
    best = scores.argmax(axis=1)
    score = scores.max(axis=1)
    kept = [
        query
        for query in np.argsort(-score, kind="stable")
        if best[query] < len(labels) and score[query] > score_threshold
    ]
    picture = fit(image_bgr, _PANEL_SIDE)
    if not kept:
        return side_by_side([("no query kept", picture, [f"none scores above {score_threshold:g}"])], width, columns=1)
    panels: list[Panel] = []
    for query in kept[:max_queries]:
        label = labels[int(best[query])]
        lit = _lit(picture, _probability(mask_logits[query], picture.shape[:2], window), label)
        panels.append((f"{label.name}  {score[query]:.2f}", lit, []))
    left_out = len(kept) - len(panels)
    if left_out:
        title, lit, _ = panels[-1]
        panels[-1] = (title, lit, [f"{left_out} more {'is' if left_out == 1 else 'are'} kept and not shown"])
    aspect = picture.shape[1] / picture.shape[0]
    columns = min(len(panels), max(2, min(6, round(float(np.sqrt(len(panels) * 1.5 / aspect))))))
    return side_by_side(panels, width, columns=columns)


def _probability(
    mask_logits: npt.NDArray[Any], size: tuple[int, ...], window: tuple[float, float, float, float] | None
) -> npt.NDArray[np.float32]:
    """Return the mask's probability, float32 of `size` (H, W); pixel centres map exactly onto the window."""
    logits = mask_logits.astype(np.float32)
    top, left, bottom, right = window or (0.0, 0.0, float(logits.shape[0]), float(logits.shape[1]))
    rows = top + (np.arange(size[0], dtype=np.float32) + 0.5) / size[0] * (bottom - top) - 0.5
    columns = left + (np.arange(size[1], dtype=np.float32) + 0.5) / size[1] * (right - left) - 0.5
    grid_x, grid_y = np.meshgrid(columns.astype(np.float32), rows.astype(np.float32))
    full: npt.NDArray[Any] = cv2.remap(logits, grid_x, grid_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    probability: npt.NDArray[np.float32] = (1 / (1 + np.exp(-np.clip(full, -30, 30)))).astype(np.float32)
    return probability


def _lit(picture: Image, probability: npt.NDArray[np.float32], label: Label) -> Image:
    """Return the picture, dark and grey where the probability is low, with an outline where it passes one half."""
    grey = cv2.cvtColor(cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR).astype(np.float32) * _DARKEST
    weight = probability[..., None]
    tinted = picture.astype(np.float32) * 0.78 + np.array(label.color[::-1], np.float32) * 0.22
    canvas = np.rint(grey * (1 - weight) + tinted * weight).clip(0, 255).astype(np.uint8)
    mask = MaskRuns.of_map((probability > 0.5).view(np.uint8), [1])
    paint_outlined(canvas, mask, [label.color], 0.0, Pen.for_size(*canvas.shape[:2]))
    return canvas
