"""DETR's tensors under the names of its authors' code (facebookresearch/detr), and under those of transformers."""

import re
from collections.abc import Mapping

import torch

from segrt.runtime.errors import SegrtError

_ATTENTION = r"(?P<which>self_attn|multihead_attn)"
_LAYER = r"transformer\.(?P<side>encoder|decoder)\.layers\.(?P<layer>\d+)"
# The order of the thirds in `in_proj_weight` of torch's MultiheadAttention.
_PROJECTIONS = ("q_proj", "k_proj", "v_proj")
_NORMS = {
    "encoder": {"norm1": "self_attn_layer_norm", "norm2": "final_layer_norm"},
    "decoder": {"norm1": "self_attn_layer_norm", "norm2": "encoder_attn_layer_norm", "norm3": "final_layer_norm"},
}
_PARTS = {
    "detr.backbone.0.body.": "detr.model.backbone.model.",
    "detr.transformer.decoder.norm.": "detr.model.decoder.layernorm.",
    "detr.query_embed.": "detr.model.query_position_embeddings.",
    "detr.input_proj.": "detr.model.input_projection.",
    "detr.class_embed.": "detr.class_labels_classifier.",
    "detr.bbox_embed.": "detr.bbox_predictor.",
    "bbox_attention.q_linear.": "bbox_attention.q_proj.",
    "bbox_attention.k_linear.": "bbox_attention.k_proj.",
    "mask_head.lay1.": "mask_head.conv1.conv.",
    "mask_head.gn1.": "mask_head.conv1.norm.",
    "mask_head.lay2.": "mask_head.conv2.conv.",
    "mask_head.gn2.": "mask_head.conv2.norm.",
    "mask_head.out_lay.": "mask_head.output_conv.",
    **{f"mask_head.lay{stage + 3}.": f"mask_head.fpn_stages.{stage}.refine.conv." for stage in range(3)},
    **{f"mask_head.gn{stage + 3}.": f"mask_head.fpn_stages.{stage}.refine.norm." for stage in range(3)},
    **{f"mask_head.adapter{stage + 1}.": f"mask_head.fpn_stages.{stage}.fpn_adapter." for stage in range(3)},
}


def are_original(tensors: Mapping[str, torch.Tensor]) -> bool:
    """Return whether `tensors` have the names of the authors' code, of boxes alone ("transformer.…") or with masks."""
    return any(re.match(rf"(detr\.)?{_LAYER}\.{_ATTENTION}\.in_proj_weight$", name) for name in tensors)


def with_transformers_names(tensors: Mapping[str, torch.Tensor], where: str) -> dict[str, torch.Tensor]:
    """Return `tensors` under transformers' names; names that are not the authors' stay as they are.

    Raises SegrtError, naming `where` they come from, for those of a network of boxes alone.
    """
    if not any(name.startswith("mask_head.") for name in tensors):
        raise SegrtError(
            f"{where}: is DETR for boxes alone, without its mask head; give the panoptic one, such as "
            "detr-r101-panoptic-40021d53.pth"
        )
    renamed: dict[str, torch.Tensor] = {}
    for name, tensor in tensors.items():
        full = name if name.startswith(("detr.", "mask_head.", "bbox_attention.")) else f"detr.{name}"
        joint = re.fullmatch(rf"detr\.{_LAYER}\.{_ATTENTION}\.in_proj_(?P<kind>weight|bias)", full)
        if joint is None:
            renamed[_renamed(full)] = tensor
            continue
        attention = _attention(joint["side"], joint["layer"], joint["which"])
        for projection, part in zip(_PROJECTIONS, tensor.chunk(3), strict=True):
            renamed[f"{attention}.{projection}.{joint['kind']}"] = part
    return renamed


def _renamed(name: str) -> str:
    match = re.fullmatch(rf"detr\.{_LAYER}\.(?P<rest>.+)", name)
    if match is not None:
        return _of_layer(match["side"], match["layer"], match["rest"])
    part = next((part for part in _PARTS if name.startswith(part)), "")
    return _PARTS.get(part, "") + name.removeprefix(part)


def _of_layer(side: str, layer: str, rest: str) -> str:
    inside, _, kind = rest.rpartition(".")
    if inside.endswith("_attn.out_proj"):
        return f"{_attention(side, layer, inside.removesuffix('.out_proj'))}.o_proj.{kind}"
    if inside in ("linear1", "linear2"):
        inside = f"mlp.fc{inside[-1]}"
    return f"detr.model.{side}.layers.{layer}.{_NORMS[side].get(inside, inside)}.{kind}"


def _attention(side: str, layer: str, which: str) -> str:
    return f"detr.model.{side}.layers.{layer}." + ("self_attn" if which == "self_attn" else "encoder_attn")
