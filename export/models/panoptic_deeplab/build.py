"""Panoptic-DeepLab, from the picture to logits, centre heatmap and offsets.

The graph ends with three small heads at a quarter of the picture's size; enlarging, the search for centres and the
grouping around them are done outside (`group_centers`).
"""

from typing import Any, cast

import torch
from torch import nn

from segrt.export.family import Exportable, HeadParityLimit, ParityLimits, Request
from segrt.export.models.panoptic_deeplab.framework_result import panoptic_result
from segrt.export.models.panoptic_deeplab.network import OUTPUT_STRIDE, Config, InstanceHead, PanopticDeepLab
from segrt.export.models.shared.detectron2_input import MEAN, STD, framework_pixels, kept_shape
from segrt.export.models.shared.detectron2_resnet import Conv
from segrt.export.weights import checkpoint_labels, network_weights
from segrt.export.weights.random_weights import Spread, calibrate, calibration_pixels, calm, seeded
from segrt.runtime.decode.group_centers import GroupCenters
from segrt.runtime.preprocess.geometry import Geometry
from segrt.runtime.results import Result

_RULE_FIELDS = ("nms_kernel", "stuff_area_limit")
_EDGE_HEAT = 0.5


def build(request: Request) -> Exportable:
    """Return Panoptic-DeepLab as it is exported; `overrides` are fields of the network's `Config` and of the rule."""
    labels = checkpoint_labels.labels(request)
    options: dict[str, Any] = {**request.model.options, **request.overrides}
    rule = GroupCenters(
        processed_size="network", **{name: options.pop(name) for name in _RULE_FIELDS if name in options}
    )
    with seeded(request.weights.seed):
        network = PanopticDeepLab(Config(classes=len(labels), **options)).eval()
    tensors = network_weights.tensors(request)
    network_weights.load(network, tensors, network_weights.name_of(request), optional=("pixel_mean", "pixel_std"))
    if tensors is None:
        _calibrate(network, request)

    def framework_result(pixels: torch.Tensor, valid_mask: torch.Tensor | None, geometry: Geometry) -> Result:  # noqa: ARG001
        with torch.no_grad():
            return panoptic_result(network(pixels), geometry, rule, labels)

    return Exportable(
        core=network,
        heads=tuple((name, name) for name in ("semantic_logits", "center_heatmap", "offsets")),
        labels=labels,
        decode=rule,
        source=network_weights.source(request),
        resize=kept_shape(request),
        framework_result=framework_result,
        framework_pixels=lambda picture: framework_pixels(picture, request),
        mean=MEAN,
        std=STD,
        # Logits and offsets, in cells, reach a hundred at full size, and rounding is in proportion to that.
        limits=ParityLimits(
            head=HeadParityLimit(2e-2, 1e-3), heads={"center_heatmap": HeadParityLimit(2e-3, 1e-3)}, agreement=0.99
        ),
    )


def _calibrate(network: PanopticDeepLab, request: Request) -> None:
    """Give random weights heads like a trained network's: every class here and there, some centres, short offsets."""
    instances = network.ins_embed_head
    spreads: dict[nn.Module, Spread] = {
        network.sem_seg_head.predictor: Spread(std=3.0),
        instances.center_predictor: Spread(std=0.15, mean=-0.05),
        instances.offset_predictor: Spread(std=4.0),
    }
    shown = tuple(max(side // 2 // OUTPUT_STRIDE * OUTPUT_STRIDE, 2 * OUTPUT_STRIDE) for side in request.size)
    pixels = calibration_pixels((shown[0], shown[1]), MEAN, STD, count=2, seed=request.weights.seed)
    calm(network.backbone)
    calibrate(network, lambda: network(pixels), spreads)
    _keep_centres_inside(instances)


@torch.no_grad()
def _keep_centres_inside(head: InstanceHead) -> None:
    """Let the heat be low in the outermost cells of the grid.

    Beyond them it is interpolated between equals, so that rounding says whether a peak there is one centre or five.
    One channel counts the taps that a 3x3 kernel misses: none inside, three along an edge.
    """
    first, second = cast("tuple[Conv, Conv]", tuple(head.center_head))  # type: ignore[arg-type]
    taps = float(second.weight[0, 0].numel())
    for conv, bias in ((first, 1.0), (second, taps)):
        norm: Any = conv.norm
        conv.weight[0] = 0
        norm.weight[0], norm.bias[0] = 1, bias
        norm.running_mean[0], norm.running_var[0] = 0, 1
    second.weight[0, 0] = -1
    head.center_predictor.weight[0, 0] = -_EDGE_HEAT
