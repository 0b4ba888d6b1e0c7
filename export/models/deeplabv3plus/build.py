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

from torch import nn

from segrt.export.family import Exportable, HeadParityLimit, ParityLimits, Request
from segrt.export.models.shared import smp_networks
from segrt.export.models.shared.semantic_head import semantic_head
from segrt.export.weights import checkpoint_labels, network_weights
from segrt.export.weights.random_weights import seeded
from segrt.runtime.preprocess.input_spec import Resize

_ENCODER_ALONE = "only the encoder's weights are published (ImageNet); decoder and head are random, so train it first"
_CLASSIFIERS = ("fc.*", "_fc.*", "classifier.*", "head.*", "conv_head.*")


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
        smp_networks.randomise(network, request, [network.decoder, network.segmentation_head])
    elif tensors is None:
        smp_networks.randomise(network, request, [network])
    else:
        network_weights.load(network, tensors, network_weights.name_of(request), optional=("classification_head.*",))
    mean, std = smp_networks.normalisation_of(options["encoder_name"])
    head = semantic_head(labels, options["classes"], align_corners=True)
    notes = _ENCODER_ALONE if encoder_alone else ""
    return Exportable(
        core=smp_networks.LowResolutionLogits(network).eval(),
        heads=(("logits", head.role),),
        labels=head.labels,
        decode=head.decode,
        source=network_weights.source(request, "segmentation-models-pytorch", "timm", notes=notes),
        resize=Resize(rule="stretch", interpolation="linear"),
        framework_result=lambda pixels, mask, geometry: smp_networks.framework_result(  # noqa: ARG005
            network, head.labels, pixels, geometry
        ),
        framework_pixels=lambda picture: smp_networks.framework_pixels(picture, request.size, options["encoder_name"]),
        mean=mean,
        std=std,
        # A hundred layers of Xception add up to four digits of the logits. The package enlarges in two steps, to the
        # input and to the picture: pixels at the edges of classes differ.
        limits=ParityLimits(head=HeadParityLimit(5e-3, 2e-3), agreement=0.98),
    )


def load_encoder(encoder: nn.Module, tensors: network_weights.Tensors | None, where: str) -> None:
    """Load `tensors`, the checkpoint of a classification network, into `encoder`: all but its last layer."""
    expected = encoder.state_dict()

    def rename(name: str) -> str:
        """Return the encoder's name; timm's wrapper that gives features puts blocks.0 under model.blocks_0, or not."""
        names = (name, f"model.{name}", "model." + re.sub(r"^(\w+)\.(\d+)\.", r"\1_\2.", name))
        return next((candidate for candidate in names if candidate in expected), name)

    network_weights.load(encoder, tensors, where, rename=rename, optional=_CLASSIFIERS)
