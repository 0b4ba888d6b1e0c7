"""Random weights for DETR whose masks follow the attention of their queries, as a trained network's do."""

from collections.abc import Sequence
from typing import Any

import torch

from segrt.export.family import Request
from segrt.export.models.shared.query_calibration import (
    MASK_AREA,
    calibration_size,
    is_meta,
    quantile,
    sharp_attention,
    spread_classes,
)
from segrt.export.weights.random_weights import Spread, calibrate, calibration_pixels
from segrt.runtime.results import Label

_LIVE = 0.5


def calibrate_detr(core: Any, request: Request, labels: Sequence[Label]) -> None:
    """Set the statistics of a random `DetrCore`."""
    if is_meta(core):
        return
    model = core.model
    small = calibration_size(request.size)
    pixels = calibration_pixels(small, seed=request.weights.seed)
    mask = torch.ones(pixels.shape[0], *small, dtype=torch.bool)
    with torch.no_grad():
        _lead_attention_through(model.mask_head, model.bbox_attention.q_proj.out_features)
    spreads = {
        **sharp_attention(model.detr),
        model.detr.model.input_projection: Spread(),
        model.bbox_attention.q_proj: Spread(std=2.0, axis=-1),
    }
    decoded: list[Any] = []

    def run() -> None:
        decoded.extend(core.decoded(pixels, mask))
        model.bbox_attention.q_proj(decoded[0])

    calibrate(model, run, spreads)
    with torch.no_grad():
        spread_classes(model.detr.class_labels_classifier, decoded[0], labels, live=_LIVE, seed=request.weights.seed)
        masks = core.masks(*(part[:1] for part in decoded[:-1]), [level[:1] for level in decoded[-1]])
        output = model.mask_head.output_conv
        gain = 6.0 / masks.std()
        output.weight.mul_(gain)
        output.bias.sub_(quantile(masks, 1 - MASK_AREA)).mul_(gain)


def _lead_attention_through(head: Any, width: int) -> None:
    """Let the first group of channels of every layer carry the attention maps alone, so that masks follow them."""
    carried = torch.arange(head.conv1.conv.in_channels) >= width
    for block, adapter in (
        (head.conv1, None),
        (head.conv2, None),
        *((s.refine, s.fpn_adapter) for s in head.fpn_stages),
    ):
        if adapter is not None:
            adapter.weight[carried] = 0
            adapter.bias[carried] = 0
        conv = block.conv
        first = torch.arange(conv.out_channels) < conv.out_channels // block.norm.num_groups
        weight = conv.weight[first].abs()
        weight[:, ~carried] = 0
        conv.weight[first] = weight / weight.mean()
        carried = first
    head.output_conv.weight[:, carried] = 4 * head.output_conv.weight[:, carried].abs()
