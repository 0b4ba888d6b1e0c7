"""YOSO from pixels to the class and mask logits of its queries."""

import re
from typing import Any

from torch import Tensor, nn

from segrt.export.models.shared.detectron2_resnet import ResNet
from segrt.export.models.shared.query_selection import choose_queries, gather_queries
from segrt.export.models.yoso.dynamic_head import HeadOptions, YOSOHead, mask_logits
from segrt.export.models.yoso.yoso_neck import YOSONeck

# What training alone needs: the classes of stages before the last one, the loss, and the picture's constants.
_OF_A_STAGE = re.compile(r"^yoso_head\.mask_heads\.(\d+)\.(?:cls_fcs|fc_cls)\.")
_UNUSED = re.compile(r"^(yoso_head\.criterion\..*|pixel_mean|pixel_std)$")


class YOSO(nn.Module):
    """The network; `top_queries` is how many queries are kept, None for all."""

    def __init__(self, options: HeadOptions, blocks: tuple[int, ...] = (3, 4, 6, 3), width: int = 64) -> None:
        """`blocks` and `width` are those of the ResNet."""
        super().__init__()
        self.top_queries: int | None = None
        self.backbone = ResNet(blocks, width=width)
        self.yoso_neck = YOSONeck(self.backbone.channels, options.channels)
        self.yoso_head = YOSOHead(options)

    def features(self, pixels: Tensor) -> Tensor:
        """Return the features (N, C, h/4, w/4) of pixels (N, 3, h, w)."""
        found: Tensor = self.yoso_neck(list(self.backbone(pixels).values()))
        return found

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Return class logits (N, Q, C + 1), "no object" last, and mask logits (N, Q, h/4, w/4) of (N, 3, h, w)."""
        features = self.features(pixels)
        queries, last = self.yoso_head(features), self.yoso_head.last
        classes: Any = last.fc_cls
        logits = classes(last.classified(queries)) / self.yoso_head.temperature
        if self.top_queries is not None:
            chosen = choose_queries(logits, self.top_queries)
            queries, logits = gather_queries(queries, chosen), gather_queries(logits, chosen)
        return logits, mask_logits(last.kernels(queries), features)


def our_name(name: str, stages: int) -> str | None:
    """Return the name here of a tensor that a checkpoint of the authors' calls `name`; None is left out."""
    stage = _OF_A_STAGE.match(name)
    if _UNUSED.match(name) or (stage is not None and int(stage[1]) < stages - 1):
        return None
    return name
