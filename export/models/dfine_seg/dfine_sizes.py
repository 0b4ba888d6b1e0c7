"""The five sizes of D-FINE as transformers' configuration, after the tables of its authors (`configs.py`)."""

from collections.abc import Mapping
from typing import Any

# HGNetV2's variants: stem, channels into, inside and out of the four stages, blocks of each, layers of a block.
_BACKBONES: Mapping[str, tuple[list[int], list[int], list[int], list[int], list[int], int]] = {
    "B0": ([3, 16, 16], [16, 64, 256, 512], [16, 32, 64, 128], [64, 256, 512, 1024], [1, 1, 2, 1], 3),
    "B2": ([3, 24, 32], [32, 96, 384, 768], [32, 64, 128, 256], [96, 384, 768, 1536], [1, 1, 3, 1], 4),
    "B4": ([3, 32, 48], [48, 128, 512, 1024], [48, 96, 192, 384], [128, 512, 1024, 2048], [1, 1, 3, 1], 6),
    "B5": ([3, 32, 64], [64, 128, 512, 1024], [64, 128, 256, 512], [128, 512, 1024, 2048], [1, 2, 5, 2], 6),
}
# Whether every activation is followed by a learned scale and shift.
_AFFINE = {"B0": True, "B2": True, "B4": False, "B5": False}

# Backbone, encoder's expansion, its depth, layers of the decoder, and what differs from the defaults.
_SIZES: Mapping[str, tuple[str, float, float, int, Mapping[str, Any]]] = {
    "n": (
        "B0",
        0.34,
        0.5,
        3,
        {
            "d_model": 128,
            "encoder_hidden_dim": 128,
            "encoder_ffn_dim": 512,
            "decoder_ffn_dim": 512,
            "encode_proj_layers": [1],
            "feat_strides": [16, 32],
            "num_feature_levels": 2,
            "decoder_n_points": [6, 6],
        },
    ),
    "s": ("B0", 0.5, 0.34, 3, {}),
    "m": ("B2", 1.0, 0.67, 4, {}),
    "l": ("B4", 1.0, 1.0, 6, {}),
    "x": ("B5", 1.0, 1.0, 6, {"encoder_hidden_dim": 384, "encoder_ffn_dim": 2048, "reg_scale": 8.0}),
}


def configuration(size: str, classes: int, overrides: Mapping[str, Any]) -> Any:
    """Return `transformers.DFineConfig` of one of the sizes for so many classes; `overrides` are fields of it."""
    import transformers

    made: Any = transformers  # the configurations' fields are not in their signatures

    backbone, expansion, depth, layers, other = _SIZES[size]
    stem, into, inside, out, blocks, block_layers = _BACKBONES[backbone]
    levels = len(other.get("feat_strides", (8, 16, 32)))
    backbone_config = made.HGNetV2Config(
        stem_channels=stem,
        embedding_size=stem[2],
        hidden_sizes=out,
        depths=blocks,
        stage_in_channels=into,
        stage_mid_channels=inside,
        stage_out_channels=out,
        stage_num_blocks=blocks,
        stage_downsample=[False, True, True, True],
        stage_light_block=[False, False, True, True],
        stage_kernel_size=[3, 3, 5, 5],
        stage_numb_of_layers=[block_layers] * 4,
        use_learnable_affine_block=_AFFINE[backbone],
        out_indices=[4 - index for index in reversed(range(levels))],
    )
    hidden = other.get("encoder_hidden_dim", 256)
    fields = {
        "decoder_n_points": [3, 6, 3],
        "hidden_expansion": expansion,
        "depth_mult": depth,
        "decoder_layers": layers,
        "encoder_in_channels": out[-levels:],
        "decoder_in_channels": [hidden] * levels,
        "num_denoising": 0,
        **other,
        **overrides,
    }
    return made.DFineConfig(backbone_config=backbone_config, num_labels=classes, **fields)
