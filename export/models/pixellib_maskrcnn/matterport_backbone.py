"""Matterport's ResNet and feature pyramid, from pixels to five maps at strides 4 to 64.

The ResNet is that of He et al. with biases in its convolutions and the stride in a block's first one. Layers bear
their names in Keras ("res4b_branch2a", "bn4b_branch2a", "fpn_c4p4").
"""

from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

EPSILON = 1e-3  # of Keras's normalisation layers


def named(*layers: tuple[str, nn.Module]) -> nn.Sequential:
    """Return `layers` one after the other, under their names."""
    return nn.Sequential(OrderedDict(layers))


class MatterportBlock(nn.Module):
    """Three convolutions beside a shortcut, which has one of its own where sizes change; `name` is "4b"."""

    def __init__(self, name: str, inputs: int, width: int, *, stride: int = 1, has_shortcut: bool = False) -> None:
        super().__init__()
        sizes = ((inputs, width, 1), (width, width, 3), (width, 4 * width, 1))
        layers: list[tuple[str, nn.Module]] = []
        for letter, (before, after, side) in zip("abc", sizes, strict=True):
            conv = nn.Conv2d(before, after, side, stride=stride if letter == "a" else 1, padding=side // 2)
            layers += [
                (f"res{name}_branch2{letter}", conv),
                (f"bn{name}_branch2{letter}", nn.BatchNorm2d(after, eps=EPSILON)),
                (f"relu_{letter}", nn.ReLU()),
            ]
        self.branch = named(*layers[:-1])
        self.shortcut: nn.Module | None = None
        if has_shortcut:
            self.shortcut = named(
                (f"res{name}_branch1", nn.Conv2d(inputs, 4 * width, 1, stride=stride)),
                (f"bn{name}_branch1", nn.BatchNorm2d(4 * width, eps=EPSILON)),
            )

    @property
    def last_norm(self) -> nn.BatchNorm2d:
        """The normalisation before the sum."""
        norm = self.branch[-1]
        if not isinstance(norm, nn.BatchNorm2d):
            raise TypeError(f"a block must end with a normalisation, but ends with {norm}")
        return norm

    def forward(self, features: Tensor) -> Tensor:
        """Return (N, 4 * width, h, w) / stride."""
        beside = features if self.shortcut is None else self.shortcut(features)
        return F.relu(self.branch(features) + beside)


class MatterportResNet(nn.Module):
    """ResNet of `blocks` in its four stages, (3, 4, 23, 3) for ResNet-101; `width` is that of the first, 64."""

    def __init__(self, blocks: Sequence[int], width: int) -> None:
        super().__init__()
        self.stem = named(
            ("conv1", nn.Conv2d(3, width, 7, stride=2, padding=3)),
            ("bn_conv1", nn.BatchNorm2d(width, eps=EPSILON)),
            ("relu", nn.ReLU()),
        )
        inputs, stages = width, []
        for stage, count in enumerate(blocks):
            inner = width << stage
            own = []
            for index in range(count):
                first = index == 0
                stride = 2 if first and stage > 0 else 1
                name = f"{stage + 2}{chr(ord('a') + index)}"
                own.append(MatterportBlock(name, inputs, inner, stride=stride, has_shortcut=first))
                inputs = 4 * inner
            stages.append(nn.Sequential(*own))
        self.stages = nn.ModuleList(stages)
        self.channels = [4 * (width << stage) for stage in range(len(blocks))]

    def forward(self, pixels: Tensor) -> list[Tensor]:
        """Return maps at strides 4, 8, 16 and 32 of `pixels` (N, 3, h, w), both sides multiples of 32."""
        # TensorFlow's "same" padding of an even side puts the odd row and column behind; nothing here is below 0.
        features = F.max_pool2d(F.pad(self.stem(pixels), (0, 1, 0, 1)), 3, stride=2)
        maps = []
        for stage in self.stages:
            features = stage(features)
            maps.append(features)
        return maps


class MatterportPyramid(nn.Module):
    """FPN with nearest enlarging, and every other cell of the coarsest map as a fifth one."""

    def __init__(self, inputs: Sequence[int], channels: int) -> None:
        super().__init__()
        levels = range(2, 2 + len(inputs))
        self.lateral = named(
            *(
                (f"fpn_c{level}p{level}", nn.Conv2d(count, channels, 1))
                for level, count in zip(levels, inputs, strict=True)
            )
        )
        self.output = named(*((f"fpn_p{level}", nn.Conv2d(channels, channels, 3, padding=1)) for level in levels))

    def forward(self, maps: Sequence[Tensor]) -> list[Tensor]:
        """Return five maps (N, channels, h, w), finest first."""
        merged = [conv(features) for conv, features in zip(self.lateral, maps, strict=True)]
        for fine in range(len(merged) - 2, -1, -1):
            merged[fine] = merged[fine] + F.interpolate(merged[fine + 1], scale_factor=2.0, mode="nearest")
        levels = [conv(features) for conv, features in zip(self.output, merged, strict=True)]
        return [*levels, levels[-1][:, :, ::2, ::2]]


class MatterportBackbone(nn.Module):
    """ResNet and pyramid."""

    def __init__(self, blocks: Sequence[int], width: int, channels: int) -> None:
        super().__init__()
        self.body = MatterportResNet(blocks, width)
        self.pyramid = MatterportPyramid(self.body.channels, channels)

    def forward(self, pixels: Tensor) -> list[Tensor]:
        """Return five maps (N, channels, h, w) at strides 4, 8, 16, 32 and 64 of `pixels` (N, 3, h, w)."""
        levels: list[Tensor] = self.pyramid(self.body(pixels))
        return levels


class MatterportHeads(nn.Module):
    """What looks at maps and at pooled boxes: of proposals, of classes and moves, of masks."""

    def __init__(self, classes: int, channels: int, hidden: int, proposal_hidden: int, pooled: int) -> None:
        super().__init__()
        self.pooled = pooled
        self.proposal = named(
            ("rpn_conv_shared", nn.Conv2d(channels, proposal_hidden, 3, padding=1)), ("relu", nn.ReLU())
        )
        self.proposal_scores = named(("rpn_class_raw", nn.Conv2d(proposal_hidden, 2 * ANCHORS_PER_CELL, 1)))
        self.proposal_moves = named(("rpn_bbox_pred", nn.Conv2d(proposal_hidden, 4 * ANCHORS_PER_CELL, 1)))
        self.box = named(
            ("mrcnn_class_conv1", nn.Conv2d(channels, hidden, pooled)),
            ("mrcnn_class_bn1", nn.BatchNorm2d(hidden, eps=EPSILON)),
            ("relu1", nn.ReLU()),
            ("mrcnn_class_conv2", nn.Conv2d(hidden, hidden, 1)),
            ("mrcnn_class_bn2", nn.BatchNorm2d(hidden, eps=EPSILON)),
            ("relu2", nn.ReLU()),
            ("flat", nn.Flatten()),
        )
        self.box_classes = named(("mrcnn_class_logits", nn.Linear(hidden, classes)))
        self.box_moves = named(("mrcnn_bbox_fc", nn.Linear(hidden, 4 * classes)))
        layers: list[tuple[str, nn.Module]] = []
        for step in range(1, 5):
            layers += [
                (f"mrcnn_mask_conv{step}", nn.Conv2d(channels, channels, 3, padding=1)),
                (f"mrcnn_mask_bn{step}", nn.BatchNorm2d(channels, eps=EPSILON)),
                (f"relu{step}", nn.ReLU()),
            ]
        deconv = nn.ConvTranspose2d(channels, channels, 2, stride=2)
        self.mask = named(*layers, ("mrcnn_mask_deconv", deconv), ("relu5", nn.ReLU()))
        self.mask_classes = named(("mrcnn_mask", nn.Conv2d(channels, classes, 1)))

    def proposals(self, levels: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """Return logits (A, 2), background and object, of anchors, and moves (A, 4) as dy, dx, log dh, log dw.

        `levels` are the pyramid's maps (1, C, h, w); the anchors come map by map, row by row, cell by cell.
        """
        scores, moves = [], []
        for level in levels:
            shared = self.proposal(level)
            scores.append(self.proposal_scores(shared)[0].permute(1, 2, 0).reshape(-1, 2))
            moves.append(self.proposal_moves(shared)[0].permute(1, 2, 0).reshape(-1, 4))
        return torch.cat(scores), torch.cat(moves)

    def boxes(self, pooled: Tensor) -> tuple[Tensor, Tensor]:
        """Return class logits (P, K), the background first, and moves (P, K, 4) of `pooled` features (P, C, m, m)."""
        features = self.box(pooled)
        return self.box_classes(features), self.box_moves(features).reshape(len(features), -1, 4)

    def own_masks(self, pooled: Tensor, class_ids: Tensor) -> Tensor:
        """Return mask probabilities (D, 2 m, 2 m) of `pooled` (D, C, m, m), each of its class in `class_ids` (D,)."""
        features = self.mask(pooled)
        last: Any = self.mask_classes[0]
        kernels = last.weight.flatten(1).index_select(0, class_ids)
        logits = (
            torch.matmul(kernels[:, None], features.flatten(2))[:, 0] + last.bias.index_select(0, class_ids)[:, None]
        )
        return torch.sigmoid(logits).reshape(-1, *features.shape[2:])


ANCHORS_PER_CELL = 3
