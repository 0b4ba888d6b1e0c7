"""transformers' mask head of DETR in less memory and time: some queries at a time, and nothing anew for each."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch

AT_ONCE = 5


@contextmanager
def few_queries_at_once(mask_head: Any) -> Iterator[None]:
    """Let `mask_head`, a `DetrMaskHeadSmallConv`, take its queries in portions inside the block.

    It repeats the backbone's maps for each query, which is 10 GB for 100 queries of a picture of 800x1066, and adapts
    each copy. Queries do not see each other there, so that its own code gives the same for some of them at a time, and
    the adapters the same for each copy. One picture is taken.
    """
    whole = mask_head.forward
    adapters = [stage.fpn_adapter for stage in mask_head.fpn_stages]

    def in_portions(
        features: torch.Tensor, attention_masks: torch.Tensor, fpn_features: Sequence[torch.Tensor]
    ) -> torch.Tensor:
        # attention_masks: [1, num_queries, num_heads, h, w]; what is returned: [num_queries, 1, H, W]
        if features.shape[0] != 1:
            raise ValueError(f"features must be of one picture, but have shape {list(features.shape)}")
        for adapter, level in zip(adapters, fpn_features, strict=True):
            adapter.forward = _the_same_for_each(adapter(level))
        try:
            # Of a level no more than its size counts now.
            sizes = [level[:, :1, :1, :1] for level in fpn_features]
            return torch.cat([whole(features, some, sizes) for some in torch.split(attention_masks, AT_ONCE, dim=1)])
        finally:
            for adapter in adapters:
                del adapter.forward

    mask_head.forward = in_portions
    try:
        yield
    finally:
        del mask_head.forward


def _the_same_for_each(adapted: torch.Tensor) -> Callable[[torch.Tensor], torch.Tensor]:
    """Return an adapter that gives `adapted` (1, C, h, w) for each copy of a level."""
    return lambda copies: adapted.expand(copies.shape[0], -1, -1, -1)
