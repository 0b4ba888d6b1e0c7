"""DeepLabV3+ of segmentation_models_pytorch, from the picture to logits at a quarter of its size.

Its Xception-65 is the classic semantic network for embedded cameras. No weights of the whole network are published in
this layout: those of its authors are TensorFlow's. Published are encoders alone, trained on ImageNet: with
`--weights pretrained` decoder and head are random, and classes mean nothing before training. `--weights FILE` takes a
state dict of `segmentation_models_pytorch.DeepLabV3Plus` with the same encoder.

The logits come at a quarter of the input's size; the package enlarges them with aligned corners, and so does the
decode rule.
"""

import re
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from segrt.export.family import Exportable, HeadParityLimit, ParityLimits, Request, Size
from segrt.export.models.shared.framework_results import semantic_result
from segrt.export.models.shared.semantic_head import classes_of, semantic_head
from segrt.export.weights import checkpoint_labels, network_weights
from segrt.export.weights.random_weights import Spread, calibrate, calibration_pixels, seeded
from segrt.runtime.files.images import Picture
from segrt.runtime.preprocess.geometry import Geometry
from segrt.runtime.preprocess.input_spec import Channels, Resize
from segrt.runtime.results import Label, SemanticResult

_IMAGENET: tuple[Channels, Channels] = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
_ENCODER_ALONE = "only the encoder's weights are published (ImageNet); decoder and head are random, so train it first"
_CLASSIFIERS = ("fc.*", "_fc.*", "classifier.*", "head.*", "conv_head.*")


class LowResolutionLogits(nn.Module):
    """DeepLabV3+ without the last enlargement: pixels (N, 3, h, w) → logits (N, C, h/4, w/4)."""

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.encoder = network.encoder
        self.decoder = network.decoder
        self.classifier = network.segmentation_head[0]

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Return the logits at the classifier's own resolution."""
        logits: torch.Tensor = self.classifier(self.decoder(self.encoder(pixels)))
        return logits


def build(request: Request) -> Exportable:
    """Return DeepLabV3+; `overrides` are arguments of `segmentation_models_pytorch.DeepLabV3Plus`."""
    import segmentation_models_pytorch

    encoder_alone = request.weights.kind == "pretrained"
    known = checkpoint_labels.built_in if encoder_alone else checkpoint_labels.labels
    labels = request.labels or known(request)
    options = {**request.model.options, "classes": len(labels), "encoder_weights": None, **request.overrides}
    with seeded(request.weights.seed):
        network: Any = segmentation_models_pytorch.DeepLabV3Plus(**options).eval()
    tensors = network_weights.tensors(request)
    if encoder_alone:
        load_encoder(network.encoder, tensors, network_weights.name_of(request))
        _randomise(network, request, [network.decoder, network.segmentation_head])
    elif tensors is None:
        _randomise(network, request, [network])
    else:
        network_weights.load(network, tensors, network_weights.name_of(request), optional=("classification_head.*",))
    mean, std = normalisation_of(options["encoder_name"])
    head = semantic_head(labels, options["classes"], align_corners=True)
    notes = _ENCODER_ALONE if encoder_alone else ""
    return Exportable(
        core=LowResolutionLogits(network).eval(),
        heads=(("logits", head.role),),
        labels=head.labels,
        decode=head.decode,
        source=network_weights.source(request, "segmentation-models-pytorch", "timm", notes=notes),
        resize=Resize(rule="stretch", interpolation="linear"),
        framework_result=lambda pixels, mask, geometry: _framework_result(network, head.labels, pixels, geometry),  # noqa: ARG005
        framework_pixels=lambda picture: _framework_pixels(picture, request.size, options["encoder_name"]),
        mean=mean,
        std=std,
        # A hundred layers of Xception add up to four digits of the logits. The package enlarges in two steps, to the
        # input and to the picture: pixels at the edges of classes differ.
        limits=ParityLimits(head=HeadParityLimit(5e-3, 2e-3), agreement=0.98),
    )


def normalisation_of(encoder: str) -> tuple[Channels, Channels]:
    """Return mean and standard deviation that `encoder` was trained with: timm says so, the others are ImageNet's."""
    if not encoder.startswith("tu-"):
        return _IMAGENET
    from segmentation_models_pytorch.encoders import get_preprocessing_params

    try:
        published = get_preprocessing_params(encoder)
    except ValueError:  # an encoder without published weights
        return _IMAGENET
    red_mean, green_mean, blue_mean = published["mean"]
    red_std, green_std, blue_std = published["std"]
    return (red_mean, green_mean, blue_mean), (red_std, green_std, blue_std)


def load_encoder(encoder: nn.Module, tensors: network_weights.Tensors | None, where: str) -> None:
    """Load `tensors`, the checkpoint of a classification network, into `encoder`: all but its last layer."""
    expected = encoder.state_dict()

    def rename(name: str) -> str:
        """Return the encoder's name; timm's wrapper that gives features puts blocks.0 under model.blocks_0, or not."""
        names = (name, f"model.{name}", "model." + re.sub(r"^(\w+)\.(\d+)\.", r"\1_\2.", name))
        return next((candidate for candidate in names if candidate in expected), name)

    network_weights.load(encoder, tensors, where, rename=rename, optional=_CLASSIFIERS)


def _randomise(network: Any, request: Request, parts: list[nn.Module]) -> None:
    """Give the random layers of `parts` statistics that spread the classes over a picture."""
    pixels = calibration_pixels(request.size, count=2, seed=request.weights.seed)
    calibrate(nn.ModuleList(parts), lambda: network(pixels), {network.segmentation_head[0]: Spread(std=2.0)})


def _framework_result(
    network: nn.Module, labels: tuple[Label, ...], pixels: torch.Tensor, geometry: Geometry
) -> SemanticResult:
    """Return what the package's published recipes do: logits at the input's size, enlarged to the picture's, argmax.

    One class is cut where its probability is above 0.5, the package's own example.
    """
    with torch.no_grad():
        logits = network(pixels)
    enlarged = nn.functional.interpolate(logits, geometry.source_size, mode="bilinear", align_corners=False)
    return semantic_result(classes_of(enlarged[0]), labels)


def _framework_pixels(picture: Picture, size: Size, encoder: str) -> npt.NDArray[np.float32]:
    """Return the package's preprocessing of a picture; it resizes nothing itself, its recipes bilinearly, as here."""
    from segmentation_models_pytorch.encoders import preprocess_input

    rgb = torch.from_numpy(np.ascontiguousarray(picture[..., ::-1])).permute(2, 0, 1)[None].float()
    resized = nn.functional.interpolate(rgb, size, mode="bilinear", align_corners=False)[0].permute(1, 2, 0).numpy()
    mean, std = normalisation_of(encoder)
    pixels = preprocess_input(resized, mean=mean, std=std, input_space="RGB", input_range=[0, 1])
    return np.ascontiguousarray(pixels.transpose(2, 0, 1), np.float32)
