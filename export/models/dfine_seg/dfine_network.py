"""D-FINE-seg: transformers' D-FINE up to the last decoder layer, and the mask branch on its queries.

Of the decoder, the heads of the last layer alone are used outside training, and kept here; all layers refine boxes.
"""

from typing import Any

import torch
from torch import Tensor, nn

from segrt.export.models.dfine_seg.mask_branch import MaskDecoder
from segrt.export.models.shared.perceptron import Perceptron
from segrt.export.models.shared.query_selection import gather_queries

MASK_CHANNELS = 256


class DFineSeg(nn.Module):
    """Class logits, boxes and mask weights of every query, and the features that masks are sums of."""

    def __init__(self, config: Any) -> None:
        """Make the network of a `transformers.DFineConfig`, with random weights."""
        from transformers import DFineModel
        from transformers.models.d_fine.modeling_d_fine import DFineMLP

        super().__init__()
        self.model: Any = DFineModel(config)
        last = config.decoder_layers - 1
        # Each layer's own, where transformers' detector would tie them to the first layer's.
        decoder: Any = self.model.decoder
        decoder.class_embed = nn.ModuleList([nn.Identity() for _ in range(last)])
        decoder.class_embed.append(nn.Linear(config.d_model, config.num_labels))
        bins = 4 * (config.max_num_bins + 1)
        decoder.bbox_embed = nn.ModuleList(
            DFineMLP(config.d_model, config.d_model, bins, 3) for _ in range(config.decoder_layers)
        )
        for layer in range(last):
            decoder.lqe_layers[layer] = nn.Identity()
        for block in self.model.encoder.aifi:
            block.position_embedding = PositionEmbedding(config.encoder_hidden_dim)
        self.mask_decoder = MaskDecoder(config.decoder_in_channels, MASK_CHANNELS)
        self.mask_head = Perceptron((config.d_model, config.d_model, config.d_model, MASK_CHANNELS))

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return class logits (N, Q, C), boxes (N, Q, 4), mask weights (N, Q, E) and features (N, E, h, w).

        Boxes are centre x, centre y, width and height, 0 to 1; a query's mask logits are the features by its weights.
        """
        model = self.model
        backbone_maps = model.backbone.model(pixels).feature_maps
        projected = [project(found) for project, found in zip(model.encoder_input_proj, backbone_maps, strict=True)]
        maps = model.encoder(projected).last_hidden_state
        found = self._decoded([project(one) for project, one in zip(model.decoder_input_proj, maps, strict=True)])
        weights = self.mask_head(found.last_hidden_state) * MASK_CHANNELS**-0.5
        logits, boxes = found.intermediate_logits[:, -1], found.intermediate_reference_points[:, -1]
        return logits, boxes, weights, self.mask_decoder(maps)

    def _decoded(self, sources: list[Tensor]) -> Any:
        """Return what the decoder gives for the best cells of `sources`, the steps of transformers' `DFineModel`.

        Its `forward` checks sizes in a way that networks without values, which are only counted, cannot pass.
        """
        model = self.model
        shapes = tuple((int(source.shape[2]), int(source.shape[3])) for source in sources)
        cells = torch.cat([source.flatten(2).transpose(1, 2) for source in sources], dim=1)
        anchors, valid = model.generate_anchors(shapes, device=cells.device, dtype=cells.dtype)
        memory = model.enc_output(valid.to(cells.dtype) * cells)
        scores = model.enc_score_head(memory).max(-1).values
        best = torch.topk(scores, model.config.num_queries, dim=1).indices
        queries = gather_queries(memory, best)
        places = model.enc_bbox_head(queries) + gather_queries(anchors.expand(cells.shape[0], -1, -1), best)
        return model.decoder(
            inputs_embeds=queries,
            encoder_hidden_states=cells,
            reference_points=places,
            spatial_shapes=torch.tensor(shapes, device="cpu"),
            spatial_shapes_list=list(shapes),
        )


class PositionEmbedding(nn.Module):
    """Sines of each cell's position in the order of D-FINE's own code, which published weights were trained with.

    It counts cells along columns where the encoder's rows of cells run along rows. For squares that is transformers'
    order; for other sizes it is not.
    """

    def __init__(self, channels: int, temperature: float = 10000.0) -> None:
        super().__init__()
        self.channels, self.temperature = channels, temperature

    def forward(self, width: int, height: int, device: Any, dtype: torch.dtype) -> Tensor:
        """Return (1, height * width, channels)."""
        count = self.channels // 4
        frequencies = 1 / self.temperature ** (torch.arange(count, dtype=torch.float64, device=device) / count)
        cells = torch.arange(int(width) * int(height), dtype=torch.float64, device=device)
        x = torch.div(cells, int(height), rounding_mode="floor")
        along_x, along_y = (place[:, None] * frequencies for place in (x, cells - x * int(height)))
        waves = [along_x.sin(), along_x.cos(), along_y.sin(), along_y.cos()]
        return torch.cat(waves, dim=1)[None].to(dtype)


class DFineSegHeads(nn.Module):
    """D-FINE-seg with the heads that the decode rule `prototype_masks` wants, a row for each detection.

    The best (query, class) pairs are chosen inside the graph. Boxes are those of the authors' post-processing: whole
    pixels of the input, one pixel away from its edges.
    """

    def __init__(self, network: DFineSeg, count: int) -> None:
        super().__init__()
        self.network = network
        self.count = count

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Return rows (N, 6 + E, K): x0, y0, x1, y1, score, class id, mask weights; and features (N, E, h, w)."""
        logits, boxes, weights, features = self.network(pixels)
        classes = logits.shape[2]
        scores, index = torch.topk(torch.sigmoid(logits).flatten(1), self.count)
        queries = torch.div(index, classes, rounding_mode="floor")
        class_ids = (index - queries * classes).to(scores.dtype)
        chosen = whole_pixels(gather_queries(boxes, queries), (int(pixels.shape[2]), int(pixels.shape[3])))
        rows = [chosen, scores[..., None], class_ids[..., None], gather_queries(weights, queries)]
        return torch.cat(rows, dim=2).transpose(1, 2), features


def whole_pixels(boxes: Tensor, size: tuple[int, int]) -> Tensor:
    """Return boxes (N, Q, 4), centre and sides from 0 to 1, as x0, y0, x1, y1 in whole pixels of an input of `size`."""
    height, width = size
    x, y, w, h = boxes[..., 0] * width, boxes[..., 1] * height, boxes[..., 2] * width, boxes[..., 3] * height
    edges = [
        torch.floor(x - w / 2).clamp(min=1),
        torch.floor(y - h / 2).clamp(min=1),
        torch.ceil(x + w / 2).clamp(max=width - 1),
        torch.ceil(y + h / 2).clamp(max=height - 1),
    ]
    return torch.stack(edges, dim=-1)
