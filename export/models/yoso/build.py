"""YOSO, from the picture to the class and mask logits of its queries."""

from functools import partial
from typing import Any, cast

import torch
from torch import Tensor, nn

from segrt.export.family import Exportable, ParityLimits, Request
from segrt.export.models.shared.detectron2_input import MEAN, STD, framework_pixels, kept_shape
from segrt.export.models.shared.query_calibration import (
    calibration_size,
    is_meta,
    quantile,
    random_rows,
    spread_classes,
)
from segrt.export.models.shared.query_core import HEADS
from segrt.export.models.shared.query_selection import checked_top_queries
from segrt.export.models.yoso.authors_merge import merged
from segrt.export.models.yoso.dynamic_head import HeadOptions, QueryStage, mask_logits
from segrt.export.models.yoso.yoso_network import YOSO, our_name
from segrt.export.weights import network_weights
from segrt.export.weights.checkpoint_labels import labels as labels_of
from segrt.export.weights.random_weights import Spread, calibrate, calm, photo_like_pixels, seeded
from segrt.runtime.decode.merge_queries import MergeQueries
from segrt.runtime.preprocess.geometry import Geometry
from segrt.runtime.results import Label, Result

# Sums over many pixels, and places in a map, are beyond float16.
_KEEP = ("*.pooling", "*.f_atten", "*.f_atten_norm", "*.sampling")
_PLACES = 3  # the first features, of which early masks are made
_EARLY_AREA = 0.3  # of a picture, of the masks that queries are remade from
_AREA, _OBJECTS = 0.015, 0.07
_KERNELS = 0.25  # their deviation: objects have sharp edges


def build(request: Request) -> Exportable:
    """Return YOSO for the request.

    Options of the model and overrides: `score_threshold` of the merge, `blocks` in each stage of the ResNet and its
    `width`, and the fields of `HeadOptions`.
    """
    labels = labels_of(request)
    options: dict[str, Any] = {**request.model.options, **request.overrides}
    rule = MergeQueries("yoso", options.pop("score_threshold"))
    trunk = {name: options.pop(name) for name in ("blocks", "width") if name in options}
    head = HeadOptions(len(labels), **options)
    with seeded(request.weights.seed):
        network = YOSO(head, **trunk).eval()
    tensors = network_weights.tensors(request)
    rename = partial(our_name, stages=head.stages)
    network_weights.load(network, tensors, network_weights.name_of(request), rename=rename)
    if tensors is None:
        _randomise(network, request, labels)
    network.top_queries = checked_top_queries(request, head.queries)

    def framework_result(pixels: Tensor, valid_mask: Tensor | None, geometry: Geometry) -> Result:  # noqa: ARG001
        with torch.no_grad():
            class_logits, masks = network(pixels)
        return merged(class_logits[0], masks[0], geometry, rule, labels)

    return Exportable(
        core=network,
        heads=HEADS,
        labels=labels,
        decode=rule,
        source=network_weights.source(request, notes="YOSO, written anew"),
        resize=kept_shape(request),
        framework_result=framework_result,
        framework_pixels=lambda picture: framework_pixels(picture, request),
        mean=MEAN,
        std=STD,
        keep=_KEEP,
        limits=ParityLimits(
            # A pixel on the edge of an early mask falls on either side by rounding, and with it what is added up under
            # the mask, so that heads are compared in the final result.
            heads={"class_logits": None, "mask_logits": None},
            agreement=0.99,
        ),
    )


@torch.no_grad()
def _randomise(network: YOSO, request: Request, labels: tuple[Label, ...]) -> None:
    """Set the statistics of random weights so that photos give segments of several classes and sizes.

    The first features become a constant 1, x and y. So the first value of a mask's kernel is a threshold, by which
    masks get a size. Masks that features are added up under look at these three alone: of cells that lie on such an
    edge by chance rounding would decide, and with it all that follows.
    """
    if is_meta(network):
        return
    pixels = photo_like_pixels(calibration_size(request.size), seed=request.weights.seed)
    calm(network)
    neck, head, seed = network.yoso_neck, network.yoso_head, request.weights.seed
    place, kernels, classes = (cast("Any", layer) for layer in (neck.loc_conv, head.kernels, head.last.fc_cls))
    spreads: dict[nn.Module, Spread] = {neck.loc_conv: Spread()}
    for name, module in neck.named_modules():
        if name.endswith("dcn_offset"):
            spreads[module] = Spread(std=0.7)  # taps are moved by less than a cell
    calibrate(network, lambda: network.features(pixels), spreads)
    place.weight[:_PLACES] = 0
    place.bias[:_PLACES] = torch.tensor([1.0, 0.0, 0.0])
    place.weight[1, -2] = place.weight[2, -1] = 1
    features = network.features(pixels)
    calibrate(kernels, lambda: kernels(features), {kernels: Spread(std=4.0)})
    kernels.weight[:, 0] = kernels.weight[:, _PLACES:] = 0
    masks = kernels(features) - kernels.bias[:, None, None]
    kernels.bias.copy_(-torch.quantile(masks.movedim(1, 0).flatten(1)[:, ::7], 1 - _EARLY_AREA, dim=1))
    for stage in head.mask_heads:
        _size_masks(cast("QueryStage", stage), network, features, seed)
    spread_classes(classes, head.last.classified(head(features)), labels, live=_OBJECTS, seed=seed)
    classes.weight.mul_(head.temperature)
    classes.bias.mul_(head.temperature)


def _size_masks(stage: QueryStage, network: YOSO, features: Tensor, seed: int) -> None:
    """Let the masks of `stage` differ between queries and cover a share of the pixels."""
    found: list[Tensor] = []
    hook = stage.fc_mask.register_forward_pre_hook(lambda module, given: found.append(given[0]))  # noqa: ARG005
    stage.kernels(network.yoso_head(features, until=stage))
    hook.remove()
    last = stage is network.yoso_head.last
    weight, bias = random_rows(found[-1], stage.fc_mask.out_features, _KERNELS, seed)
    if not last:
        weight[_PLACES:], bias[_PLACES:] = 0, 0
    stage.fc_mask.weight.copy_(weight)
    stage.fc_mask.bias.copy_(bias)
    _set_first_output(stage.fc_mask, 0.0)
    logits = mask_logits(stage.fc_mask(found[-1]), features)
    _set_first_output(stage.fc_mask, -quantile(logits, 1 - (_AREA if last else _EARLY_AREA)))


def _set_first_output(layer: Any, bias: float) -> None:
    """Make the first output of `layer` the constant `bias`."""
    layer.weight[0] = 0
    layer.bias[0] = bias
