"""DDRNet as its authors use it: pictures as they are, logits enlarged without aligned corners, as everywhere in it.

Their checkpoints hold a head that training adds, and the loss's class weights; both are left out.
"""

from segrt.export.family import Exportable, Request
from segrt.export.models.ddrnet.ddr_network import DDRNet, DDRNetOptions
from segrt.export.models.shared.convolutional_semantic import Recipe, exportable
from segrt.export.weights.checkpoint_labels import labels as labels_of
from segrt.export.weights.random_weights import seeded

_UNUSED = ("seghead_extra.*",)


def build(request: Request) -> Exportable:
    """Return DDRNet for the request; `overrides` are fields of `DDRNetOptions`."""
    labels = labels_of(request)
    with seeded(request.weights.seed):
        network = DDRNet(DDRNetOptions(classes=len(labels), **{**request.model.options, **request.overrides}))
    recipe = Recipe(unused=_UNUSED, rename=without_loss)
    return exportable(request, network, network.final_layer.conv2, labels, recipe)


def without_loss(name: str) -> str | None:
    """Return the network's name of a tensor of the training module, which holds the network and the loss."""
    return None if name.startswith("loss.") else name.removeprefix("model.")
