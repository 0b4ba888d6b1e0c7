"""VidEoMT of transformers, from a picture and the queries that the frame before has left to class and mask logits.

What is carried is what the network adds to its learned queries: `query_updater` of the last layer's queries, which at
the first frame is nothing. So zeros as state are the first frame, as in transformers.
"""

from typing import Any, cast

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from segrt.export.family import CarriedState, Exportable, HeadParityLimit, ParityLimits, Request
from segrt.export.models.shared import framework_results, transformers_queries
from segrt.export.models.shared.query_calibration import calibrate_queries
from segrt.export.models.shared.query_core import HEADS, QueryCore
from segrt.export.weights import checkpoint_labels, network_weights
from segrt.runtime.decode.query_instances import QueryInstances
from segrt.runtime.errors import SegrtError
from segrt.runtime.files.images import Picture
from segrt.runtime.preprocess.geometry import Geometry
from segrt.runtime.preprocess.input_spec import Resize
from segrt.runtime.results import Label, Result

STATE, NEXT_STATE = "queries", "next_queries"


def build(request: Request) -> Exportable:
    """Return VidEoMT as it is exported; `overrides` are fields of `transformers.VideomtConfig`."""
    from transformers import VideomtConfig, VideomtForUniversalSegmentation, VideomtVideoProcessor

    _check(request)
    labels = checkpoint_labels.labels(request)
    config = transformers_queries.configuration(VideomtConfig, request, labels, request.model.options)
    model = network_weights.load_transformers(VideomtForUniversalSegmentation, config, request)
    transformers_queries.use_plain_attention(model)
    core = VideomtCore(model)
    if request.weights.kind == "random":
        calibrate_queries(core, model.upscale_block.block[-1].layernorm2d, request, labels)
    decode = QueryInstances(score_at="picture")
    processor = VideomtVideoProcessor()

    def framework_result(pixels: torch.Tensor, valid_mask: Any, geometry: Geometry) -> Result:  # noqa: ARG001
        with torch.no_grad():
            outputs = model(pixel_values_videos=pixels[:, None])
        return instances_of(processor, outputs, geometry, decode.score_threshold, labels)

    def framework_pixels(picture: Picture) -> npt.NDArray[np.float32]:
        frame = torch.from_numpy(np.ascontiguousarray(picture[..., ::-1])).permute(2, 0, 1)
        size = {"height": request.size[0], "width": request.size[1]}
        made = processor(videos=[frame[None]], size=size, return_tensors="np")["pixel_values_videos"]
        return np.asarray(made[0][0], np.float32)

    return Exportable(
        core=core,
        heads=(*HEADS, (NEXT_STATE, "state")),
        labels=labels,
        decode=decode,
        source=network_weights.source(request, "transformers"),
        resize=Resize(rule="stretch", antialias=True),
        framework_result=framework_result,
        framework_pixels=framework_pixels,
        state=CarriedState(STATE, NEXT_STATE, (1, config.num_queries, config.hidden_size)),
        dynamic_batch=False,
        limits=ParityLimits(
            head=HeadParityLimit(5e-3, 1e-3), agreement=transformers_queries.AGREEMENT[request.model.technique]
        ),
    )


class VideomtCore(QueryCore):
    """`VideomtForUniversalSegmentation` for one frame: picture and state to heads and the next state."""

    takes_any_size = False

    def forward(  # type: ignore[override]
        self, pixels: torch.Tensor, state: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return class logits (1, Q, C+1), mask logits (1, Q, h/4, w/4) and the next state (1, Q, D).

        `state` (1, Q, D) is added to the learned queries; none is that of a first frame, zeros.
        """
        model: Any = self.model
        tokens = self._tokens(pixels, state)
        queries, pixel_embeddings = self._split(model.layernorm(tokens))
        mask_embeddings = self.mask_layers()(queries)
        masks = torch.einsum("bqc,bchw->bqhw", mask_embeddings, pixel_embeddings)
        return self.class_layer()(queries), masks, model.query_updater(tokens[:, : model.config.num_queries])

    def embeddings(self, pixels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the normalised query tokens and the upscaled patch tokens of a first frame."""
        model: Any = self.model
        return self._split(model.layernorm(self._tokens(pixels, None)))

    def class_layer(self) -> nn.Linear:
        """Return the class predictor."""
        return cast("nn.Linear", self.model.class_predictor)

    def mask_layers(self) -> nn.Module:
        """Return the mask head."""
        return cast("nn.Module", self.model.mask_head)

    def _tokens(self, pixels: torch.Tensor, state: torch.Tensor | None) -> torch.Tensor:
        model: Any = self.model
        tokens: torch.Tensor = model.embeddings(pixels)
        first = len(model.layers) - model.config.num_blocks
        for index, layer in enumerate(model.layers):
            if index == first:
                queries = model.query.weight[None].expand(tokens.shape[0], -1, -1)
                tokens = torch.cat((queries if state is None else state + queries, tokens), dim=1)
            tokens = layer(tokens)
        return tokens

    def _split(self, tokens: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        model: Any = self.model
        queries = model.config.num_queries
        patches = tokens[:, queries + model.embeddings.num_prefix_tokens :].transpose(1, 2)
        grid = patches.reshape(patches.shape[0], patches.shape[1], *model.grid_size)
        return tokens[:, :queries], model.upscale_block(grid)


def instances_of(
    processor: Any, outputs: Any, geometry: Geometry, threshold: float, labels: tuple[Label, ...]
) -> Result:
    """Return the instances that transformers' post-processing finds in the outputs of one frame, query by query.

    All at once would be painted over each other.
    """
    classes, masks = outputs.class_queries_logits, outputs.masks_queries_logits
    segments, shown = [], []
    for query in torch.nonzero(classes.softmax(-1)[0, :, :-1].amax(-1) >= threshold).flatten().tolist():
        single = framework_results.outputs_of(classes[:, query : query + 1], masks[:, query : query + 1])
        processed = processor.post_process_instance_segmentation(
            single, target_sizes=[geometry.source_size], threshold=threshold
        )[0]
        if processed["segments_info"]:
            segments += processed["segments_info"]
            shown.append(processed["segmentation"] >= 0)
    together = {"segments_info": segments, "segmentation": torch.stack(shown) if shown else None}
    return transformers_queries.instances_of(together, geometry, labels)


def _check(request: Request) -> None:
    """Raise SegrtError for what VidEoMT cannot do."""
    name, (height, width) = request.model.name, request.size
    if request.model.technique != "instance":
        raise SegrtError(f"{name}: VidEoMT is exported for instances alone, not for {request.model.technique} results")
    if request.top_queries is not None:
        raise SegrtError(f"--top-queries {request.top_queries}: {name} numbers objects by their queries; leave it out")
    if request.size != request.model.size:
        side = request.model.size[0]
        raise SegrtError(f"--size {height}x{width}: {name} has positions for {side}x{side} alone; leave --size out")
