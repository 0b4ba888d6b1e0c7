"""The last step of a semantic network: classes by an argmax, or one object by a threshold."""

from dataclasses import dataclass

import torch

from segrt.runtime.decode.argmax import Argmax
from segrt.runtime.decode.binary import Binary
from segrt.runtime.results import Label
from segrt.runtime.results.labels.class_lists import with_background


@dataclass(frozen=True)
class SemanticHead:
    """What a network of logits (N, C, h, w) is decoded by: labels, the head's role, the rule.

    One channel is the logit of an object, as losses take it (binary_cross_entropy_with_logits in transformers, the
    binary mode of segmentation-models-pytorch): the object is where its sigmoid is above 0.5, the rest is background.
    """

    labels: tuple[Label, ...]
    role: str
    decode: Argmax | Binary


def semantic_head(classes: tuple[Label, ...], channels: int, *, align_corners: bool = False) -> SemanticHead:
    """Return the head of a network of so many channels; of one channel `classes` are the object, or rest and object."""
    if channels > 1:
        return SemanticHead(classes, "semantic_logits", Argmax(align_corners=align_corners))
    labels = with_background(classes[0]) if len(classes) == 1 else classes
    return SemanticHead(labels, "object_scores", Binary(align_corners=align_corners))


def classes_of(logits: torch.Tensor) -> torch.Tensor:
    """Return the class map (H, W) that frameworks make of enlarged logits (C, H, W)."""
    return logits.argmax(0) if len(logits) > 1 else (logits[0].sigmoid() > 0.5).long()
