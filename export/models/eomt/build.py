"""EoMT of transformers, from the picture to class and mask logits.

The plain transformer takes square pictures of one size. For things and panoptic results pictures are fitted into the
square and padded with black at the bottom or on the right; for semantic results they are stretched to it, where
transformers cuts long pictures into several squares.
"""

from typing import Any, cast

import torch
from torch import nn

from segrt.export.family import ATTENTION_SCORES, Exportable, HeadParityLimit, ParityLimits, Request
from segrt.export.models.shared import framework_results, transformers_queries
from segrt.export.models.shared.query_calibration import calibrate_queries
from segrt.export.models.shared.query_core import HEADS, QueryCore
from segrt.export.models.shared.query_selection import checked_top_queries
from segrt.export.weights import checkpoint_labels, network_weights
from segrt.runtime.decode.merge_queries import MergeQueries
from segrt.runtime.decode.query_instances import QueryInstances
from segrt.runtime.decode.rule import DecodeRule
from segrt.runtime.errors import SegrtError
from segrt.runtime.preprocess.geometry import Geometry
from segrt.runtime.preprocess.input_spec import Resize
from segrt.runtime.results import Label, Result

SCORE_THRESHOLDS = {"panoptic": 0.8, "instance": 0.5, "semantic": 0.0}
_AUTHORS_ENCODER = "network.encoder.backbone."


def build(request: Request) -> Exportable:
    """Return EoMT as it is exported; `overrides` are fields of `transformers.EomtConfig` (or `EomtDinov3Config`)."""
    import transformers

    options = {**request.model.options}
    is_dinov3 = options.pop("backbone", "dinov2") == "dinov3"
    side = _checked_side(request, is_free=is_dinov3)
    labels = checkpoint_labels.labels(request)
    config_class: Any = transformers.EomtDinov3Config if is_dinov3 else transformers.EomtConfig
    network_class: Any = (
        transformers.EomtDinov3ForUniversalSegmentation if is_dinov3 else transformers.EomtForUniversalSegmentation
    )
    config = transformers_queries.configuration(config_class, request, labels, options)
    config.image_size = side  # whatever the checkpoint's own says: the grid of patches is that of this size
    given = network_weights.tensors(request)
    if is_dinov3:
        _refuse_differences(request, given)
    model = network_weights.load_transformers(network_class, config, request, given)
    transformers_queries.use_plain_attention(model)
    if request.weights.kind == "random":
        model.attn_mask_probs.zero_()  # training ends without masks
    core = EomtCore(model, checked_top_queries(request, config.num_queries))
    if request.weights.kind == "random":
        calibrate_queries(core, model.upscale_block.block[-1].layernorm2d, request, labels)

    decode = transformers_queries.decode_rule(
        request,
        "eomt",
        SCORE_THRESHOLDS[request.model.technique],
        processed_size="network",
        score_at="picture",
    )
    is_stretched = request.model.technique == "semantic"
    resize = Resize(
        rule="stretch" if is_stretched else "letterbox",
        antialias=True,
        pad_side="bottom_right",
        rounding="longer_floor",
    )
    processor = transformers.EomtImageProcessor()

    def framework_result(pixels: torch.Tensor, valid_mask: torch.Tensor | None, geometry: Geometry) -> Result:  # noqa: ARG001
        with torch.no_grad():
            outputs = model(pixel_values=pixels)
        return _processed(processor, outputs, geometry, decode, labels)

    return Exportable(
        core=core,
        heads=HEADS,
        labels=labels,
        decode=decode,
        source=network_weights.source(request, "transformers"),
        resize=resize,
        framework_result=framework_result,
        framework_pixels=transformers_queries.pixels_of(processor, request, resize, do_split_image=False),
        pad_sides=("bottom_right",),
        keep=(ATTENTION_SCORES,) if is_dinov3 else (),  # in float16 they overflow
        dynamic_batch=False,
        limits=ParityLimits(
            head=HeadParityLimit(5e-3, 1e-3),
            agreement=transformers_queries.AGREEMENT[request.model.technique],
        ),
    )


class EomtCore(QueryCore):
    """`EomtForUniversalSegmentation` from the picture to class and mask logits; its mask probabilities are constants.

    The steps are those of its `forward`. Where a layer's probability is 1 its attention is masked, where it is 0 not;
    in between, queries would be drawn at random.
    """

    takes_any_size = False

    def __init__(self, model: Any, top_queries: int | None = None) -> None:
        """Share the modules of `model`; raise SegrtError for probabilities between 0 and 1."""
        super().__init__(model, top_queries)
        probabilities = [0.0] * model.config.num_blocks
        if not model.attn_mask_probs.is_meta:
            probabilities = [float(value) for value in model.attn_mask_probs]
        if any(0 < value < 1 for value in probabilities):
            raise SegrtError(
                f"the weights mask attention with probabilities {probabilities}: their training has not ended; "
                "give those of its end"
            )
        self.is_masked = [value > 0 for value in probabilities]

    def embeddings(self, pixels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the normalised query tokens and the upscaled patch tokens."""
        model: Any = self.model
        tokens = model.embeddings(pixels)
        extra = {"position_embeddings": model.rope_embeddings(pixels)} if hasattr(model, "rope_embeddings") else {}
        first = len(model.layers) - model.config.num_blocks
        mask = None
        for index, layer in enumerate(model.layers):
            if index == first:
                tokens = torch.cat((model.query.weight[None].expand(tokens.shape[0], -1, -1), tokens), dim=1)
            if index >= first and self.is_masked[index - first]:
                mask = self._attention_mask(model.layernorm(tokens))
            tokens = layer(tokens, attention_mask=mask, **extra)
        return self._split(model.layernorm(tokens))

    def class_layer(self) -> nn.Linear:
        """Return the class predictor."""
        return cast("nn.Linear", self.model.class_predictor)

    def mask_layers(self) -> nn.Module:
        """Return the mask head."""
        return cast("nn.Module", self.model.mask_head)

    def _split(self, tokens: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        model: Any = self.model
        queries = model.config.num_queries
        patches = tokens[:, queries + model.embeddings.num_prefix_tokens :].transpose(1, 2)
        grid = patches.reshape(patches.shape[0], patches.shape[1], *model.grid_size)
        return tokens[:, :queries], model.upscale_block(grid)

    def _attention_mask(self, tokens: torch.Tensor) -> torch.Tensor:
        """Return what is added to attention (N, 1, T, T): queries see the patches of their own mask alone."""
        model: Any = self.model
        queries, pixel_embeddings = self._split(tokens)
        logits = torch.einsum("bqc,bchw->bqhw", model.mask_head(queries), pixel_embeddings)
        logits = nn.functional.interpolate(logits, size=model.grid_size, mode="bilinear").flatten(2)
        hidden = (logits <= 0).to(tokens.dtype) * -1e9
        before = tokens.shape[1] - logits.shape[2]
        rows = nn.functional.pad(hidden, (before, 0))
        return nn.functional.pad(rows, (0, 0, 0, tokens.shape[1] - rows.shape[1]))[:, None]


def _checked_side(request: Request, *, is_free: bool) -> int:
    """Return the side of the square picture; raise SegrtError for sizes that the network cannot take."""
    height, width = request.size
    if height != width:
        raise SegrtError(
            f"--size {height}x{width}: {request.model.name} takes square pictures; "
            f"give {min(height, width)}x{min(height, width)} or {max(height, width)}x{max(height, width)}"
        )
    trained = request.model.size
    if request.weights.kind == "pretrained" and not is_free and request.size != trained:
        raise SegrtError(
            f"--size {height}x{width}: the published weights of {request.model.name} have positions for "
            f"{trained[0]}x{trained[1]} alone; leave --size out"
        )
    return height


def _refuse_differences(request: Request, given: network_weights.Tensors | None) -> None:
    """Raise SegrtError for files of the authors' own code, which hold the encoder's difference to DINOv3's weights."""
    if any(name.startswith(_AUTHORS_ENCODER) for name in given or ()):
        whole = request.model.checkpoint.address if request.model.checkpoint else "one that transformers saved"
        raise SegrtError(
            f"{network_weights.name_of(request)}: holds what EoMT's authors add to the weights of DINOv3, not weights; "
            f"give whole ones ({whole})"
        )


def _processed(
    processor: Any, outputs: Any, geometry: Geometry, decode: DecodeRule, labels: tuple[Label, ...]
) -> Result:
    """Return the result of transformers' post-processing of the network's outputs."""
    side = {"shortest_edge": geometry.network_size[0], "longest_edge": geometry.network_size[1]}
    classes, masks = outputs.class_queries_logits, outputs.masks_queries_logits
    given: dict[str, Any] = {"target_sizes": [geometry.source_size], "size": side}
    if isinstance(decode, MergeQueries):
        processed = processor.post_process_panoptic_segmentation(
            framework_results.outputs_of(classes, masks),
            threshold=decode.score_threshold,
            overlap_mask_area_threshold=decode.overlap_threshold,
            stuff_classes=[index for index, label in enumerate(labels) if not label.isthing],
            **given,
        )[0]
        return framework_results.panoptic_result(processed, labels)
    if not isinstance(decode, QueryInstances):
        class_map = processor.post_process_semantic_segmentation(framework_results.outputs_of(classes, masks), **given)
        return framework_results.semantic_result(class_map[0], labels)
    # All instances at once would be painted over each other.
    segments, shown = [], []
    for query in torch.nonzero(classes.softmax(-1)[0, :, :-1].amax(-1) > decode.score_threshold).flatten().tolist():
        single = framework_results.outputs_of(classes[:, query : query + 1], masks[:, query : query + 1])
        processed = processor.post_process_instance_segmentation(single, threshold=decode.score_threshold, **given)[0]
        if processed["segments_info"]:
            segments += processed["segments_info"]
            shown.append(processed["segmentation"] >= 0)
    together = {"segments_info": segments, "segmentation": torch.stack(shown) if shown else None}
    return transformers_queries.instances_of(together, geometry, labels)
