"""PIDNet as its authors use it: pictures as they are, logits enlarged with aligned corners.

Their checkpoints hold the two heads that training adds, and the losses' class weights; both are left out.
"""

from segrt.export.family import Exportable, Request
from segrt.export.models.pidnet.pid_network import PIDNet, PIDNetOptions
from segrt.export.models.shared.convolutional_semantic import Recipe, exportable
from segrt.export.weights.checkpoint_labels import labels as labels_of
from segrt.export.weights.random_weights import seeded

_UNUSED = ("seghead_p.*", "seghead_d.*")
_LOSSES = ("sem_loss.", "bd_loss.", "loss.")


def build(request: Request) -> Exportable:
    """Return PIDNet for the request; `overrides` are fields of `PIDNetOptions`."""
    labels = labels_of(request)
    with seeded(request.weights.seed):
        network = PIDNet(PIDNetOptions(classes=len(labels), **{**request.model.options, **request.overrides}))
    recipe = Recipe(align_corners=True, unused=_UNUSED, rename=without_losses)
    return exportable(request, network, network.final_layer.conv2, labels, recipe)


def without_losses(name: str) -> str | None:
    """Return the network's name of a tensor of the training module, which holds the network and the losses."""
    return None if name.startswith(_LOSSES) else name.removeprefix("model.")
