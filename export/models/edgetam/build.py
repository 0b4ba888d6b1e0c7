"""EdgeTAM of transformers, as an encoder of pictures and a decoder of prompts.

Weights are those of `EdgeTamModel` by its names; published files hold the video model's too, whose memory is left out.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from segrt.export.family import Exportable, HeadParityLimit, ParityLimits, PromptDecoder, Request
from segrt.export.models.edgetam.edgetam_calibration import calibrate_masks
from segrt.export.models.edgetam.prompt_networks import FEATURES, HEADS, TOKENS, Decoder, Encoder
from segrt.export.weights import checkpoint_labels, network_weights
from segrt.runtime.decode.prompted_masks import PromptedMasks, boxes_of
from segrt.runtime.errors import SegrtError
from segrt.runtime.files.images import Picture
from segrt.runtime.preprocess.geometry import Geometry
from segrt.runtime.preprocess.input_spec import Resize
from segrt.runtime.preprocess.prompts import Prompt, trial_prompt
from segrt.runtime.results import InstanceResult, Label, Result, rle

_SHARED = "shared_image_embedding.positional_embedding", "prompt_encoder.shared_embedding.positional_embedding"


def build(request: Request) -> Exportable:
    """Return EdgeTAM as it is exported; `overrides` are options of its backbone in timm (`depth`, for a test)."""
    from transformers import EdgeTamModel, Sam2ImageProcessor, Sam2Processor

    side = _checked_side(request)
    labels = checkpoint_labels.built_in(request)
    with _nothing_fetched_to_be_shown():
        configuration = _configuration(request, side)
        model = network_weights.load_transformers(EdgeTamModel, configuration, request, _given(request))
    if request.weights.kind == "random":
        calibrate_masks(model, side, request.weights.seed)
    processor = Sam2Processor(Sam2ImageProcessor(size={"height": side, "width": side}))

    def framework_masks(pixels: torch.Tensor, prompt: Prompt, geometry: Geometry) -> Result:
        return _masks_of(model, processor, pixels, prompt, geometry, labels)

    def framework_pixels(picture: Picture) -> npt.NDArray[np.float32]:
        made = processor.image_processor(np.ascontiguousarray(picture[..., ::-1]), return_tensors="np")
        return np.asarray(made["pixel_values"][0], np.float32)

    return Exportable(
        core=Encoder(model),
        heads=FEATURES,
        labels=labels,
        decode=PromptedMasks(),
        source=network_weights.source(request, "transformers", "timm"),
        resize=Resize(rule="stretch", antialias=True),
        framework_result=lambda pixels, _, geometry: framework_masks(
            pixels, trial_prompt(geometry.source_size), geometry
        ),
        framework_pixels=framework_pixels,
        dynamic_batch=False,
        limits=ParityLimits(head=HeadParityLimit(5e-3, 1e-3)),
        prompt_decoder=PromptDecoder(Decoder(model), HEADS, TOKENS, framework_masks),
    )


@contextmanager
def _nothing_fetched_to_be_shown() -> Iterator[None]:
    """Let a configuration inside the block show itself as any object does.

    Older releases write it into an error that nobody sees, as what differs from a default that they fetch for it.
    """
    from transformers import EdgeTamVisionConfig

    own = vars(EdgeTamVisionConfig).get("__repr__")
    EdgeTamVisionConfig.__repr__ = object.__repr__
    try:
        yield
    finally:
        if own is None:
            del EdgeTamVisionConfig.__repr__
        else:
            EdgeTamVisionConfig.__repr__ = own


def _configuration(request: Request, side: int) -> Any:
    """Return the network's configuration for square pictures of `side`."""
    from transformers import EdgeTamConfig, EdgeTamVisionConfig, TimmWrapperConfig

    given = {"in_chans": 3, "features_only": True, "out_indices": [0, 1, 2, 3], **request.overrides}
    backbone = TimmWrapperConfig(architecture="repvit_m1", model_args=given)
    sizes = [[side // stride, side // stride] for stride in (4, 8, 16)]
    return EdgeTamConfig(
        vision_config=EdgeTamVisionConfig(backbone_config=backbone, backbone_feature_sizes=sizes),
        prompt_encoder_config={"image_size": side},
    )


def _given(request: Request) -> network_weights.Tensors | None:
    """Return the request's weights; what both parts know of positions is one tensor, which files may hold once."""
    given = network_weights.tensors(request)
    first, second = _SHARED
    if given is not None and first in given and second not in given:
        given = {**given, second: given[first].clone()}
    return given


def _checked_side(request: Request) -> int:
    height, width = request.size
    if height != width:
        raise SegrtError(
            f"--size {height}x{width}: {request.model.name} takes square pictures; "
            f"give {min(height, width)}x{min(height, width)} or {max(height, width)}x{max(height, width)}"
        )
    return height


def _masks_of(
    model: Any, processor: Any, pixels: torch.Tensor, prompt: Prompt, geometry: Geometry, labels: tuple[Label, ...]
) -> Result:
    """Return what transformers makes of one prompt: its model, its processor's coordinates and its masks."""
    given: dict[str, Any] = {}
    if prompt.box is not None:
        given["input_boxes"] = [[list(prompt.box)]]
    if prompt.points:
        given["input_points"] = [[[list(point) for point in prompt.points]]]
        given["input_labels"] = [[list(prompt.labels)]]
    inputs = processor(original_sizes=[list(geometry.source_size)], return_tensors="pt", **given)
    inputs.pop("original_sizes")
    with torch.no_grad():
        outputs = model(pixel_values=pixels, multimask_output=prompt.is_ambiguous, **inputs)
    best = int(outputs.iou_scores[0, 0].argmax())
    masks = processor.post_process_masks(outputs.pred_masks, [list(geometry.source_size)])[0]
    codes = [rle.encode(masks[0, best].numpy().astype(np.uint8))]
    return InstanceResult(
        boxes=boxes_of(codes),
        scores=outputs.iou_scores[0, 0, best : best + 1].numpy().astype(np.float32),
        class_ids=np.zeros(1, np.int64),
        rles=codes,
        size=geometry.source_size,
        labels=labels,
    )
