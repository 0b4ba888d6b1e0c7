"""MaskFormer of transformers, from the picture to class and mask logits.

Pictures keep their shape and are padded at the bottom and on the right, as detectron2's original does; a camera's
shape should be that of the network's size.
"""

from typing import Any, cast

import torch
from torch import nn

from segrt.export.family import Exportable, HeadParityLimit, ParityLimits, Request
from segrt.export.models.shared import framework_results, transformers_queries
from segrt.export.models.shared.query_calibration import calibrate_queries
from segrt.export.models.shared.query_core import HEADS, QueryCore
from segrt.export.models.shared.query_selection import checked_top_queries
from segrt.export.weights import checkpoint_labels, network_weights
from segrt.runtime.preprocess.geometry import Geometry
from segrt.runtime.preprocess.input_spec import Resize
from segrt.runtime.results import Result


def build(request: Request) -> Exportable:
    """Return MaskFormer as it is exported.

    `overrides` are fields of `transformers.MaskFormerConfig`; "backbone_config" and "decoder_config" are changed field
    by field.
    """
    from transformers import MaskFormerConfig, MaskFormerForInstanceSegmentation, MaskFormerImageProcessor

    labels = checkpoint_labels.labels(request)
    config = transformers_queries.configuration(
        MaskFormerConfig, request, labels, request.model.options, nested=("backbone_config", "decoder_config")
    )
    model = network_weights.load_transformers(MaskFormerForInstanceSegmentation, config, request)
    transformers_queries.use_plain_attention(model)
    core = MaskFormerCore(model, checked_top_queries(request, config.decoder_config.num_queries))
    if request.weights.kind == "random":
        calibrate_queries(core, model.model.pixel_level_module.decoder.mask_projection, request, labels)

    decode = transformers_queries.decode_rule(request, "maskformer")
    resize = Resize(
        rule="letterbox",
        antialias=True,
        pad=transformers_queries.IMAGENET_GREY,
        pad_side="bottom_right",
        rounding="longer_floor",
    )
    processor = MaskFormerImageProcessor(size_divisor=0)

    def framework_result(pixels: torch.Tensor, valid_mask: torch.Tensor | None, geometry: Geometry) -> Result:  # noqa: ARG001
        with torch.no_grad():
            outputs = model(pixel_values=pixels)
        shown = framework_results.shown_part(outputs.masks_queries_logits, geometry)
        outputs = framework_results.outputs_of(outputs.class_queries_logits, shown)
        return transformers_queries.result_of(processor, outputs, geometry, decode, labels)

    return Exportable(
        core=core,
        heads=HEADS,
        labels=labels,
        decode=decode,
        source=network_weights.source(request, "transformers"),
        resize=resize,
        framework_result=framework_result,
        framework_pixels=transformers_queries.pixels_of(processor, request, resize),
        dynamic_batch=False,
        limits=ParityLimits(head=HeadParityLimit(5e-3, 1e-3), agreement=0.999),
    )


class MaskFormerCore(QueryCore):
    """`MaskFormerForInstanceSegmentation` from the picture to class and mask logits."""

    def embeddings(self, pixels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the decoder's queries and the pixel decoder's last map."""
        outputs: Any = self.model.model(pixels, return_dict=True)  # type: ignore[operator]
        return outputs.transformer_decoder_last_hidden_state, outputs.pixel_decoder_last_hidden_state

    def class_layer(self) -> nn.Linear:
        """Return the class predictor."""
        return cast("nn.Linear", self.model.class_predictor)

    def mask_layers(self) -> nn.Module:
        """Return the mask embedder."""
        return cast("nn.Module", self.model.mask_embedder)
