"""What the networks of segmentation_models_pytorch share: raw logits, pixels, the result that its recipes make.

Encoder and decoder end in a convolution. Behind it some networks enlarge their logits with aligned corners, which is
left to the decode rule, and some have a sigmoid or a softmax, which no argmax and no threshold of the rule needs.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from segrt.export.family import IMAGENET_MEAN, IMAGENET_STD, Request, Size
from segrt.export.models.shared.framework_results import semantic_result
from segrt.export.models.shared.semantic_head import classes_of
from segrt.export.weights.random_weights import Spread, calibrate, calibration_pixels
from segrt.runtime.files.images import Picture
from segrt.runtime.preprocess.geometry import Geometry
from segrt.runtime.preprocess.input_spec import Channels
from segrt.runtime.results import Label, SemanticResult

_IMAGENET: tuple[Channels, Channels] = (IMAGENET_MEAN, IMAGENET_STD)
_HALF: tuple[Channels, Channels] = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
_DPN: tuple[Channels, Channels] = ((124 / 255, 117 / 255, 104 / 255), (1 / (0.0167 * 255),) * 3)
# Encoders of the package's own whose published weights were trained otherwise than ImageNet's usual way.
_OTHERS = {"inception": _HALF, "xception": _HALF, "timm-tf_efficientnet_lite": _HALF, "dpn": _DPN}


class LowResolutionLogits(nn.Module):
    """A network without its last enlargement and activation: pixels (N, 3, h, w) → logits (N, C, h/k, w/k)."""

    def __init__(self, network: Any) -> None:
        """Share the modules of `network`."""
        super().__init__()
        self.encoder = network.encoder
        self.decoder = network.decoder
        self.classifier = classifier_of(network)
        self.has_prefix_tokens = _is_dpt(network)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Return the logits at the classifier's own resolution."""
        features = self.encoder(pixels)
        decoded = self.decoder(*features) if self.has_prefix_tokens else self.decoder(features)
        logits: torch.Tensor = self.classifier(decoded)
        return logits


def classifier_of(network: Any) -> nn.Module:
    """Return the last layers of `network` before it enlarges its logits."""
    head = network.segmentation_head
    layers: nn.Module = head.head if _is_dpt(network) else head[0]
    return layers


def enlarges(network: Any) -> bool:
    """Tell whether `network` enlarges its logits to the input's size, with aligned corners."""
    return _is_dpt(network) or not isinstance(network.segmentation_head[1], nn.Identity)


def normalisation_of(encoder: str) -> tuple[Channels, Channels]:
    """Return mean and standard deviation that `encoder` was trained with.

    timm says so of its own ("tu-" before the name). Those that the package wrote are ImageNet's, but for a few.
    """
    if not encoder.startswith("tu-"):
        return next((known for prefix, known in _OTHERS.items() if encoder.startswith(prefix)), _IMAGENET)
    from segmentation_models_pytorch.encoders import get_preprocessing_params

    try:
        published = get_preprocessing_params(encoder)
    except ValueError:  # an encoder without published weights
        return _IMAGENET
    red_mean, green_mean, blue_mean = published["mean"]
    red_std, green_std, blue_std = published["std"]
    return (red_mean, green_mean, blue_mean), (red_std, green_std, blue_std)


def randomise(network: Any, request: Request, parts: list[nn.Module]) -> None:
    """Give the random layers of `parts` statistics that spread the classes over a picture."""
    last = [layer for layer in classifier_of(network).modules() if isinstance(layer, nn.Conv2d)][-1]
    pixels = calibration_pixels(request.size, count=2, seed=request.weights.seed)
    calibrate(nn.ModuleList(parts), lambda: network(pixels), {last: Spread(std=2.0)})


def framework_result(
    network: nn.Module, labels: tuple[Label, ...], pixels: torch.Tensor, geometry: Geometry
) -> SemanticResult:
    """Return what the package's published recipes do: logits at the input's size, enlarged to the picture's, argmax.

    One class is cut where its probability is above 0.5, the package's own example.
    """
    with torch.no_grad():
        logits = network(pixels)
    enlarged = nn.functional.interpolate(logits, geometry.source_size, mode="bilinear", align_corners=False)
    return semantic_result(classes_of(enlarged[0]), labels)


def framework_pixels(picture: Picture, size: Size, encoder: str) -> npt.NDArray[np.float32]:
    """Return the package's preprocessing of a picture; it resizes nothing itself, its recipes bilinearly, as here."""
    from segmentation_models_pytorch.encoders import preprocess_input

    rgb = torch.from_numpy(np.ascontiguousarray(picture[..., ::-1])).permute(2, 0, 1)[None].float()
    resized = nn.functional.interpolate(rgb, size, mode="bilinear", align_corners=False)[0].permute(1, 2, 0).numpy()
    mean, std = normalisation_of(encoder)
    pixels = preprocess_input(resized, mean=mean, std=std, input_space="RGB", input_range=[0, 1])
    return np.ascontiguousarray(pixels.transpose(2, 0, 1), np.float32)


def _is_dpt(network: Any) -> bool:
    return type(network).__name__ == "DPT"
