"""Random weights for EdgeTAM whose masks are neither empty nor full, and differ from prompt to prompt."""

from typing import Any

import torch
from torch import nn

from segrt.export.models.shared.query_calibration import quantile, sharp_attention
from segrt.export.weights.random_weights import Spread, calibrate, calibration_pixels, calm

_AREA = 0.25  # of a picture, a mask
_IOUS = Spread(std=0.7, mean=1.0, axis=-1)  # before the sigmoid
_MIXTURES = Spread(std=0.7, mean=0.7, axis=-1)  # prompts differ, but do not change everything


def calibrate_masks(model: Any, side: int, seed: int) -> None:
    """Set the statistics of a random `EdgeTamModel` for pictures of `side` pixels.

    The first channel of what masks are mixed of becomes a constant 1, so that the first of a mask's weights is its
    threshold, by which it gets a size.
    """
    decoder = model.mask_decoder
    if decoder.iou_token.weight.is_meta:
        return
    pixels = calibration_pixels((side, side), count=2, seed=seed)
    pixels[1::2] = nn.functional.avg_pool2d(pixels[1::2], 7, stride=1, padding=3)
    points, labels = _prompts(side, seed)
    calm(model.vision_encoder)
    mixers = [layers.proj_out for layers in decoder.output_hypernetworks_mlps]
    spreads = {
        **sharp_attention(model),
        **dict.fromkeys(model.vision_encoder.neck.convs, Spread()),
        decoder.conv_s0: Spread(),
        decoder.conv_s1: Spread(),
        decoder.upscale_conv2: Spread(),
        decoder.iou_prediction_head.proj_out: _IOUS,
        **dict.fromkeys(mixers, _MIXTURES),
    }

    def masks() -> torch.Tensor:
        found: torch.Tensor = model(
            pixel_values=pixels, input_points=points, input_labels=labels, multimask_output=True
        ).pred_masks
        return found

    with torch.no_grad():
        # One tensor in all published weights.
        places = model.shared_image_embedding.positional_embedding
        model.prompt_encoder.shared_embedding.positional_embedding.copy_(places)
        for layer in (decoder.upscale_conv1, decoder.upscale_conv2):  # else masks are chequered
            layer.weight.copy_(layer.weight.mean((2, 3), keepdim=True).expand_as(layer.weight))
        model.no_memory_embedding.normal_(std=0.1, generator=torch.Generator().manual_seed(seed))
        calibrate(model, masks, spreads)
        for layer, bias in ((decoder.upscale_conv2, 10.0), (decoder.conv_s0, 0.0)):
            _set_first(layer, bias)  # behind GELU: 10
        for layer in mixers:
            _set_first(layer, 0.0)
        for index, found in enumerate(_all_masks(model, pixels, points, labels).unbind(2)):
            _set_first(mixers[index], -quantile(found, 1 - _AREA) / 10.0)


def _all_masks(model: Any, pixels: torch.Tensor, points: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Return the logits of all four masks, (N, P, 4, h, w)."""
    decoder, kept = model.mask_decoder, []
    for mixed in (False, True):
        was, decoder.dynamic_multimask_via_stability = decoder.dynamic_multimask_via_stability, False
        kept.append(
            model(pixel_values=pixels, input_points=points, input_labels=labels, multimask_output=mixed).pred_masks
        )
        decoder.dynamic_multimask_via_stability = was
    return torch.cat(kept, dim=2)


def _set_first(layer: Any, bias: float) -> None:
    """Make the first output of `layer` the constant `bias`."""
    if isinstance(layer, nn.ConvTranspose2d):
        layer.weight[:, 0] = 0
    else:
        layer.weight[0] = 0
    layer.bias[0] = bias


def _prompts(side: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return points (2, 8, 2, 2) and their labels (2, 8, 2): boxes of several sizes, and points."""
    random = torch.Generator().manual_seed(seed)
    first = torch.rand(2, 8, 1, 2, generator=random) * 0.6 * side
    second = first + (0.1 + 0.3 * torch.rand(2, 8, 1, 2, generator=random)) * side
    labels = torch.tensor([2, 3]).repeat(2, 8, 1)
    labels[:, 4:, 0], labels[:, 4:, 1] = 1, 0
    return torch.cat((first, second), dim=2), labels
