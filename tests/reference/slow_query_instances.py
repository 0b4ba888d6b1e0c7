"""Instances out of queries."""

import numpy as np

from reference.arrays import Array
from reference.slow_resize import resize
from reference.slow_scores import sigmoid, softmax


def query_instances(
    class_logits: Array, mask_logits: Array, size: tuple[int, int], *, top_k: int, activation: str, weigh_by_mask: bool
) -> list[tuple[int, float, Array]]:
    """(class, score, mask) by descending score; empty masks left out."""
    scores = softmax(class_logits)[:, :-1] if activation == "softmax" else sigmoid(class_logits)
    order = np.argsort(-scores.ravel(), kind="stable")[:top_k]
    found = []
    for index in order:
        query, class_id = divmod(int(index), scores.shape[1])
        score = float(scores[query, class_id])
        inside = mask_logits[query] > 0
        if weigh_by_mask:
            score *= float((sigmoid(mask_logits[query]) * inside).sum() / (inside.sum() + 1e-6))
        mask = resize(mask_logits[query : query + 1], size)[0] > 0
        if mask.any():
            found.append((class_id, score, mask))
    return sorted(found, key=lambda item: -item[1])
