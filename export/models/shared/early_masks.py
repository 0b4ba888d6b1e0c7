"""Keeps rounding from steering masked attention in random networks.

Mask2Former and OneFormer mask the attention of each layer with the masks of the layer before, cut at 0. A cell whose
logit is 0 up to rounding falls to either side, and of the few cells that a query sees one more is another result.
Masks that cover a twentieth of a picture have such a cell in every second picture, a million cells being cut. So the
last layer's queries get a mark of their own, by which their masks are of that size; earlier masks are nearly empty
(queries that see nothing see everything), and cells near 0 are as rare as those above it.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from segrt.export.models.shared.query_core import QueryCore

EARLY_AREA = 3e-5  # of a picture
MARKED = 2  # hidden units
_MARK = 2.0
_NARROWEST = 0.05


def linear_layers(module: nn.Module) -> list[nn.Linear]:
    """Return the linear layers in `module`, in order."""
    return [layer for layer in module.modules() if isinstance(layer, nn.Linear)]


def inputs_of(layer: nn.Linear, run: Callable[[], object]) -> list[torch.Tensor]:
    """Return what `layer` is given while `run` runs, call by call; the last layer's queries only once."""
    found: list[torch.Tensor] = []
    hook: Any = layer.register_forward_pre_hook(lambda module, given: found.append(given[0]))  # noqa: ARG005
    with hook:
        run()
    return [given for given in found[:-1] if not torch.equal(given, found[-1])] + found[-1:]


@torch.no_grad()
def mark_the_last(core: QueryCore, layers: list[nn.Linear], pixels: torch.Tensor) -> bool:
    """Let the first `MARKED` hidden units of the mask `layers` differ by 1 for the last queries, by 0 for earlier ones.

    False, and nothing is changed, for networks whose masks do not steer attention.
    """
    norm = core.last_norm()
    if norm is None or len(layers) < 2:
        return False
    signs = 1.0 - 2.0 * (torch.arange(norm.bias.numel()) % 2)  # of mean 0: a mean would be taken away by the next norm
    norm.bias.add_(_MARK * signs)
    rule = signs / signs.numel()
    *early, last = (hidden @ rule for hidden in inputs_of(layers[0], lambda: core(pixels)))
    begin = max((float(values.max()) for values in early), default=0.0)
    width = max(float(torch.quantile(last.flatten(), 0.01)) - begin, _NARROWEST)
    for unit in range(MARKED):
        layers[0].weight[unit] = rule / width
        layers[0].bias[unit] = -begin / width - unit
        for layer in layers[1:-1]:
            layer.weight[unit] = 0
            layer.weight[unit, unit] = 1
            layer.bias[unit] = 0
    return True


def lift_early_thresholds(last: nn.Linear, difference: float) -> None:
    """Let the first output of `last`, a mask's threshold, be lower by `difference` for all queries but the last's."""
    last.weight[0, 0], last.weight[0, 1] = difference, -difference
    last.bias[0] -= difference
