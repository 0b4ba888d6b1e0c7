"""Networks of Ultralytics' package with random weights that find things, as its checkpoints; the package is imported here.

Only where that package (AGPL-3.0) is installed, whose architectures these are; nothing of it lies in the repository.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from segrt.export.weights.random_weights import Spread, calibrate, seeded
from segrt.runtime.files.images import Picture
from segrt.runtime.results import InstanceResult

NAMES = ["person", "car", "dog", "traffic light", "bench", "cat", "kite", "boat", "horse", "bus"]
_EMBEDDING = 512
# Parts of a head, by what they give. Class scores are logits, of which a small share is above 0; YOLOE's come below.
_CLASSES, _MASKS = Spread(1.0, live=0.02), Spread(1.0)


def ultralytics_network(
    name: str, folder: Path, pixels: torch.Tensor, *, seed: int = 1, classes_set: bool = True
) -> tuple[Any, Path]:
    """Return the package's network NAME, calibrated on `pixels` (N, 3, h, w), read from its checkpoint, and that.

    A YOLOE has the classes `NAMES`, with random embeddings, unless `classes_set` is false; NAME `…-pf` makes of it a
    network without prompts, as the package's `set_vocab` does.
    """
    os.environ["YOLO_CONFIG_DIR"] = str(folder)
    from ultralytics import YOLO

    with seeded(seed):
        model = YOLO(f"{name.removesuffix('-pf')}.yaml")
        network = model.model.eval()
        network.args = {"imgsz": 64}
        yoloe = "yoloe" in name
        if yoloe:
            _set_classes(model)
        calibrate(network, lambda: network(pixels), _spreads(network.model[-1], yoloe=yoloe))
        if yoloe:
            _let_find(network.model[-1])
        if name.endswith("-pf"):
            _without_prompts(network)
        elif yoloe and not classes_set:
            del network.pe
    path = folder / f"{name}.pt"
    # Its `save` halves the numbers, and small variances become 0.
    torch.save({"model": network, "train_args": {}}, path)
    return YOLO(path), path


def _spreads(head: Any, *, yoloe: bool) -> dict[nn.Module, Spread]:
    """Return how the last layers of `head` are to spread: in a YOLOE, cv5 gives masks, and cv4 compares classes."""
    parts = {"cv5": _MASKS} if yoloe else {"cv3": _CLASSES, "cv4": _MASKS}
    spreads = {}
    for part, spread in parts.items():
        for which in (part, f"one2one_{part}"):
            for branch in getattr(head, which, None) or ():
                spreads[[layer for layer in branch.modules() if isinstance(layer, nn.Conv2d)][-1]] = spread
    return spreads


def _set_classes(model: Any) -> None:
    """Give a YOLOE classes, as embeddings of their names would; those of other names are as good here."""
    embeddings = nn.functional.normalize(torch.randn(1, len(NAMES), _EMBEDDING), dim=-1)
    model.set_classes(NAMES, embeddings)


def _let_find(head: Any) -> None:
    """Set scale and bias of a YOLOE's comparisons, whose own initial ones find nothing before it is trained."""
    for which in ("cv4", "one2one_cv4"):
        for contrast in getattr(head, which, None) or ():
            contrast.logit_scale.data.fill_(0.0)
            contrast.bias.data.fill_(-3.0)


def _without_prompts(network: Any) -> None:
    """Make of a YOLOE whose classes are set one that takes no prompts and has a filter of proposals."""
    from copy import deepcopy

    names = list(network.names.values())
    embeddings = network.pe
    other = deepcopy(network)
    other.model[-1].fuse(embeddings)
    head = network.model[-1]
    branch = other.model[-1].one2one_cv3 if head.end2end else other.model[-1].cv3
    vocabulary = nn.ModuleList(classifier[-1] for classifier in branch)
    # The filter of proposals is a comparison with a single class; the last of three levels has none.
    network.set_classes(["object"], embeddings[:, :1])
    head.fuse(embeddings[:, :1])
    for classifier in head.one2one_cv3 if head.end2end else head.cv3:
        classifier[-1].bias.data.sub_(4.5)  # some of what has a class is no proposal
    network.set_vocab(vocabulary, names)
    del network.pe


def letterboxed(pictures: Sequence[Picture], size: tuple[int, int]) -> torch.Tensor:
    """Return `pictures` as the package feeds them to a network of `size` (h, w): float32 (N, 3, h, w), RGB, 0 to 1."""
    from ultralytics.data.augment import LetterBox

    fed = [LetterBox(size, auto=False)(image=picture)[..., ::-1].transpose(2, 0, 1) for picture in pictures]
    return torch.from_numpy(np.stack(fed).astype(np.float32) / 255)


def own_prediction(theirs: Any, picture: Picture, size: tuple[int, int]) -> Any:
    """Return what the package's own `predict` finds in `picture`, by the thresholds that a bundle has by default."""
    import torchvision  # noqa: F401  # its suppression is stable; without it the package's own breaks ties at random

    how = {"imgsz": list(size), "rect": False, "retina_masks": True, "conf": 0.25, "iou": 0.7, "verbose": False}
    return theirs.predict(picture, **how)[0]


def matched(result: InstanceResult, wanted: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return for each of the package's objects the IoU of ours of the same class that is nearest in score, and how far.

    An object is taken once; one that has none of its class left has IoU 0 and distance 1.
    """
    own, count = np.asarray(result.masks), len(wanted)
    masks = wanted.masks.data.numpy().astype(bool) if count else own[:0]
    classes, scores = wanted.boxes.cls.numpy().astype(int), wanted.boxes.conf.numpy()
    ious, distances, taken = np.zeros(count), np.ones(count), np.zeros(len(own), bool)
    for index in range(count):
        alike = np.flatnonzero((result.class_ids == classes[index]) & ~taken)
        if not len(alike):
            continue
        either, both = (own[alike] | masks[index]).sum((1, 2)), (own[alike] & masks[index]).sum((1, 2))
        best = int(np.argmax(both / np.maximum(either, 1)))
        taken[alike[best]] = True
        ious[index] = (both / np.maximum(either, 1))[best]
        distances[index] = abs(result.scores[alike[best]] - scores[index])
    return ious, distances
