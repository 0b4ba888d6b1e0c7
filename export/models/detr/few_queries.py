"""transformers' mask head of DETR in less memory: some queries at a time."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch

_AT_ONCE = 5


@contextmanager
def few_queries_at_once(mask_head: Any) -> Iterator[None]:
    """Let `mask_head`, a `DetrMaskHeadSmallConv`, take its queries in portions inside the block.

    It repeats the backbone's maps for each query, which is 10 GB for 100 queries of a picture of 800x1066. Queries do
    not see each other there, so that its own code gives the same for some of them at a time.
    """
    whole = mask_head.forward

    def in_portions(
        features: torch.Tensor, attention_masks: torch.Tensor, fpn_features: Sequence[torch.Tensor]
    ) -> torch.Tensor:
        # attention_masks: [batch_size, num_queries, num_heads, h, w]; what is returned: [batch_size * num_queries, ...]
        portions = [whole(features, some, fpn_features) for some in attention_masks.split(_AT_ONCE, dim=1)]
        batch = features.shape[0]
        masks = torch.cat([portion.unflatten(0, (batch, -1)) for portion in portions], dim=1)
        return masks.flatten(0, 1)

    mask_head.forward = in_portions
    try:
        yield
    finally:
        del mask_head.forward
