"""Linear layers with an activation between them, as DETR's descendants have them for boxes, places and masks."""

import itertools
from collections.abc import Callable, Sequence

from torch import Tensor, nn
from torch.nn import functional as F


class Perceptron(nn.Module):
    """`layers`, of so many channels each; `activation` follows all but the last."""

    def __init__(self, channels: Sequence[int], activation: Callable[[Tensor], Tensor] = F.relu) -> None:
        """`channels` are those of the input and behind each layer."""
        super().__init__()
        self.activation = activation
        self.layers = nn.ModuleList(nn.Linear(*pair) for pair in itertools.pairwise(channels))

    def forward(self, rows: Tensor) -> Tensor:
        """Return rows (N, Q, outputs) of rows (N, Q, inputs)."""
        for index, layer in enumerate(self.layers):
            rows = layer(rows if index == 0 else self.activation(rows))
        return rows
