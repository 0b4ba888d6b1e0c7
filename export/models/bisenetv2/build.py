"""BiSeNetV2 as CoinCheung/BiSeNet uses it: each data set with its own mean and deviation, sides multiples of 32.

Its checkpoints hold four heads that training adds; they are left out.
"""

from segrt.export.family import Exportable, Request
from segrt.export.models.bisenetv2.bilateral_network import BiSeNetV2
from segrt.export.models.shared.convolutional_semantic import Recipe, exportable
from segrt.export.weights.checkpoint_labels import labels as labels_of
from segrt.export.weights.random_weights import seeded

# Mean and standard deviation of the pixels, RGB, by the class list of the published weights.
_STATISTICS = {
    "cityscapes": ((0.3257, 0.3690, 0.3223), (0.2112, 0.2148, 0.2115)),
    "ade20k": ((0.49343230, 0.46819794, 0.43106043), (0.25680755, 0.25506608, 0.27422913)),
}
_UNUSED = ("aux2.*", "aux3.*", "aux4.*", "aux5_4.*")


def build(request: Request) -> Exportable:
    """Return BiSeNetV2 for the request; it has no `overrides`."""
    labels = labels_of(request)
    with seeded(request.weights.seed):
        network = BiSeNetV2(len(labels))
    mean, std = _STATISTICS[request.model.labels]
    recipe = Recipe(mean=mean, std=std, unused=_UNUSED)
    return exportable(request, network, network.head.conv_out[1], labels, recipe)
