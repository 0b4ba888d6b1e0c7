"""Names a network of transformers' DETR as its authors' checkpoints do, for tests without their code."""

import torch


def in_the_authors_names(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return a network's tensors as facebookresearch/detr names them, joined as torch's attention keeps them."""
    stages = {
        f"mask_head.fpn_stages.{stage}.{ours}": f"mask_head.{theirs}{stage + first}"
        for stage in range(3)
        for ours, theirs, first in (("fpn_adapter", "adapter", 1), ("refine.conv", "lay", 3), ("refine.norm", "gn", 3))
    }
    theirs = {
        "detr.model.backbone.model": "detr.backbone.0.body",
        "detr.model.query_position_embeddings": "detr.query_embed",
        "detr.model.input_projection": "detr.input_proj",
        "detr.model.decoder.layernorm": "detr.transformer.decoder.norm",
        "detr.class_labels_classifier": "detr.class_embed",
        "detr.bbox_predictor": "detr.bbox_embed",
        "mask_head.conv1.conv": "mask_head.lay1",
        "mask_head.conv1.norm": "mask_head.gn1",
        "mask_head.conv2.conv": "mask_head.lay2",
        "mask_head.conv2.norm": "mask_head.gn2",
        "mask_head.output_conv": "mask_head.out_lay",
        "bbox_attention.q_proj": "bbox_attention.q_linear",
        "bbox_attention.k_proj": "bbox_attention.k_linear",
        **stages,
    }
    for side in ("encoder", "decoder"):
        for layer in range(_layers(state, side)):
            ours, own = f"detr.model.{side}.layers.{layer}", f"detr.transformer.{side}.layers.{layer}"
            last = "norm2" if side == "encoder" else "norm3"
            theirs |= {
                f"{ours}.self_attn.o_proj": f"{own}.self_attn.out_proj",
                f"{ours}.encoder_attn.o_proj": f"{own}.multihead_attn.out_proj",
                f"{ours}.mlp.fc1": f"{own}.linear1",
                f"{ours}.mlp.fc2": f"{own}.linear2",
                f"{ours}.self_attn_layer_norm": f"{own}.norm1",
                f"{ours}.encoder_attn_layer_norm": f"{own}.norm2",
                f"{ours}.final_layer_norm": f"{own}.{last}",
            }
    named: dict[str, torch.Tensor] = {}
    for name, tensor in state.items():
        if name.rpartition(".")[0].endswith(("k_proj", "v_proj")) and "layers" in name:
            continue  # with q_proj
        if ".q_proj." in name and "layers" in name:
            inside = name.replace("detr.model.", "detr.transformer.").replace("encoder_attn", "multihead_attn")
            parts = [state[name.replace("q_proj", f"{part}_proj")] for part in "qkv"]
            named[inside.replace("q_proj.", "in_proj_")] = torch.cat(parts)
            continue
        prefix = next((prefix for prefix in theirs if name.startswith(f"{prefix}.")), "")
        assert prefix, name
        named[theirs[prefix] + name.removeprefix(prefix)] = tensor
    return named


def _layers(state: dict[str, torch.Tensor], side: str) -> int:
    prefix = f"detr.model.{side}.layers."
    return 1 + max(int(name.removeprefix(prefix).partition(".")[0]) for name in state if name.startswith(prefix))
