"""OneFormer of transformers, from the picture to class and mask logits of one technique.

The sentence that asks for one of them, "the task is panoptic", is chosen when
the network is exported and becomes a constant of the graph.
"""

import copy
from typing import Any, cast

import torch
from torch import nn

from segrt.export.family import Exportable, HeadParityLimit, ParityLimits, Request
from segrt.export.models.oneformer.paper_instances import paper_instances
from segrt.export.models.shared import framework_results, transformers_queries
from segrt.export.models.shared.query_calibration import calibrate_queries
from segrt.export.models.shared.query_core import HEADS, QueryCore
from segrt.export.models.shared.query_selection import checked_top_queries
from segrt.export.weights import checkpoint_labels, network_weights
from segrt.runtime.decode.query_instances import QueryInstances
from segrt.runtime.decode.rule import DecodeRule
from segrt.runtime.preprocess.geometry import Geometry
from segrt.runtime.results import Result
from segrt.runtime.results.technique import Technique

# "the task is ..." in the vocabulary of CLIP (openai/CLIP, bpe_simple_vocab_16e6), from its start to its end token.
_SENTENCES: dict[Technique, tuple[int, ...]] = {
    "panoptic": (49406, 518, 10549, 533, 1072, 24755, 49407),
    "instance": (49406, 518, 10549, 533, 34572, 49407),
    "semantic": (49406, 518, 10549, 533, 29119, 1550, 49407),
}


def build(request: Request) -> Exportable:
    """Return OneFormer as it is exported.

    `overrides` are fields of `transformers.OneFormerConfig`; "backbone_config" is changed field by field.
    """
    import transformers

    labels = checkpoint_labels.labels(request)
    config = transformers_queries.configuration(
        transformers.OneFormerConfig, request, labels, request.model.options, nested=("backbone_config",)
    )
    config.is_training = False
    model = network_weights.load_transformers(transformers.OneFormerForUniversalSegmentation, config, request)
    transformers_queries.use_plain_attention(model)
    task = task_tokens(request.model.technique, config.task_seq_len)
    core = OneFormerCore(model, task, checked_top_queries(request, config.num_queries))
    if request.weights.kind == "random":
        with torch.no_grad():  # queries that differ little from the start are enlarged later, rounding included
            model.model.transformer_module.queries_embedder.weight.normal_(
                generator=torch.Generator().manual_seed(request.weights.seed)
            )
        calibrate_queries(core, model.model.pixel_level_module.decoder.mask_projection, request, labels)

    decode = _decode_rule(request)
    resize = request.kept_shape(
        antialias=True,
        pad=transformers_queries.IMAGENET_GREY,
        pad_side="bottom_right",
        rounding="longer_floor",
    )
    processor: Any = transformers.OneFormerImageProcessor()

    def framework_result(pixels: torch.Tensor, valid_mask: torch.Tensor | None, geometry: Geometry) -> Result:  # noqa: ARG001
        with torch.no_grad():
            outputs = model(pixel_values=pixels, task_inputs=task[None])
        if isinstance(decode, QueryInstances):
            return paper_instances(outputs, geometry, decode, labels)
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
        framework_pixels=transformers_queries.pixels_of(
            processor, request, resize, task_inputs=[request.model.technique]
        ),
        dynamic_batch=False,
        limits=ParityLimits(
            head=HeadParityLimit(5e-3, 1e-3),
            agreement=transformers_queries.AGREEMENT[request.model.technique],
        ),
    )


def _decode_rule(request: Request) -> DecodeRule:
    if request.model.technique == "instance":
        return transformers_queries.decode_rule(request, "maskformer", processed_size="network", score_at="picture")
    return transformers_queries.decode_rule(request, "maskformer")


def task_tokens(technique: Technique, length: int) -> torch.Tensor:
    """Return the sentence that asks for `technique` as the network takes it: float32 (length,), 0 behind its end."""
    tokens = _SENTENCES[technique]
    return torch.tensor([*tokens, *[0] * (length - len(tokens))], dtype=torch.float32)


class OneFormerCore(QueryCore):
    """`OneFormerForUniversalSegmentation` from the picture to class and mask logits, for one task.

    It runs a copy of the network that shares every tensor, but whose decoder layers are `PlainDecoderLayer`.
    """

    def __init__(self, model: Any, task: torch.Tensor, top_queries: int | None = None) -> None:
        """Share the tensors of `model`; `task` is that of `task_tokens`."""
        inner = _shallow(model.model)
        inner.transformer_module = _shallow(inner.transformer_module)
        decoder = inner.transformer_module.decoder = _shallow(inner.transformer_module.decoder)
        decoder.layers = nn.ModuleList(PlainDecoderLayer(layer) for layer in decoder.layers)
        super().__init__(inner, top_queries)
        self.register_buffer("task", task, persistent=False)

    def embeddings(self, pixels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the last layer's normalised queries and the pixel decoder's last map."""
        task = cast("torch.Tensor", self.task)
        outputs = self.model(
            pixels, task[None].expand(pixels.shape[0], -1), output_hidden_states=True, return_dict=True
        )
        queries = self._decoder.decoder_norm(outputs.transformer_decoder_object_queries)
        return queries, outputs.pixel_decoder_hidden_states[0]

    def class_layer(self) -> nn.Linear:
        """Return the class head."""
        return cast("nn.Linear", self._decoder.class_embed)

    def mask_layers(self) -> nn.Module:
        """Return the mask head."""
        return cast("nn.Module", self._decoder.mask_embed)

    def last_norm(self) -> nn.LayerNorm:
        """Return the last decoder layer's own."""
        return cast("nn.LayerNorm", self._decoder.layers[-1].ffn.norm)

    @property
    def _decoder(self) -> Any:
        model: Any = self.model
        return model.transformer_module.decoder


class PlainDecoderLayer(nn.Module):
    """A decoder layer that frees wholly masked queries by logic, where the original indexes (NonZero in ONNX)."""

    def __init__(self, layer: Any) -> None:
        """Share the modules of `layer`, a `OneFormerTransformerDecoderLayer`."""
        super().__init__()
        self.cross_attn, self.self_attn, self.ffn = layer.cross_attn, layer.self_attn, layer.ffn
        self.levels = int(layer.num_feature_levels)

    def forward(
        self,
        index: int,
        output: torch.Tensor,
        multi_stage_features: list[torch.Tensor],
        multi_stage_positional_embeddings: list[torch.Tensor],
        attention_mask: torch.Tensor,
        query_embeddings: torch.Tensor,
        output_attentions: bool | None = None,  # noqa: ARG002 (the original's signature)
    ) -> tuple[torch.Tensor]:
        """Return the queries (Q, N, D); the arguments are the original's, `attention_mask` true where not to look."""
        looks_nowhere = attention_mask.to(output.dtype).amin(-1, keepdim=True) > 0
        level = index % self.levels
        output, _ = self.cross_attn(
            output,
            multi_stage_features[level],
            memory_mask=attention_mask & ~looks_nowhere,
            memory_key_padding_mask=None,
            pos=multi_stage_positional_embeddings[level],
            query_pos=query_embeddings,
        )
        output, _ = self.self_attn(output, output_mask=None, output_key_padding_mask=None, query_pos=query_embeddings)
        return (self.ffn(output),)


def _shallow(module: Any) -> Any:
    """Return a copy of `module` whose children can be replaced without changing `module`."""
    clone = copy.copy(module)
    clone._modules = dict(module._modules)
    return clone
