"""Fast-SCNN as Tramac/Fast-SCNN-pytorch uses it: logits enlarged with aligned corners.

Its training may add a head, which is left out where a checkpoint holds it.
"""

from segrt.export.family import Exportable, Request
from segrt.export.models.fast_scnn.fast_network import FastSCNN
from segrt.export.models.shared.convolutional_semantic import Recipe, exportable
from segrt.export.weights.checkpoint_labels import labels as labels_of
from segrt.export.weights.random_weights import seeded


def build(request: Request) -> Exportable:
    """Return Fast-SCNN for the request; it has no `overrides`."""
    labels = labels_of(request)
    with seeded(request.weights.seed):
        network = FastSCNN(len(labels))
    recipe = Recipe(align_corners=True, unused=("auxlayer.*",))
    return exportable(request, network, network.classifier.conv[1], labels, recipe)
