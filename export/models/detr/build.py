"""DETR of transformers, from picture and valid mask to class and mask logits.

It was trained on padded batches, so that it takes a valid mask as second input, and it counts classes by COCO's own,
gapped ids: 250 class logits and "no object". Its mask head runs once for every query and is most of its work, which
is why queries are best chosen before it (`--top-queries`).
"""

from typing import Any, NamedTuple

import torch
from torch import nn

from segrt.export.family import Exportable, HeadParityLimit, ParityLimits, Request
from segrt.export.models.detr.detr_calibration import calibrate_detr
from segrt.export.models.detr.few_queries import AT_ONCE, few_queries_at_once
from segrt.export.models.detr.original_merge import original_merge
from segrt.export.models.detr.original_names import are_original, with_transformers_names
from segrt.export.models.shared import framework_results, transformers_queries
from segrt.export.models.shared.query_selection import checked_top_queries, choose_queries, gather_queries
from segrt.export.weights import checkpoint_labels, network_weights
from segrt.runtime.decode.merge_queries import MergeQueries
from segrt.runtime.preprocess.geometry import Geometry
from segrt.runtime.preprocess.input_spec import Resize
from segrt.runtime.results import Label, Result
from segrt.runtime.results.labels.class_lists import spread

CLASSES = 250
SCORE_THRESHOLD = 0.85


def build(request: Request) -> Exportable:
    """Return DETR as it is exported; `overrides` are fields of `transformers.DetrConfig`."""
    from transformers import DetrConfig, DetrForSegmentation, DetrImageProcessor

    labels = labels_of(request)
    config = transformers_queries.configuration(DetrConfig, request, labels, request.model.options)
    given = network_weights.tensors(request)
    original = given is not None and are_original(given)
    if given is not None and original:
        given = with_transformers_names(given, network_weights.name_of(request))
    model = network_weights.load_transformers(DetrForSegmentation, config, request, given)
    transformers_queries.use_plain_attention(model)
    core = DetrCore(model, checked_top_queries(request, config.num_queries))
    if request.weights.kind == "random":
        calibrate_detr(core, request, labels)

    # Weights of the authors' own are merged as their code does, those of transformers as it does.
    decode = MergeQueries("detr" if original else "maskformer", SCORE_THRESHOLD, compat=original)
    resize = Resize(
        rule="shortest_edge",
        antialias=True,
        shortest_edge=request.edges[0],
        pad=transformers_queries.IMAGENET_GREY,
        pad_side="bottom_right",
        rounding="longer_floor",
    )
    processor = DetrImageProcessor()

    def framework_result(pixels: torch.Tensor, valid_mask: torch.Tensor | None, geometry: Geometry) -> Result:
        with torch.no_grad(), few_queries_at_once(model.mask_head):
            outputs = model(pixel_values=pixels, pixel_mask=valid_mask)
        if original:
            return original_merge(outputs.logits[0], outputs.pred_masks[0], geometry, decode, labels)
        shown = framework_results.shown_part(outputs.pred_masks, geometry)
        return transformers_queries.result_of(
            processor, framework_results.outputs_of(outputs.logits, shown), geometry, decode, labels
        )

    return Exportable(
        core=core,
        heads=(("class_logits", "class_logits"), ("mask_logits", "mask_logits")),
        labels=labels,
        decode=decode,
        source=network_weights.source(request, "transformers", "timm"),
        resize=resize,
        framework_result=framework_result,
        framework_pixels=transformers_queries.pixels_of(processor, request, resize),
        valid_mask=True,
        dynamic_batch=False,
        limits=ParityLimits(head=HeadParityLimit(2e-3, 1e-3), agreement=0.999),
        shared=(model.detr.model.backbone,),
    )


def labels_of(request: Request) -> tuple[Label, ...]:
    """Return the user's or the checkpoint's classes, or COCO's panoptic ones at the positions of their ids."""
    labels = checkpoint_labels.labels(request)
    known = checkpoint_labels.built_in(request)
    names = {label.name for label in known}
    published = request.labels is None and not any(label.name in names for label in labels)
    return spread(known, CLASSES) if published or labels == known else labels


class Decoded(NamedTuple):
    """What DETR's masks are made of.

    hidden (N, Q, D): queries; memory (N, D, h, w): the encoder's output; projected (N, D, h, w): its input; outside
    (N, h, w): 0 on the picture, the lowest number on padding; levels: the backbone's maps, finest first.
    """

    hidden: torch.Tensor
    memory: torch.Tensor
    projected: torch.Tensor
    outside: torch.Tensor
    levels: list[torch.Tensor]


class DetrCore(nn.Module):
    """`DetrForSegmentation` from the picture to class and mask logits, with a choice of queries before the masks.

    The steps are those of `DetrForSegmentation.forward`, less the boxes, and less what it does anew for each query.
    """

    def __init__(self, model: Any, top_queries: int | None = None) -> None:
        """Share the modules of `model`, a `DetrForSegmentation`."""
        super().__init__()
        self.model = model
        self.top_queries = top_queries

    def forward(self, pixels: torch.Tensor, valid_mask: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return class logits (N, Q, C+1) and mask logits (N, Q, h/4, w/4) of pixels (N, 3, h, w), mask (N, h, w)."""
        hidden, memory, projected, outside, levels = self.decoded(pixels, valid_mask)
        class_logits = self.model.detr.class_labels_classifier(hidden)
        if self.top_queries is not None:
            chosen = choose_queries(class_logits, self.top_queries)
            hidden, class_logits = gather_queries(hidden, chosen), gather_queries(class_logits, chosen)
        return class_logits, self.masks(hidden, memory, projected, outside, levels)

    def decoded(self, pixels: torch.Tensor, valid_mask: torch.Tensor) -> Decoded:
        """Return what the masks are made of; the sizes are those of the last backbone level."""
        inner = self.model.detr.model
        levels = inner.backbone(pixels, valid_mask)
        feature_map, mask = levels[-1]
        projected = inner.input_projection(feature_map)
        positions = inner.position_embedding(
            shape=feature_map.shape, device=pixels.device, dtype=pixels.dtype, mask=mask
        )
        positions = positions.flatten(2).transpose(1, 2)  # [N, h * w, D]
        outside = torch.zeros_like(mask, dtype=pixels.dtype).masked_fill(~mask, torch.finfo(pixels.dtype).min)
        unseen = outside.flatten(1)[:, None, None]  # [N, 1, 1, h * w], added to attention as it is
        memory = inner.encoder(
            inputs_embeds=projected.flatten(2).transpose(1, 2),
            attention_mask=unseen,
            spatial_position_embeddings=positions,
        ).last_hidden_state
        queries = inner.query_position_embeddings.weight.unsqueeze(0).repeat(pixels.shape[0], 1, 1)
        hidden = inner.decoder(
            inputs_embeds=torch.zeros_like(queries),
            attention_mask=None,
            spatial_position_embeddings=positions,
            object_queries_position_embeddings=queries,
            encoder_hidden_states=memory,
            encoder_attention_mask=unseen,
        ).last_hidden_state
        memory = memory.transpose(1, 2).reshape(projected.shape)
        return Decoded(hidden, memory, projected, outside, [level for level, _ in levels])

    def masks(
        self,
        hidden: torch.Tensor,
        memory: torch.Tensor,
        projected: torch.Tensor,
        outside: torch.Tensor,
        levels: list[torch.Tensor],
    ) -> torch.Tensor:
        """Return the mask logits (N, Q, h/4, w/4) of the queries `hidden` (N, Q, D); the rest is that of `Decoded`."""
        attention = self.model.bbox_attention(hidden, memory, attention_mask=outside[:, None, None])
        head = self.model.mask_head
        # What is the same for all queries is computed once: the original repeats features and levels for each of them.
        conv, width = head.conv1.conv, projected.shape[1]
        shared = nn.functional.conv2d(projected, conv.weight[:, :width], conv.bias, padding=1)
        stages = zip(head.fpn_stages, (levels[2], levels[1], levels[0]), strict=True)
        finer = [stage.fpn_adapter(level) for stage, level in stages]
        if torch.compiler.is_exporting():
            return self._drawn(attention, shared, finer)
        some = torch.split(attention, AT_ONCE, dim=1)  # queries do not see each other, and all maps of all are 4 GB
        return torch.cat([self._drawn(part, shared, finer) for part in some], dim=1)

    def _drawn(self, attention: torch.Tensor, shared: torch.Tensor, finer: list[torch.Tensor]) -> torch.Tensor:
        """Return the mask logits of queries by their attention (N, Q, heads, h, w); the rest is the same for all."""
        batch, queries = attention.shape[:2]
        head = self.model.mask_head
        weight = head.conv1.conv.weight[:, -attention.shape[2] :]
        maps = _for_each(shared, nn.functional.conv2d(attention.flatten(0, 1), weight, padding=1), batch)
        maps = head.conv2(head.conv1.activation(head.conv1.norm(maps)))
        for stage, fine in zip(head.fpn_stages, finer, strict=True):
            maps = nn.functional.interpolate(maps, size=fine.shape[-2:], mode="nearest")
            maps = stage.refine(_for_each(fine, maps, batch))
        masks: torch.Tensor = head.output_conv(maps)
        return masks.view(batch, queries, *masks.shape[-2:])


def _for_each(shared: torch.Tensor, separate: torch.Tensor, batch: int) -> torch.Tensor:
    """Return maps (N * Q, C, h, w): `shared` (N, C, h, w) plus those of each query, `separate` (N * Q, C, h, w).

    They are added in place: for 100 queries a copy is 700 MB.
    """
    return separate.view(batch, -1, *separate.shape[1:]).add_(shared[:, None]).flatten(0, 1)
