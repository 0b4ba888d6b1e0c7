"""PixelLib's DeepLabV3+, from picture and valid mask to logits at a quarter of the input.

PixelLib fits a picture into 512x512 with Pillow's bicubic filter, brings it to -1 to 1 and pads with zeros below and to
the right; zero is no grey level there (127.5), so that the graph sets it with the valid mask. It enlarges the logits to
512x512 with aligned corners, takes the best class, cuts off the padding, and brings the classes' numbers to the
picture's size. The decode rule interpolates logits at the picture's own pixels instead: the same for pictures of the
network's size, and finer edges for larger ones, where PixelLib (with Pillow 7 and later) blends classes' numbers.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from torch.nn import functional as F

from segrt.export.family import Exportable, HeadParityLimit, ParityLimits, Request, Size
from segrt.export.models.pixellib_deeplab.xception_deeplab import CLASSIFIER, PixelLibDeepLab, XceptionOptions
from segrt.export.models.shared.framework_results import semantic_result
from segrt.export.models.shared.semantic_head import semantic_head
from segrt.export.weights import checkpoint_labels, network_weights
from segrt.export.weights.keras_weights import load_keras
from segrt.export.weights.random_weights import Spread, calibrate, calibration_pixels, calm, seeded
from segrt.runtime.errors import SegrtError
from segrt.runtime.files.images import Picture
from segrt.runtime.preprocess.geometry import Geometry
from segrt.runtime.preprocess.input_spec import Channels, Resize
from segrt.runtime.results import Label, SemanticResult

MEAN: Channels = (0.5, 0.5, 0.5)
STD: Channels = (0.5, 0.5, 0.5)
# bonlime's weights of Pascal VOC and Cityscapes, and what PixelLib makes without weights of its own.
_OTHER_NAMES = {"custom_logits_semantic": CLASSIFIER}
_RESIDUAL_GAIN = 0.15


def build(request: Request) -> Exportable:
    """Return PixelLib's network as it is exported; `overrides` are fields of `XceptionOptions`."""
    labels = request.labels or checkpoint_labels.built_in(request)
    if len(labels) < 2:
        raise SegrtError(f"{request.model.name}: must have at least 2 classes, but --labels names {len(labels)}")
    with seeded(request.weights.seed):
        network = PixelLibDeepLab(XceptionOptions(classes=len(labels), **request.overrides)).eval()
    path = network_weights.checkpoint_file(request, kinds=".h5")
    if path is None:
        _randomise(network, request.size, request.weights.seed)
    else:
        load_keras(network, path, other_names=_OTHER_NAMES)
    head = semantic_head(labels, len(labels), align_corners=True)
    return Exportable(
        core=network,
        heads=(("logits", head.role),),
        labels=head.labels,
        decode=head.decode,
        source=network_weights.source(request),
        resize=Resize(
            rule="letterbox",
            interpolation="cubic",
            antialias=True,
            pad=(128, 128, 128),
            pad_side="bottom_right",
            rounding="floor",
        ),
        framework_result=_FrameworkResult(network, head.labels),
        framework_pixels=lambda picture: framework_pixels(picture, request.size),
        mean=MEAN,
        std=STD,
        valid_mask=True,
        pad_sides=("bottom_right",),
        limits=ParityLimits(head=HeadParityLimit(1e-3, 1e-3), agreement=0.999, at=request.size),
    )


def framework_pixels(picture: Picture, size: Size) -> npt.NDArray[np.float32]:
    """Return the network input (3, h, w) that PixelLib makes of `picture`, uint8 BGR (H, W, 3)."""
    from PIL import Image

    ratio = min(size[0] / picture.shape[0], size[1] / picture.shape[1])
    height, width = int(ratio * picture.shape[0]), int(ratio * picture.shape[1])
    rgb = Image.fromarray(np.ascontiguousarray(picture[..., ::-1]))
    resized = np.asarray(rgb.resize((width, height), Image.Resampling.BICUBIC), np.float32)
    pixels = np.zeros((3, *size), np.float32)
    pixels[:, :height, :width] = (resized / 127.5 - 1).transpose(2, 0, 1)
    return pixels


class _FrameworkResult:
    """PixelLib's own way: logits at the network's size, the best class, without padding, at the picture's size."""

    def __init__(self, network: nn.Module, labels: tuple[Label, ...]) -> None:
        self.network = network
        self._labels = labels

    def __call__(self, pixels: torch.Tensor, valid_mask: torch.Tensor | None, geometry: Geometry) -> SemanticResult:
        """Return the classes of `pixels` (1, 3, h, w); those of a larger picture are the nearest pixel's."""
        with torch.no_grad():
            logits = self.network(pixels, valid_mask)
            classes = F.interpolate(logits, geometry.network_size, mode="bilinear", align_corners=True)[0].argmax(0)
        top, left, bottom, right = (int(edge) for edge in geometry.window)
        shown = classes[None, None, top:bottom, left:right].float()
        return semantic_result(F.interpolate(shown, geometry.source_size, mode="nearest-exact")[0, 0], self._labels)


def _randomise(network: PixelLibDeepLab, size: Size, seed: int) -> None:
    """Give random layers statistics that spread the classes over a picture."""
    if network.classifier.weight.is_meta:  # only counted, see export/convert/figures.py
        return
    for unit in network.backbone.middle:
        last: Any = unit.get_submodule("third")
        nn.init.constant_(last[-1].weight, _RESIDUAL_GAIN)
    calm(network)
    pixels = calibration_pixels(size, MEAN, STD, count=2, seed=seed)
    mask = torch.ones(2, *size, dtype=torch.bool)
    calibrate(network, lambda: network(pixels, mask), {network.classifier: Spread(std=2.0)})
