"""Mask2Former of transformers, from the picture to class and mask logits.

transformers brings every picture to 384 x 384, whatever its shape, and its post-processing brings the masks back to
that size first; other network sizes are allowed, and pictures are stretched to them.
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
    """Return Mask2Former as it is exported.

    `overrides` are fields of `transformers.Mask2FormerConfig`; "backbone_config" is changed field by field.
    """
    from transformers import Mask2FormerConfig, Mask2FormerForUniversalSegmentation, Mask2FormerImageProcessor

    labels = checkpoint_labels.labels(request)
    config = transformers_queries.configuration(
        Mask2FormerConfig, request, labels, request.model.options, nested=("backbone_config",)
    )
    model = network_weights.load_transformers(Mask2FormerForUniversalSegmentation, config, request)
    transformers_queries.use_plain_attention(model)
    core = Mask2FormerCore(model, checked_top_queries(request, config.num_queries))
    if request.weights.kind == "random":
        calibrate_queries(core, model.model.pixel_level_module.decoder.mask_projection, request, labels)

    decode = transformers_queries.decode_rule(request, "mask2former", processed_size=transformers_queries.MASK_SIZE)
    resize = Resize(rule="stretch", antialias=True)
    processor = Mask2FormerImageProcessor(size_divisor=0)

    def framework_result(pixels: torch.Tensor, valid_mask: torch.Tensor | None, geometry: Geometry) -> Result:  # noqa: ARG001
        with torch.no_grad():
            outputs = model(pixel_values=pixels)
        outputs = framework_results.outputs_of(outputs.class_queries_logits, outputs.masks_queries_logits)
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
        limits=ParityLimits(
            head=HeadParityLimit(5e-3, 1e-3),
            agreement=transformers_queries.AGREEMENT[request.model.technique],
            # transformers cuts the masks of instances there and brings them to the picture's size by nearest pixels.
            at=transformers_queries.MASK_SIZE if request.model.technique == "instance" else None,
        ),
    )


class Mask2FormerCore(QueryCore):
    """`Mask2FormerForUniversalSegmentation` from the picture to class and mask logits of the last layer."""

    def embeddings(self, pixels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the last layer's normalised queries and the pixel decoder's last map."""
        outputs: Any = self.model.model(pixels, output_hidden_states=True, return_dict=True)  # type: ignore[operator]
        queries = outputs.transformer_decoder_intermediate_states[-1]  # [Q, N, D]
        return queries.transpose(0, 1), outputs.pixel_decoder_last_hidden_state

    def class_layer(self) -> nn.Linear:
        """Return the class predictor."""
        return cast("nn.Linear", self.model.class_predictor)

    def mask_layers(self) -> nn.Module:
        """Return the mask predictor's embedder."""
        decoder: Any = self.model.model.transformer_module.decoder  # type: ignore[union-attr]
        return cast("nn.Module", decoder.mask_predictor.mask_embedder)

    def last_norm(self) -> nn.LayerNorm:
        """Return the last decoder layer's own."""
        decoder: Any = self.model.model.transformer_module.decoder  # type: ignore[union-attr]
        return cast("nn.LayerNorm", decoder.layers[-1].final_layer_norm)
