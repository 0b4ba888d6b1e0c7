"""D-FINE-seg's state-dict names, and the names of the same tensors here, where the detector is transformers'.

The rules are those of transformers' own conversion of D-FINE's checkpoints, written anew and fewer: names are changed
piece by piece. A packed projection of queries, keys and values becomes three.
"""

import re

from segrt.export.weights.network_weights import Tensors

# Applied in this order to a name with its first component.
_RULES = (
    (r"^backbone\.stem\.", "model.backbone.model.embedder."),
    (r"^backbone\.stages\.", "model.backbone.model.encoder.stages."),
    (r"^(model\.backbone\..*)\.conv\.weight$", r"\1.convolution.weight"),
    (r"^(model\.backbone\..*)\.bn\.", r"\1.normalization."),
    (r"^encoder\.input_proj\.(\d+)\.conv\.", r"model.encoder_input_proj.\1.0."),
    (r"^encoder\.input_proj\.(\d+)\.norm\.", r"model.encoder_input_proj.\1.1."),
    (r"^encoder\.encoder\.", "model.encoder.aifi."),
    (r"^encoder\.downsample_convs\.(\d+)\.0\.cv", r"model.encoder.downsample_convs.\1.conv"),
    (r"^encoder\.", "model.encoder."),
    (r"^(model\.encoder\.(?:fpn|pan)_blocks\.\d+)\.cv2\.0\.", r"\1.csp_rep1."),
    (r"^(model\.encoder\.(?:fpn|pan)_blocks\.\d+)\.cv3\.0\.", r"\1.csp_rep2."),
    (r"^(model\.encoder\.(?:fpn|pan)_blocks\.\d+)\.cv([23])\.1\.", r"\1.conv\2."),
    (r"^(model\.encoder\.(?:fpn|pan)_blocks\.\d+)\.cv([14])\.", r"\1.conv\2."),
    (r"^decoder\.(mask_decoder|mask_head)\.", r"\1."),
    (r"^decoder\.input_proj\.(\d+)\.conv\.", r"model.decoder_input_proj.\1.0."),
    (r"^decoder\.input_proj\.(\d+)\.norm\.", r"model.decoder_input_proj.\1.1."),
    (r"^decoder\.enc_output\.proj\.", "model.enc_output.0."),
    (r"^decoder\.enc_output\.norm\.", "model.enc_output.1."),
    (r"^decoder\.enc_(score|bbox)_head\.", r"model.enc_\1_head."),
    (r"^decoder\.dec_score_head\.", "model.decoder.class_embed."),
    (r"^decoder\.dec_bbox_head\.", "model.decoder.bbox_embed."),
    (r"^decoder\.(?:decoder\.)?", "model.decoder."),
    (r"\.cross_attn\.", ".encoder_attn."),
    (r"\.out_proj\.", ".o_proj."),
    (r"(\.layers\.\d+)\.linear1\.", r"\1.mlp.layers.0."),
    (r"(\.layers\.\d+)\.linear2\.", r"\1.mlp.layers.1."),
    (r"(\.layers\.\d+)\.norm1\.", r"\1.self_attn_layer_norm."),
    (r"(\.layers\.\d+)\.norm[23]\.", r"\1.final_layer_norm."),
)
# What training alone needs, and what follows from the size of the input.
_UNUSED = re.compile(r"^decoder\.(denoising_class_embed\.|anchors$|valid_mask$)")
_OF_A_LAYER = re.compile(r"^decoder\.(?:dec_score_head|decoder\.lqe_layers)\.(\d+)\.")
_PACKED = re.compile(r"^(.*\.self_attn)\.in_proj_(weight|bias)$")


def with_our_names(published: Tensors) -> Tensors:
    """Return D-FINE-seg's tensors under the names of `DFineSeg`; those that are not D-FINE's stay as they are.

    Heads of other decoder layers than the last, which training alone needs, are left out.
    """
    layers = [int(found[1]) for name in published if (found := _OF_A_LAYER.match(name))]
    last = max(layers, default=0)
    ours: Tensors = {}
    for name, tensor in published.items():
        layer = _OF_A_LAYER.match(name)
        if _UNUSED.match(name) or (layer is not None and int(layer[1]) != last):
            continue
        packed = _PACKED.match(name)
        if packed is None:
            ours[our_name(name)] = tensor
            continue
        for part, piece in zip("qkv", tensor.chunk(3), strict=True):
            ours[our_name(f"{packed[1]}.{part}_proj.{packed[2]}")] = piece
    return ours


def our_name(name: str) -> str:
    """Return the name here of a tensor that D-FINE-seg calls `name`."""
    for pattern, replacement in _RULES:
        name = re.sub(pattern, replacement, name)
    return name
