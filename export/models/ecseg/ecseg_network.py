"""ECSeg from pixels to the class and mask logits of its queries."""

import re

from torch import Tensor, nn

from segrt.export.models.ecseg.compact_vit import Backbone
from segrt.export.models.ecseg.ec_decoder import Decoder
from segrt.export.models.ecseg.ec_sizes import Config
from segrt.export.models.ecseg.hybrid_encoder import HybridEncoder
from segrt.export.models.shared.query_selection import gather_queries

# What training alone needs, what follows from the size of the input, and what is there twice.
_UNUSED = re.compile(
    r"^decoder\.(denoising_class_embed\.|anchors$|valid_mask$|decoder\.(up|reg_scale)$|decoder\.segmentation_head\.blocks\.[1-9])"
)
_OF_A_LAYER = re.compile(r"^decoder\.(?:dec_score_head|decoder\.lqe_layers)\.(\d+)\.")


class ECSeg(nn.Module):
    """The network; `top_queries` is how many queries are kept, None for all."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.top_queries: int | None = None
        self.backbone = Backbone(config)
        self.encoder = HybridEncoder(config)
        self.decoder = Decoder(config)

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Return class logits (N, Q, C), for sigmoid, and mask logits (N, Q, h/4, w/4) of pixels (N, 3, h, w)."""
        maps = self.encoder(self.backbone(pixels))
        class_logits, queries = self.decoder(maps)
        if self.top_queries is not None:
            best = class_logits.amax(-1).topk(self.top_queries, dim=-1).indices
            queries, class_logits = gather_queries(queries, best), gather_queries(class_logits, best)
        return class_logits, self.decoder.decoder.segmentation_head(maps[0], queries)


def our_name(name: str, layers: int) -> str | None:
    """Return the name here of a tensor that a checkpoint of the authors' calls `name`; None is left out."""
    layer = _OF_A_LAYER.match(name)
    return None if _UNUSED.match(name) or (layer is not None and int(layer[1]) < layers - 1) else name
