"""What the query families of transformers have in common: attention, network input, results by technique."""

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from segrt.export.family import Request
from segrt.export.models.shared import framework_results
from segrt.export.weights import checkpoint_labels
from segrt.export.weights.config_file import made_by_transformers
from segrt.runtime.decode.merge_queries import MergeQueries, MergeRule
from segrt.runtime.decode.query_instances import QueryInstances
from segrt.runtime.decode.query_semantic import QuerySemantic
from segrt.runtime.decode.rule import DecodeRule
from segrt.runtime.files.images import Picture
from segrt.runtime.preprocess.geometry import Geometry
from segrt.runtime.preprocess.input_spec import Resize
from segrt.runtime.results import Label, Result

IMAGENET_GREY = (124, 116, 104)
"""ImageNet's mean colour: after normalisation it is the 0 that transformers pads with, to a third of a grey level."""
MASK_SIZE = (384, 384)
"""transformers resizes the masks of Mask2Former and its like to this size before it cuts or adds them up; segrt adds
them up first, and looks for the threshold where it is."""
AGREEMENT = {"panoptic": 0.999, "semantic": 0.98, "instance": 0.9}
"""The least agreement of the results where they differ in that, by technique."""


def use_plain_attention(model: nn.Module) -> None:
    """Make every transformers network in `model` compute attention from matrix products, which all exporters take."""
    from transformers import PreTrainedModel
    from transformers.utils import logging as transformers_logging

    verbosity = transformers_logging.get_verbosity()
    # Backbones from timm and older ones have no choice, which is said each time.
    transformers_logging.set_verbosity(logging.ERROR)
    try:
        for module in model.modules():
            if isinstance(module, PreTrainedModel):
                module.set_attn_implementation("eager")
    finally:
        transformers_logging.set_verbosity(verbosity)


def configuration(
    config_class: Any, request: Request, labels: Sequence[Label], options: Mapping[str, Any], nested: Sequence[str] = ()
) -> Any:
    """Return the network's configuration: the checkpoint's own where it has one, else `options`; then the overrides.

    Fields named in `nested` are configurations themselves, which are overridden field by field.
    """
    fields = dict(checkpoint_labels.checkpoint_config(request) or options)
    for name in ("id2label", "label2id"):
        fields.pop(name, None)
    for name, value in request.overrides.items():
        known = fields.get(name)
        fields[name] = {**known, **value} if name in nested and isinstance(known, Mapping) else value
    config = made_by_transformers(config_class.from_dict, request.model.name, _plain(fields))
    config.num_labels = len(labels)
    return config


def _plain(value: Any) -> Any:
    """Return a copy of `value` in JSON's types: configurations change what they are given, and take no tuples."""
    if isinstance(value, Mapping):
        return {name: _plain(part) for name, part in value.items()}
    return [_plain(part) for part in value] if isinstance(value, list | tuple) else value


def decode_rule(request: Request, merge_rule: MergeRule, score_threshold: float = 0.5) -> DecodeRule:
    """Return the decode rule of the request's technique."""
    if request.model.technique == "semantic":
        return QuerySemantic()
    if request.model.technique == "instance":
        return QueryInstances(score_threshold=score_threshold)
    return MergeQueries(merge_rule, score_threshold)


def pixels_of(
    processor: Any, request: Request, resize: Resize, **options: Any
) -> Callable[[Picture], npt.NDArray[np.float32]]:
    """Return what makes the network input of a picture (uint8 BGR) with transformers' own image processor.

    A picture that keeps its shape is resized by the processor's own rule, its edges limited to the network's. Padding
    is that of `resize`; ImageNet's mean colour stands for padding with 0 after normalisation.
    """
    mean, std = np.array(processor.image_mean), np.array(processor.image_std)
    fill = (np.array(resize.pad) / 255 - mean) / std if resize.pad != IMAGENET_GREY else np.zeros(3)

    def framework_pixels(picture: Picture) -> npt.NDArray[np.float32]:
        height, width = request.size
        size = {"height": height, "width": width}
        if resize.rule != "stretch":
            shortest, longest = (width, height) if picture.shape[0] > picture.shape[1] else (height, width)
            size = {"shortest_edge": min(resize.shortest_edge or shortest, shortest), "longest_edge": longest}
        rgb = torch.from_numpy(np.ascontiguousarray(picture[..., ::-1])).permute(2, 0, 1)
        images = processor(images=[rgb], size=size, do_pad=False, return_tensors="pt", **options)["pixel_values"]
        shown = images[0].numpy()
        canvas = np.empty((3, *request.size), np.float32)
        canvas[...] = fill[:, None, None]
        canvas[:, : shown.shape[1], : shown.shape[2]] = shown[:, :height, :width]
        return canvas

    return framework_pixels


def result_of(
    processor: Any, outputs: Any, geometry: Geometry, decode: DecodeRule, labels: tuple[Label, ...]
) -> Result:
    """Return the result of transformers' post-processing of `outputs` (see `framework_results.outputs_of`)."""
    sizes = [geometry.source_size]
    if isinstance(decode, QuerySemantic):
        return framework_results.semantic_result(
            processor.post_process_semantic_segmentation(outputs, target_sizes=sizes)[0], labels
        )
    if isinstance(decode, QueryInstances):
        processed = processor.post_process_instance_segmentation(
            outputs, threshold=decode.score_threshold, target_sizes=sizes, return_binary_maps=True
        )[0]
        return instances_of(processed, geometry, labels)
    rule = cast("MergeQueries", decode)
    processed = processor.post_process_panoptic_segmentation(
        outputs,
        threshold=rule.score_threshold,
        overlap_mask_area_threshold=rule.overlap_threshold,
        label_ids_to_fuse=set(),
        target_sizes=sizes,
    )[0]
    return framework_results.panoptic_result(processed, labels)


def instances_of(processed: Mapping[str, Any], geometry: Geometry, labels: tuple[Label, ...]) -> Result:
    """Return `segmentation` (N, H, W), a map of each instance, with its `segments_info` as a result."""
    infos = processed["segments_info"]
    masks = np.zeros((0, *geometry.source_size), bool)
    if infos:
        masks = processed["segmentation"].numpy().astype(bool)
    return framework_results.instance_result(
        masks, [float(info["score"]) for info in infos], [int(info["label_id"]) for info in infos], labels
    )
