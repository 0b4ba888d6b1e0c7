"""Matterport's Mask R-CNN as PixelLib runs it, from picture and valid mask to boxes, scores, classes and masks.

A picture is fitted into 1024x1024, its shorter side enlarged to no more than 800, and lies in the middle of black; its
bytes are those that scikit-image makes there. Confidence (0.7 in PixelLib) is the decode rule's: proposals below it are
suppressed with the others, which changes none of those above.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from segrt.export.family import Exportable, HeadParityLimit, ParityLimits, Request, Size
from segrt.export.models.pixellib_maskrcnn.matterport_backbone import MatterportBlock
from segrt.export.models.pixellib_maskrcnn.matterport_network import (
    FLOAT_MODULES,
    MatterportMaskRCNN,
    MatterportOptions,
)
from segrt.export.models.pixellib_maskrcnn.matterport_result import MatterportResult
from segrt.export.weights import network_weights
from segrt.export.weights.checkpoint_labels import built_in
from segrt.export.weights.keras_weights import load_keras
from segrt.export.weights.random_weights import Spread, calibrate, calm, photo_like_pixels, seeded
from segrt.runtime.decode.paste_masks import PasteMasks
from segrt.runtime.files.images import Picture
from segrt.runtime.preprocess.input_spec import Channels, Resize

MEAN: Channels = (123.7 / 255, 116.8 / 255, 103.9 / 255)
STD: Channels = (1 / 255, 1 / 255, 1 / 255)
CONFIDENCE = 0.7
_LARGEST, _SHORTEST = (1024, 1024), 800
_RESIDUAL_GAIN = 0.15
_CALIBRATED_AT = 512
_LIVE, _MOST_LIVE = 40, 0.4  # proposals that are objects, and the share of a small network's


def build(request: Request) -> Exportable:
    """Return Matterport's network as it is exported; `overrides` are fields of `MatterportOptions`.

    `top_queries` is the number of detections, 100 by default.
    """
    labels = request.labels or built_in(request)
    options: dict[str, Any] = {**request.model.options, "classes": len(labels) + 1, **request.overrides}
    if request.top_queries is not None:
        options["detections"] = request.top_queries
    with seeded(request.weights.seed):
        network = MatterportMaskRCNN(request.size, MatterportOptions(**options)).eval()
    path = network_weights.checkpoint_file(request, kinds=".h5")
    if path is None:
        _randomise(request, network, MatterportOptions(**options))
    else:
        load_keras(network, path)
    decode = PasteMasks(score_threshold=CONFIDENCE, first_class=1, paste_rule="matterport")
    return Exportable(
        core=network,
        heads=(("boxes", "boxes"), ("scores", "scores"), ("class_ids", "class_ids"), ("masks", "masks")),
        labels=labels,
        decode=decode,
        source=network_weights.source(request),
        resize=_resize(request),
        framework_result=MatterportResult(network, decode, labels),
        framework_pixels=lambda picture: framework_pixels(picture, request.size),
        mean=MEAN,
        std=STD,
        valid_mask=True,
        pad_sides=("both",),
        keep=FLOAT_MODULES,
        dynamic_batch=False,
        limits=ParityLimits(
            # Rows of nearly equal score may change places, so that rows are compared through the final result alone.
            head=HeadParityLimit(1e-2),
            heads={"boxes": None, "class_ids": None, "masks": None},
            agreement=0.97,
            input_mean=1e-3,  # bytes are the same, and only normalised in another order
            input_max=1e-2,
        ),
    )


def _resize(request: Request) -> Resize:
    """Return PixelLib's resize: at its quicker sizes (512, 384, 256) nothing but the input limits a picture."""
    kept = {"interpolation": "skimage", "pad_side": "both", "rounding": "nearest"}
    if request.size == _LARGEST:
        return Resize(rule="enlarge", shortest_edge=_SHORTEST, **kept)  # type: ignore[arg-type]
    return Resize(rule="letterbox", **kept)  # type: ignore[arg-type]


def framework_pixels(picture: Picture, size: Size) -> npt.NDArray[np.float32]:
    """Return the network input (3, h, w) that Matterport's `resize_image` makes of `picture`, uint8 BGR (H, W, 3)."""
    height, width = picture.shape[:2]
    scale = max(1.0, (_SHORTEST if size == _LARGEST else min(size)) / min(height, width))
    if round(height * scale) > size[0] or round(width * scale) > size[1]:
        scale = min(size[0] / height, size[1] / width)
    shown = (round(height * scale), round(width * scale))
    resized = picture if scale == 1.0 else _resized_by_skimage(picture, shown)
    top, left = (size[0] - shown[0]) // 2, (size[1] - shown[1]) // 2
    canvas = np.zeros((*size, 3), np.uint8)
    canvas[top : top + shown[0], left : left + shown[1]] = resized[..., ::-1]
    pixels: npt.NDArray[np.float32] = ((canvas / 255 - MEAN) / STD).astype(np.float32).transpose(2, 0, 1)
    return pixels


def _resized_by_skimage(picture: Picture, size: Size) -> Picture:
    """Return `picture` in `size` (h, w) as `skimage.transform.resize` of order 1, its result cut off to bytes.

    Four products in scipy's order: what should be a whole number may end up just below it, and a level lower.
    """
    padded = np.pad(picture.astype(np.float64), ((1, 1), (1, 1), (0, 0)))
    ends = []
    for axis, count in enumerate(size):
        places = (np.arange(count) + 0.5) * (picture.shape[axis] / count) - 0.5
        first = np.floor(places).astype(int)
        low = 1.0 - (places - first)
        shape = (-1, 1, 1) if axis == 0 else (1, -1, 1)
        ends.append(((first + 1, low.reshape(shape)), (first + 2, (1.0 - low).reshape(shape))))
    total = np.zeros((*size, picture.shape[2]))
    for rows, down in ends[0]:
        for columns, across in ends[1]:
            total += padded[rows][:, columns] * down * across
    resized: Picture = np.clip(total, picture.min(), picture.max()).astype(np.uint8)
    return resized


def _randomise(request: Request, network: MatterportMaskRCNN, options: MatterportOptions) -> None:
    """Set the statistics of random weights so that photos give objects of many classes and sizes.

    The stages follow one another, for each is set from what the one before it lets through.
    """
    if next(network.parameters()).is_meta:
        return  # only counted, see export/convert/figures.py
    for block in network.backbone.body.modules():
        if isinstance(block, MatterportBlock):
            torch.nn.init.constant_(block.last_norm.weight, _RESIDUAL_GAIN)
    calm(network)
    with torch.no_grad():  # else masks are chequered: a weight for each of the four places
        enlarging: Any = network.heads.mask.get_submodule("mrcnn_mask_deconv").weight
        enlarging.copy_(enlarging.mean((2, 3), keepdim=True).expand_as(enlarging))
    size = (min(request.size[0], _CALIBRATED_AT), min(request.size[1], _CALIBRATED_AT))
    small = MatterportMaskRCNN(size, options).eval()
    small.backbone, small.heads = network.backbone, network.heads
    photos = photo_like_pixels(size, MEAN, STD, seed=request.weights.seed)
    mask = torch.ones(1, *size, dtype=torch.bool)
    heads = network.heads
    outputs: dict[torch.nn.Module, Spread] = {conv: Spread() for conv in network.backbone.pyramid.output}
    calibrate(network.backbone, lambda: small.backbone(photos), outputs)
    pixels = photos[1:2]  # neither the dark nor the bright one
    with torch.no_grad():
        level = small.backbone(pixels)[1:2]
    # One level stands for all: they share the head, and all have the same mean and deviation by now.
    proposing: dict[torch.nn.Module, Spread] = {
        heads.proposal_scores[0]: Spread(1.0),
        heads.proposal_moves[0]: Spread(1.0),
    }
    calibrate(heads, lambda: heads.proposals(level), proposing)
    spreads: dict[torch.nn.Module, Spread] = {
        heads.box_classes[0]: Spread(3.0, axis=-1, live=min(_MOST_LIVE, _LIVE / options.after), no_object=0),
        heads.box_moves[0]: Spread(1.0, axis=-1),
    }
    calibrate(heads, lambda: small(pixels, mask), spreads)
    _spread_masks(small, pixels, mask)


def _spread_masks(network: MatterportMaskRCNN, pixels: torch.Tensor, mask: torch.Tensor) -> None:
    """Spread the logits of the masks, whose last layer is not called as a whole."""
    seen: list[torch.Tensor] = []
    handle = network.heads.mask.register_forward_hook(lambda module, inputs, output: seen.append(output))  # noqa: ARG005
    with torch.no_grad():
        network(pixels, mask)
        handle.remove()
        last = network.heads.mask_classes[0]
        calibrate(network.heads.mask_classes, lambda: last(seen[0]), {last: Spread(3.0)})
