"""ECSeg, from the picture to class and mask logits.

Pictures are stretched to the input. The class logits are for sigmoid, and the best 300 (query, class) pairs are
detections. Two things differ from the authors' code, neither in a mask: a box is the extent of its mask, not the one
that the network predicts, and an object with an empty mask is left out.
"""

from functools import partial

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from segrt.export.family import IMAGENET_MEAN, IMAGENET_STD, Exportable, ParityLimits, Request
from segrt.export.models.ecseg.ec_sizes import Config, configuration
from segrt.export.models.ecseg.ecseg_network import ECSeg, our_name
from segrt.export.models.shared.framework_results import instance_result
from segrt.export.models.shared.query_core import HEADS
from segrt.export.models.shared.query_selection import checked_top_queries
from segrt.export.weights import network_weights
from segrt.export.weights.checkpoint_labels import labels as labels_of
from segrt.export.weights.random_weights import Spread, calibrate, calibration_pixels, seeded
from segrt.runtime.decode.query_instances import QueryInstances
from segrt.runtime.errors import SegrtError
from segrt.runtime.files.images import Picture
from segrt.runtime.preprocess.geometry import Geometry
from segrt.runtime.preprocess.input_spec import Resize
from segrt.runtime.results import InstanceResult, Label

_DETECTIONS = 300
_STRIDES = (8, 16, 32)


def build(request: Request) -> Exportable:
    """Return ECSeg for the request; `overrides` are fields of `Config`."""
    labels = labels_of(request)
    config = configuration(request.model.options["size"], len(labels), request.overrides)
    _check_size(request, config)
    with seeded(request.weights.seed):
        network = ECSeg(config).eval()
    tensors = network_weights.tensors(request)
    rename = partial(our_name, layers=config.decoder_layers)
    network_weights.load(network, tensors, network_weights.name_of(request), rename=rename)
    if tensors is None:
        _randomise(network, request)
    network.top_queries = checked_top_queries(request, config.queries)
    rule = QueryInstances(activation="sigmoid", top_k=_DETECTIONS)

    def framework_result(pixels: Tensor, valid_mask: Tensor | None, geometry: Geometry) -> InstanceResult:  # noqa: ARG001
        with torch.no_grad():
            class_logits, masks = network(pixels)
        return _detections(class_logits[0], masks[0], geometry, rule, labels)

    return Exportable(
        core=network,
        heads=HEADS,
        labels=labels,
        decode=rule,
        source=network_weights.source(request, notes="ECSeg, written anew"),
        resize=Resize(rule="stretch", antialias=True),
        framework_result=framework_result,
        framework_pixels=lambda picture: _framework_pixels(picture, request.size),
        limits=ParityLimits(
            # Queries of nearly equal score may change places, so that rows are compared in the final result.
            heads={"class_logits": None, "mask_logits": None},
            agreement=0.98,
        ),
    )


def _check_size(request: Request, config: Config) -> None:
    """Raise SegrtError for an input with fewer cells than queries."""
    height, width = request.size
    cells = sum((height // stride) * (width // stride) for stride in _STRIDES)
    if cells < config.queries:
        raise SegrtError(
            f"--size {height}x{width}: {request.model.name} chooses {config.queries} queries, but an input of that "
            f"size has {cells} cells; give a larger size"
        )


def _detections(
    class_logits: Tensor, mask_logits: Tensor, geometry: Geometry, rule: QueryInstances, labels: tuple[Label, ...]
) -> InstanceResult:
    """Return what the authors' `PostProcessor` finds above the score threshold, but empty masks, of one picture."""
    classes = class_logits.shape[1]
    scores, pairs = torch.sigmoid(class_logits).flatten().topk(min(rule.top_k, class_logits.numel()))
    masks, sure, class_ids = [], [], []
    for score, pair in zip(scores.tolist(), pairs.tolist(), strict=True):
        if score <= rule.score_threshold:
            break
        logits = mask_logits[None, pair // classes, None]
        mask = F.interpolate(logits, geometry.source_size, mode="bilinear", align_corners=False)[0, 0] > 0
        if mask.any():
            masks.append(mask.numpy())
            sure.append(score)
            class_ids.append(pair % classes)
    planes = np.stack(masks) if masks else np.zeros((0, *geometry.source_size), bool)
    return instance_result(planes, sure, class_ids, labels)


def _framework_pixels(picture: Picture, size: tuple[int, int]) -> npt.NDArray[np.float32]:
    """Return the network input (3, h, w) that the authors make of `picture`, uint8 BGR (H, W, 3): PIL's resize."""
    from PIL import Image

    image = Image.fromarray(np.ascontiguousarray(picture[..., ::-1]))
    resized = np.asarray(image.resize((size[1], size[0]), Image.Resampling.BILINEAR), np.float32)
    return np.ascontiguousarray(((resized / 255 - IMAGENET_MEAN) / IMAGENET_STD).transpose(2, 0, 1), dtype=np.float32)


@torch.no_grad()
def _randomise(network: ECSeg, request: Request) -> None:
    """Set the statistics of random weights: boxes of many sizes, several classes, masks of a part of the picture."""
    decoder = network.decoder
    masks = decoder.decoder.segmentation_head
    pixels = calibration_pixels(request.size, count=2, seed=request.weights.seed)
    spreads: dict[nn.Module, Spread] = {
        network.backbone.backbone.patch_embed.proj: Spread(),
        decoder.enc_score_head: Spread(axis=-1),
        decoder.enc_bbox_head.layers[-1]: Spread(std=0.5, axis=-1),
        decoder.dec_score_head[-1]: Spread(std=4.0, axis=-1, live=0.2),
        masks.spatial_features_proj: Spread(),
        # As many channels of deviation 1 times this one add up to masks of deviation 5.
        masks.query_features_proj: Spread(std=5.0 / masks.query_features_proj.out_features**0.5, axis=-1),
    }
    masks.bias.fill_(-5.0)
    calibrate(network, lambda: network(pixels), spreads)
