"""ESPNetv2 as EdgeNets uses it: pictures shrunken by Pillow, logits enlarged with aligned corners."""

from segrt.export.family import Exportable, Request
from segrt.export.models.espnetv2.eesp_network import CHANNELS
from segrt.export.models.espnetv2.esp_decoder import ESPNetv2, ESPNetv2Options
from segrt.export.models.shared.convolutional_semantic import Recipe, exportable
from segrt.export.weights import checkpoint_labels
from segrt.export.weights.random_weights import seeded
from segrt.runtime.errors import SegrtError
from segrt.runtime.results import Label

# Cityscapes' label pictures have 0 for what belongs to no class.
_BACKGROUND = Label("background", 0, False, (0, 0, 0))


def build(request: Request) -> Exportable:
    """Return ESPNetv2 for the request; `overrides` are fields of `ESPNetv2Options`."""
    labels = request.labels or (*checkpoint_labels.built_in(request), _BACKGROUND)
    if len(labels) < 2:
        raise SegrtError(f"{request.model.name}: must have at least 2 classes, but --labels names {len(labels)}")
    options = ESPNetv2Options(classes=len(labels), **{**request.model.options, **request.overrides})
    if options.scale not in CHANNELS:
        known = ", ".join(f"{scale:g}" for scale in CHANNELS)
        raise SegrtError(f"{request.model.name}: scale must be one of {known}, but got {options.scale:g}")
    with seeded(request.weights.seed):
        network = ESPNetv2(options)
    recipe = Recipe(antialias=True, align_corners=True)
    return exportable(request, network, network.get_submodule("bu_dec_l4.merge_layer.3"), labels, recipe)
