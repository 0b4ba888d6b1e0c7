"""RF-DETR-Seg of transformers, from the picture to class and mask logits.

Weights of the rfdetr package and of transformers both load: transformers knows the names of either. The mask logits
come at a quarter of the input's size, the class logits are for sigmoid, and the best (query, class) pairs are chosen
outside the graph, as the framework does. Two things differ from it, neither in a mask: a box is the extent of its
mask, not the one that the network predicts, and an object with an empty mask is left out.

The backbone attends in windows, and its code takes square inputs alone; the side is a multiple of patch size times
windows.
"""

import copy
from typing import Any

import torch
from torch import nn

from segrt.export.family import Exportable, HeadParityLimit, ParityLimits, Request, Size
from segrt.export.models.shared import transformers_queries
from segrt.export.models.shared.query_selection import checked_top_queries, gather_queries
from segrt.export.weights import checkpoint_labels, network_weights
from segrt.export.weights.random_weights import Spread, calibrate, calibration_pixels
from segrt.runtime.decode.query_instances import QueryInstances
from segrt.runtime.errors import SegrtError
from segrt.runtime.preprocess.geometry import Geometry
from segrt.runtime.preprocess.input_spec import Resize
from segrt.runtime.results import Label, Result
from segrt.runtime.results.labels.class_lists import spread

CLASSES = 91  # COCO's category ids, 0 and the gaps unused
GROUPS = 13  # groups of queries in training, of which the first is used
# DINOv2-small in patches of 12 pixels: the backbone of every published size.
_BACKBONE = {
    "model_type": "rf_detr_dinov2",
    "hidden_size": 384,
    "num_hidden_layers": 12,
    "num_attention_heads": 6,
    "patch_size": 12,
    "out_features": ["stage3", "stage6", "stage9", "stage12"],
}


def build(request: Request) -> Exportable:
    """Return RF-DETR-Seg as it is exported.

    `overrides` are fields of `transformers.RfDetrConfig`; a mapping `backbone_config` among them changes fields of the
    backbone's.
    """
    from transformers import RfDetrConfig, RfDetrForInstanceSegmentation, RfDetrImageProcessor

    options = {**request.model.options, **request.overrides}
    backbone = {
        **_BACKBONE,
        **request.model.options["backbone_config"],
        **request.overrides.get("backbone_config", {}),
    }
    check_size(request, backbone["patch_size"] * backbone["num_windows"])
    rows = stored_rows(request)
    labels = labels_of(request, rows.get("class_embed.bias"))
    options["backbone_config"] = backbone
    if "query_feat.weight" in rows:
        options["num_queries"] = rows["query_feat.weight"] // GROUPS
    config = RfDetrConfig(**{"num_labels": len(labels), "group_detr": GROUPS, **options})
    model = network_weights.load_transformers(RfDetrForInstanceSegmentation, config, request)
    core = RfDetrCore(model, checked_top_queries(request, config.num_queries))
    if request.weights.kind == "random":
        calibrate_rfdetr(core, request, labels)
    if request.size != (backbone["image_size"],) * 2:
        core = RfDetrCore(with_positions_for(model, request.size), core.top_queries)
    decode = QueryInstances(activation="sigmoid", top_k=config.num_queries)
    resize = Resize(rule="stretch", interpolation="linear")
    processor = unsmoothed(RfDetrImageProcessor)

    def framework_result(pixels: torch.Tensor, valid_mask: Any, geometry: Geometry) -> Result:  # noqa: ARG001
        with torch.no_grad():
            outputs = model(pixel_values=pixels)
        processed = processor.post_process_instance_segmentation(
            outputs, threshold=decode.score_threshold, target_sizes=[geometry.source_size], return_binary_maps=True
        )[0]
        return transformers_queries.instances_of(processed, geometry, labels)

    return Exportable(
        core=core.eval(),
        heads=(("class_logits", "class_logits"), ("mask_logits", "mask_logits")),
        labels=labels,
        decode=decode,
        source=network_weights.source(request, "transformers"),
        resize=resize,
        framework_result=framework_result,
        framework_pixels=transformers_queries.pixels_of(processor, request, resize),
        limits=ParityLimits(head=HeadParityLimit(2e-3, 1e-3), agreement=0.999),
    )


def unsmoothed(kind: Any) -> Any:
    """Return transformers' processor `kind`, which resizes as the rfdetr package does: without smoothing before.

    It does so by itself from 5.24 on; before, it smoothed, which networks were not trained on.
    """

    class Unsmoothed(kind):  # type: ignore[misc]
        """The processor with the resizing of its newer releases."""

        def resize(self, image: Any, **options: Any) -> Any:
            """Resize without smoothing, whatever the release of transformers does."""
            return super().resize(image, **{**options, "antialias": False})

    return Unsmoothed()


def check_size(request: Request, multiple: int) -> None:
    """Raise SegrtError, with the next valid sizes, unless the network's input is a square of that multiple."""
    height, width = request.size
    if height == width and height % multiple == 0:
        return
    below, above = max(max(height, width) // multiple, 1) * multiple, -(-max(height, width) // multiple) * multiple
    near = " or ".join(f"{side}x{side}" for side in sorted({below, above}))
    raise SegrtError(
        f"--size {height}x{width}: {request.model.name} takes squares of a multiple of {multiple}; the next are {near}"
    )


def stored_rows(request: Request) -> dict[str, int]:
    """Return how many classes and queries (of all groups) the weights hold, by tensor; nothing for random weights."""
    tensors = network_weights.tensors(request) or {}
    return {
        wanted: len(tensor)
        for wanted in ("class_embed.bias", "query_feat.weight")
        for name, tensor in tensors.items()
        if name == wanted or name.endswith(f"model.{wanted}")
    }


def labels_of(request: Request, outputs: int | None) -> tuple[Label, ...]:
    """Return the network's classes: the user's, the checkpoint's, or COCO's at the positions of their ids.

    Networks trained by the rfdetr package have one of the `outputs` more than classes; it is named "unused".
    """
    labels = checkpoint_labels.labels(request)
    if labels == checkpoint_labels.built_in(request):
        return spread(labels, CLASSES)
    if outputs == len(labels) + 1:
        return (*labels, Label(f"unused {len(labels)}", len(labels), False, (0, 0, 0)))
    return labels


class RfDetrCore(nn.Module):
    """`RfDetrForInstanceSegmentation` from pixels to heads, with a choice of queries before the masks.

    The steps are those of its `forward`, less the boxes and the masks of all decoder layers but the last.
    """

    def __init__(self, model: Any, top_queries: int | None = None) -> None:
        """Share the modules of `model`."""
        super().__init__()
        self.model = model
        self.top_queries = top_queries

    def forward(self, pixels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return class logits (N, Q, C) and mask logits (N, Q, h/4, w/4) of `pixels` (N, 3, h, w)."""
        model = self.model
        outputs = model.model.model(pixels)
        hidden = outputs.last_hidden_state
        class_logits = model.model.class_embed(hidden)
        if self.top_queries is not None:
            best = class_logits.amax(-1).topk(self.top_queries, dim=-1).indices  # [N, K]
            hidden, class_logits = gather_queries(hidden, best), gather_queries(class_logits, best)
        target = (pixels.shape[-2] // model.downsample_ratio, pixels.shape[-1] // model.downsample_ratio)
        features = nn.functional.interpolate(
            outputs.backbone_features, size=target, mode="bilinear", align_corners=False
        )
        for block in model.blocks:
            features = block(features)
        return class_logits, model.get_mask_logits(hidden, model.spatial_features_proj(features))


@torch.no_grad()
def with_positions_for(model: Any, size: Size) -> Any:
    """Return a copy of `model` whose position embeddings are those for pictures of `size`, interpolated beforehand.

    The network would interpolate them in every frame, with a filter that TensorRT does not have.
    """
    model = copy.deepcopy(model)
    embeddings = model.model.model.backbone.backbone.embeddings
    patches = (size[0] // embeddings.patch_size) * (size[1] // embeddings.patch_size)
    tokens = torch.zeros(1, patches + 1, embeddings.config.hidden_size)
    positions = embeddings.interpolate_pos_encoding(tokens, *size)
    embeddings.position_embeddings = nn.Parameter(positions.detach().clone(), requires_grad=False)
    return model


@torch.no_grad()
def calibrate_rfdetr(core: RfDetrCore, request: Request, labels: tuple[Label, ...]) -> None:
    """Set the statistics of random weights: queries that look at places of their own, several classes, sized masks."""
    model = core.model
    inner = model.model.model
    generator = torch.Generator().manual_seed(request.weights.seed)
    places = torch.rand(inner.reference_point_embed.weight.shape, generator=generator)
    inner.reference_point_embed.weight.copy_(torch.cat([0.1 + 0.8 * places[:, :2], 0.05 + 0.3 * places[:, 2:]], 1))
    inner.query_feat.weight.normal_(generator=generator)
    model.segmentation_bias.fill_(-5.0)
    pixels = calibration_pixels(request.size, count=2, seed=request.weights.seed)
    spreads = {
        inner.enc_out_class_embed[0]: Spread(axis=-1),
        model.spatial_features_proj: Spread(),
        # 256 channels of standard deviation 1 times 0.3 add up to masks of standard deviation 5.
        model.query_features_proj: Spread(std=5.0 / model.query_features_proj.out_features**0.5, axis=-1),
        model.model.class_embed: Spread(std=4.0, axis=-1, live=0.3),
    }
    calibrate(model, lambda: core(pixels), spreads)
    unnamed = [index for index, label in enumerate(labels) if label.name.startswith("unused ")]
    model.model.class_embed.bias[unnamed] -= 30.0
