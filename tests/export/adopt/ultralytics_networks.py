"""Networks of Ultralytics' package with random weights that find things, as its checkpoints.

Only where that package (AGPL-3.0) is installed, whose architectures these are; nothing of it lies in the repository.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

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


def own_prediction(
    theirs: Any, picture: Picture, size: tuple[int, int], *, fed: np.ndarray | None = None, **options: Any
) -> Any:
    """Return what the package's own `predict` finds in `picture`, by the thresholds that a bundle has by default.

    Its network is given `fed` (1, 3, h, w), where that is not None, in place of what the package makes of the picture.
    """
    import torchvision  # noqa: F401  # its suppression is stable; without it the package's own breaks ties at random

    how = {"imgsz": list(size), "rect": False, "retina_masks": True, "conf": 0.25, "iou": 0.7, "verbose": False}
    if fed is None:
        return theirs.predict(picture, **how, **options)[0]
    theirs.predict(picture, **how, **options)
    theirs.predictor.preprocess = lambda _pictures: torch.from_numpy(fed)
    found = theirs.predict(picture, **how, **options)[0]
    del theirs.predictor.preprocess
    return found


class Match(NamedTuple):
    """One of the package's objects and the best of ours of its class: pixels that differ, IoU, distance of scores."""

    pixels: int
    iou: float
    distance: float

    @property
    def is_same(self) -> bool:
        """Whether it is the same but for the rounding of floats: a small mask may differ in a pixel or two."""
        return (self.iou >= 0.99 or self.pixels <= 3) and self.distance <= 2e-3


def matches(result: InstanceResult, wanted: Any) -> list[Match]:
    """Return one for each of the package's objects; one of ours is taken once, and IoU is 0 where none is left."""
    own, found = np.asarray(result.masks), []
    taken = np.zeros(len(own), bool)
    for index in range(len(wanted)):
        mask = wanted.masks.data[index].numpy().astype(bool)
        alike = np.flatnonzero((result.class_ids == int(wanted.boxes.cls[index])) & ~taken)
        if not len(alike):
            found.append(Match(int(mask.sum()), 0.0, 1.0))
            continue
        differ, either = (own[alike] ^ mask).sum((1, 2)), (own[alike] | mask).sum((1, 2))
        ious = 1 - differ / np.maximum(either, 1)
        best = int(np.argmax(ious))
        taken[alike[best]] = True
        distance = abs(float(result.scores[alike[best]]) - float(wanted.boxes.conf[index]))
        found.append(Match(int(differ[best]), float(ious[best]), distance))
    return found
