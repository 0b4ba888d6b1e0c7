"""torchvision's semantic networks, from the picture to logits at 1/8 or 1/16 of its size.

torchvision enlarges the logits bilinearly to the input's size, which is left to the decode rule. Published weights were
trained on pictures that were resized so that the shorter side has 520 pixels (bilinear, antialiased).
"""

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from torchvision.models import segmentation
from torchvision.transforms._presets import SemanticSegmentation

from segrt.export.family import Exportable, Request
from segrt.export.models.shared.framework_results import semantic_result
from segrt.export.models.shared.semantic_head import classes_of, semantic_head
from segrt.export.weights import network_weights
from segrt.export.weights.checkpoint_labels import labels
from segrt.export.weights.random_weights import Spread, calibrate, calibration_pixels, calm, seeded
from segrt.runtime.files.images import Picture
from segrt.runtime.preprocess.geometry import Geometry
from segrt.runtime.preprocess.input_spec import Resize
from segrt.runtime.results import Label, SemanticResult

_RESIZE = Resize(rule="stretch", interpolation="linear", antialias=True)


class LowResolutionLogits(nn.Module):
    """A torchvision segmentation network without its last enlargement: pixels → logits (N, C, h, w)."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.backbone: Any = network.backbone
        self.classifier: Any = network.classifier
        self.takes_pyramid = isinstance(network, segmentation.lraspp.LRASPP)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Return the logits at the classifier's own resolution."""
        features = self.backbone(pixels)
        logits: torch.Tensor = self.classifier(features if self.takes_pyramid else features["out"])
        return logits


def build(request: Request) -> Exportable:
    """Return the network with the request's weights."""
    classes = labels(request)
    options = {"weights": None, "weights_backbone": None, "num_classes": len(classes), **request.overrides}
    with seeded(request.weights.seed):
        network: nn.Module = getattr(segmentation, request.model.options["function"])(**options)
    network.eval()
    tensors = network_weights.tensors(request)
    network_weights.load(network, tensors, network_weights.name_of(request), optional=("aux_classifier.*",))
    if tensors is None:
        _randomise(network, request)
    head = semantic_head(classes, options["num_classes"])
    return Exportable(
        core=LowResolutionLogits(network).eval(),
        heads=(("logits", head.role),),
        labels=head.labels,
        decode=head.decode,
        source=network_weights.source(request, "torchvision"),
        resize=_RESIZE,
        framework_result=lambda pixels, mask, geometry: _framework_result(network, head.labels, pixels, geometry),  # noqa: ARG005
        framework_pixels=lambda picture: _framework_pixels(picture, request.size),
    )


def _randomise(network: Any, request: Request) -> None:
    """Give every class a share of the picture, whatever the random weights are."""
    heads = network.classifier
    last = [heads.low_classifier, heads.high_classifier] if hasattr(heads, "low_classifier") else [heads[-1]]
    pixels = calibration_pixels(request.size, seed=request.weights.seed)
    if "resnet" in request.model.options["function"]:
        calm(network.backbone)
    calibrate(network, lambda: network(pixels), {layer: Spread(std=2.0) for layer in last})


def _framework_result(
    network: Any, classes: tuple[Label, ...], pixels: torch.Tensor, geometry: Geometry
) -> SemanticResult:
    """Return what torchvision's own way gives: the unmodified network, its enlargement of the logits, argmax.

    torchvision enlarges once, to the size of the input; here the same enlargement goes to the size of the source.
    """
    enlarged: list[torch.Tensor] = []

    def enlarge(module: nn.Module, inputs: Any, logits: torch.Tensor) -> None:  # noqa: ARG001 (torch's signature)
        enlarged.append(nn.functional.interpolate(logits, geometry.source_size, mode="bilinear", align_corners=False))

    handle = network.classifier.register_forward_hook(enlarge)
    try:
        network(pixels)
    finally:
        handle.remove()
    return semantic_result(classes_of(enlarged[0][0]), classes)


def _framework_pixels(picture: Picture, size: tuple[int, int]) -> npt.NDArray[np.float32]:
    """Return what torchvision's published transform makes of `picture`, for both sides instead of the shorter one."""
    transform = SemanticSegmentation(resize_size=None)
    transform.resize_size = list(size)
    rgb = torch.from_numpy(np.ascontiguousarray(picture[..., ::-1])).permute(2, 0, 1)
    pixels: npt.NDArray[np.float32] = transform(rgb).numpy()
    return pixels
