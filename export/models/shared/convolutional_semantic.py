"""What real-time semantic networks written here have in common: weights, calibration, the authors' way to a result.

The networks give class logits at a part of the input's resolution; their authors enlarge them bilinearly to the input's
size, which is the picture's, and take the best class.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from segrt.export.family import IMAGENET_MEAN, IMAGENET_STD, Exportable, HeadParityLimit, ParityLimits, Request
from segrt.export.models.shared.framework_results import semantic_result
from segrt.export.models.shared.semantic_head import classes_of, semantic_head
from segrt.export.weights import network_weights
from segrt.export.weights.random_weights import (
    Spread,
    calibrate,
    calibration_pixels,
    calm,
)
from segrt.runtime.files.images import Picture
from segrt.runtime.preprocess.geometry import Geometry
from segrt.runtime.preprocess.input_spec import Channels, Resize
from segrt.runtime.results import Label, SemanticResult

_CALIBRATED_AT = (256, 320)


@dataclass(frozen=True)
class Recipe:
    """How the authors of a network use it.

    mean, std: of the pixels, RGB, 0 to 1. antialias: whether pictures are shrunken with Pillow's filter, not OpenCV's.
    align_corners: how the logits are enlarged. unused: patterns of published tensors that training alone needs.
    rename: a published name to the network's, None to leave it out.
    """

    mean: Channels = IMAGENET_MEAN
    std: Channels = IMAGENET_STD
    antialias: bool = False
    align_corners: bool = False
    unused: Sequence[str] = ()
    rename: Callable[[str], str | None] | None = None


def exportable(
    request: Request, network: nn.Module, classifier: nn.Module, labels: tuple[Label, ...], recipe: Recipe
) -> Exportable:
    """Return `network` with the request's weights as it is exported; `classifier` is the layer that gives its logits.

    `network(pixels)` returns logits (N, len(labels), h, w) of pixels (N, 3, h, w).
    """
    network.eval()
    tensors = network_weights.tensors(request)
    where = network_weights.name_of(request)
    network_weights.load(network, tensors, where, rename=recipe.rename, optional=recipe.unused)
    if tensors is None:
        calm(network)
        # Their branches pool to a few cells, whose statistics want several pictures, not large ones.
        pixels = calibration_pixels(_CALIBRATED_AT, recipe.mean, recipe.std, count=8, seed=request.weights.seed)
        calibrate(network, lambda: network(pixels), {classifier: Spread(std=2.0)})
    head = semantic_head(labels, len(labels), align_corners=recipe.align_corners)
    return Exportable(
        core=network,
        heads=(("logits", head.role),),
        labels=head.labels,
        decode=head.decode,
        source=network_weights.source(request, notes="written anew from its authors' description"),
        resize=Resize(rule="stretch", interpolation="linear", antialias=recipe.antialias),
        framework_result=lambda pixels, mask, geometry: _result(network, head.labels, recipe, pixels, geometry),  # noqa: ARG005
        framework_pixels=lambda picture: _pixels(picture, request, recipe),
        mean=recipe.mean,
        std=recipe.std,
        limits=ParityLimits(
            head=HeadParityLimit(1e-3, 1e-3),
            agreement=0.999,
            # Aligned corners are those of the input; a picture of another size would be resized a second time.
            at=request.size if recipe.align_corners else None,
        ),
    )


def _result(
    network: nn.Module, labels: tuple[Label, ...], recipe: Recipe, pixels: torch.Tensor, geometry: Geometry
) -> SemanticResult:
    """Return the classes of the logits of `pixels` (1, 3, h, w), enlarged to the picture's size."""
    with torch.no_grad():
        logits = network(pixels)
    if recipe.align_corners:
        logits = nn.functional.interpolate(logits, geometry.network_size, mode="bilinear", align_corners=True)
    enlarged = nn.functional.interpolate(logits, geometry.source_size, mode="bilinear", align_corners=False)
    return semantic_result(classes_of(enlarged[0]), labels)


def _pixels(picture: Picture, request: Request, recipe: Recipe) -> npt.NDArray[np.float32]:
    """Return the network input (3, h, w) that the authors make of `picture`, uint8 BGR (H, W, 3)."""
    height, width = request.size
    rgb = np.ascontiguousarray(picture[..., ::-1])
    if recipe.antialias:
        from PIL import Image

        resized = np.asarray(Image.fromarray(rgb).resize((width, height), Image.Resampling.BILINEAR))
    else:
        resized = cv2.resize(rgb, (width, height), interpolation=cv2.INTER_LINEAR)
    pixels = (resized.astype(np.float32) / 255 - np.array(recipe.mean, np.float32)) / np.array(recipe.std, np.float32)
    return np.ascontiguousarray(pixels.transpose(2, 0, 1), dtype=np.float32)
