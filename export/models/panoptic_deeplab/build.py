"""Panoptic-DeepLab, from the picture to logits, centre heatmap and offsets.

The graph ends with three small heads at a quarter of the picture's size; enlarging, the search for centres and the
grouping around them are done outside (`group_centers`).
"""

from typing import Any, cast

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from segrt.export.family import Exportable, HeadParityLimit, ParityLimits, Request, Size
from segrt.export.models.panoptic_deeplab.framework_result import panoptic_result
from segrt.export.models.panoptic_deeplab.network import OUTPUT_STRIDE, Config, Conv, InstanceHead, PanopticDeepLab
from segrt.export.weights import checkpoint_labels, network_weights
from segrt.export.weights.random_weights import Spread, calibrate, calibration_pixels, calm, seeded
from segrt.runtime.decode.group_centers import GroupCenters
from segrt.runtime.files.images import Picture
from segrt.runtime.preprocess.geometry import Geometry
from segrt.runtime.results import Result

# detectron2's pixel mean and deviation, over 255.
MEAN = (123.675 / 255, 116.28 / 255, 103.53 / 255)
STD = (58.395 / 255, 57.12 / 255, 57.375 / 255)
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

    # The shorter side is brought to the network's, the longer one follows; what is left over is padded with the mean.
    resize = request.kept_shape(antialias=True, pad=(124, 116, 104), pad_side="bottom_right", rounding="half_up")
    return Exportable(
        core=network,
        heads=tuple((name, name) for name in ("semantic_logits", "center_heatmap", "offsets")),
        labels=labels,
        decode=rule,
        source=network_weights.source(request),
        resize=resize,
        framework_result=framework_result,
        framework_pixels=lambda picture: framework_pixels(picture, request),
        mean=MEAN,
        std=STD,
        # Logits and offsets, in cells, reach a hundred at full size, and rounding is in proportion to that.
        limits=ParityLimits(
            head=HeadParityLimit(2e-2, 1e-3), heads={"center_heatmap": HeadParityLimit(2e-3, 1e-3)}, agreement=0.99
        ),
    )


def framework_pixels(picture: Picture, request: Request) -> npt.NDArray[np.float32]:
    """Return detectron2's input: PIL's bilinear resize of the RGB picture, normalised, zeros below and to the right."""
    from PIL import Image

    height, width = _shown_size((picture.shape[0], picture.shape[1]), request)
    image = Image.fromarray(np.ascontiguousarray(picture[..., ::-1]))
    shrunk = np.asarray(image.resize((width, height), Image.Resampling.BILINEAR), np.float32)
    pixels = np.zeros((3, *request.size), np.float32)
    pixels[:, :height, :width] = ((shrunk / 255 - MEAN) / STD).transpose(2, 0, 1)
    return pixels


def _shown_size(source: Size, request: Request) -> Size:
    """Return the size (h, w) of detectron2's `ResizeShortestEdge` for a picture of `source` (H, W)."""
    shortest, longest = request.size[::-1] if source[0] > source[1] else request.size
    shortest = request.shortest_edge or shortest
    scale = min(shortest / min(source), longest / max(source))
    return int(source[0] * scale + 0.5), int(source[1] * scale + 0.5)


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
