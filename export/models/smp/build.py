"""A network of segmentation_models_pytorch, from the picture to logits at its classifier's own resolution.

The package publishes no weights of whole networks: `--weights FILE` takes a state dict that training made, strictly,
and smp:FOLDER the weights beside the configuration. How pictures were normalised in training is in neither; what the
encoder was trained with is taken, as the package's own recipes do.
"""

from typing import Any

from segrt.export.family import Exportable, HeadParityLimit, ParityLimits, Request
from segrt.export.models.shared import smp_networks
from segrt.export.models.shared.semantic_head import semantic_head
from segrt.export.weights import network_weights
from segrt.export.weights.random_weights import seeded
from segrt.runtime.errors import SegrtError, one_line
from segrt.runtime.preprocess.input_spec import Resize
from segrt.runtime.results import Label
from segrt.runtime.results.labels.class_lists import make_label

_CLASSIFIERS = ("segmentation_head.0.weight", "segmentation_head.head.4.weight")  # DPT's is deeper
_LEFT_OUT = ("activation", "aux_params")


def build(request: Request) -> Exportable:
    """Return the network as it is exported; `overrides` are arguments of its class."""
    options = {**request.model.options, **request.overrides}
    architecture, encoder = options.pop("architecture"), options["encoder_name"]
    tensors = network_weights.tensors(request)
    channels = _channels(request, tensors)
    labels = _labels(request, channels)
    options |= {"classes": channels, "encoder_weights": None}
    network = _network(request, architecture, {name: options[name] for name in options if name not in _LEFT_OUT})
    if tensors is None:
        smp_networks.randomise(network, request, [network])
    else:
        network_weights.load(network, tensors, network_weights.name_of(request), optional=("classification_head.*",))
    mean, std = smp_networks.normalisation_of(encoder)
    enlarges = smp_networks.enlarges(network)
    head = semantic_head(labels, channels, align_corners=enlarges)
    return Exportable(
        core=smp_networks.LowResolutionLogits(network).eval(),
        heads=(("logits", head.role),),
        labels=head.labels,
        decode=head.decode,
        source=network_weights.source(
            request,
            "segmentation-models-pytorch",
            "timm",
            notes=f"pixels are normalised as the encoder {encoder} was trained, which the weights do not say",
        ),
        resize=Resize(rule="stretch", interpolation="linear"),
        framework_result=lambda pixels, mask, geometry: smp_networks.framework_result(  # noqa: ARG005
            network, head.labels, pixels, geometry
        ),
        framework_pixels=lambda picture: smp_networks.framework_pixels(picture, request.size, encoder),
        mean=mean,
        std=std,
        # The package enlarges in two steps, to the input and to the picture: results are compared at the input's size.
        limits=ParityLimits(head=HeadParityLimit(5e-3, 2e-3), at=request.size if enlarges else None),
    )


def _network(request: Request, architecture: str, options: dict[str, Any]) -> Any:
    """Return the network of random weights; raise SegrtError for what the package cannot build, with its reason."""
    import segmentation_models_pytorch
    import torch

    try:
        with seeded(request.weights.seed):
            network = getattr(segmentation_models_pytorch, architecture)(**options).eval()
        with torch.no_grad():
            network(torch.zeros(1, 3, *request.size, device=next(network.parameters()).device))
    except Exception as error:  # the package's and timm's errors are of many kinds
        height, width = request.size
        raise SegrtError(
            f"{request.model.name}: segmentation-models-pytorch cannot build it for {height}x{width} "
            f"({one_line(error, 200)}); choose another encoder, or another --size"
        ) from None
    return network


def _channels(request: Request, tensors: network_weights.Tensors | None) -> int:
    """Return how many logits a pixel has: those of the weights, of the folder's configuration, or of the labels."""
    for wanted in _CLASSIFIERS:
        for name, tensor in (tensors or {}).items():
            if name == wanted or name.endswith(f".{wanted}"):
                return len(tensor)
    given = request.model.options.get("classes")
    if isinstance(given, int) and given > 0:
        return given
    return len(request.labels) if request.labels is not None else 1


def _labels(request: Request, channels: int) -> tuple[Label, ...]:
    """Return the classes of `channels` logits: the user's; without them, one is an object."""
    labels = request.labels
    if labels is None:
        if channels > 1:
            raise SegrtError(
                f"{request.model.name}: its {channels} classes have no names in weights and configuration; "
                "give them with --labels FILE, one a line"
            )
        return (make_label(1, "object", isthing=False),)
    fits = len(labels) in (1, 2) if channels == 1 else len(labels) == channels
    if not fits:
        wanted = "1 class, or 2 with what is around it" if channels == 1 else f"{channels} classes"
        raise SegrtError(f"--labels: the weights of {request.model.name} have {wanted}, but got {len(labels)}")
    return labels
