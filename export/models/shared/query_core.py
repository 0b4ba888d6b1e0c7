"""The heads of MaskFormer and its descendants: class logits of queries, and masks as products with pixel embeddings."""

from abc import ABC, abstractmethod

import torch
from torch import nn

from segrt.export.models.shared.query_selection import choose_queries, gather_queries

HEADS = (("class_logits", "class_logits"), ("mask_logits", "mask_logits"))


class QueryCore(nn.Module, ABC):
    """A network whose masks are products of query embeddings and pixel embeddings, with a choice of queries before.

    A family says how queries and pixel embeddings come about, and which modules make the heads of them.
    """

    takes_any_size = True

    def __init__(self, model: nn.Module, top_queries: int | None = None) -> None:
        """Share the modules of `model`; `top_queries` is how many queries are kept, None for all."""
        super().__init__()
        self.model = model
        self.top_queries = top_queries

    @abstractmethod
    def embeddings(self, pixels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return queries (N, Q, D) and pixel embeddings (N, C, h/4, w/4) of `pixels` (N, 3, h, w)."""

    @abstractmethod
    def class_layer(self) -> nn.Linear:
        """Return the layer from queries (N, Q, D) to class logits (N, Q, C+1)."""

    @abstractmethod
    def mask_layers(self) -> nn.Module:
        """Return the layers from queries (N, Q, D) to mask embeddings (N, Q, C)."""

    def last_norm(self) -> nn.LayerNorm | None:
        """Return the norm behind the last layer's queries alone, where masks of earlier layers steer attention."""
        return None

    def forward(self, pixels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return class logits (N, Q, C+1) and mask logits (N, Q, h/4, w/4) of `pixels` (N, 3, h, w)."""
        queries, pixel_embeddings = self.embeddings(pixels)
        class_logits = self.class_layer()(queries)
        if self.top_queries is not None:
            chosen = choose_queries(class_logits, self.top_queries)
            queries, class_logits = gather_queries(queries, chosen), gather_queries(class_logits, chosen)
        mask_embeddings = self.mask_layers()(queries)
        return class_logits, torch.einsum("bqc,bchw->bqhw", mask_embeddings, pixel_embeddings)
