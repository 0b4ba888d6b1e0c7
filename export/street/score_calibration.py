"""Shifts class scores so that a class's detections have their best F1 on calibration streets at a score of 0.5.

Focal loss leaves scores too low. Each class logit gets a constant added, found on frames that are used neither for
training nor for evaluation.
"""

import numpy as np
import numpy.typing as npt
import torch

from segrt.export.street.samples import FIRST_THING, VOID, Frames
from segrt.export.street.street_networks import (
    MASK_STRIDE,
    NEVER,
    STUFF_CLASSES,
    THING_CLASSES,
    QueryNetwork,
    normalise,
)

MATCH_IOU = 0.5
LOWEST_LOGIT = -4.0


@torch.no_grad()
def calibrate(network: QueryNetwork, frames: Frames) -> npt.NDArray[np.float32]:
    """Set `network.class_bias` from `frames`; return it, float32 (THING_CLASSES,)."""
    network.class_bias.zero_()
    logits: list[list[float]] = [[] for _ in range(THING_CLASSES)]
    right: list[list[bool]] = [[] for _ in range(THING_CLASSES)]
    wanted = np.zeros(THING_CLASSES, np.int64)
    for image, marks, classes in zip(frames.images, frames.marks, frames.classes, strict=True):
        class_logits, mask_logits = network(normalise(torch.from_numpy(np.array(image)).permute(2, 0, 1)[None]))
        things = class_logits[0, -mask_logits.shape[1] :, -THING_CLASSES - 1 : -1]
        best, class_ids = (values.numpy() for values in things.max(-1))
        masks = mask_logits[0].numpy() > 0
        truths = marks[1::MASK_STRIDE, 1::MASK_STRIDE]
        free = {FIRST_THING + index: int(c) - STUFF_CLASSES for index, c in enumerate(classes) if c != VOID}
        for class_id in free.values():
            wanted[class_id] += 1
        for query in np.argsort(-best):
            if best[query] < LOWEST_LOGIT or best[query] <= NEVER:
                break
            class_id = int(class_ids[query])
            match = _match(masks[query], truths, [mark for mark, known in free.items() if known == class_id])
            if match is not None:
                del free[match]
            logits[class_id].append(float(best[query]))
            right[class_id].append(match is not None)
    bias = [-best_threshold(logits[c], right[c], int(wanted[c])) for c in range(THING_CLASSES)]
    network.class_bias.copy_(torch.tensor(bias))
    return np.asarray(bias, np.float32)


def best_threshold(logits: list[float], right: list[bool], wanted: int) -> float:
    """Return the logit from which on detections have the best F1; `wanted` is the number of objects. 0 without any."""
    if not any(right):
        return 0.0
    order = np.argsort(-np.asarray(logits))
    true_positives = np.cumsum(np.asarray(right)[order])
    f1 = 2 * true_positives / (np.arange(1, len(order) + 1) + wanted)
    return float(np.asarray(logits)[order][int(np.argmax(f1))])


def _match(mask: npt.NDArray[np.bool_], truths: npt.NDArray[np.uint8], marks: list[int]) -> int | None:
    """Return the mark of the truth that the mask meets with the greatest IoU above `MATCH_IOU`, if there is one."""
    best, best_iou = None, MATCH_IOU
    for mark in marks:
        truth = truths == mark
        union = int((mask | truth).sum())
        iou = int((mask & truth).sum()) / union if union else 0.0
        if iou > best_iou:
            best, best_iou = mark, iou
    return best
