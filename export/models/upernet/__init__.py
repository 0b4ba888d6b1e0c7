"""UPerNet (Xiao et al., "Unified Perceptual Parsing") over Swin and ConvNeXt backbones, of transformers.

The weights are for ADE20K, converted from mmsegmentation.
"""

from typing import Any

from segrt.export.family import Checkpoint, Model

POSITION = 70


def _swin(width: int, depths: tuple[int, ...], heads: tuple[int, ...], window: int) -> dict[str, Any]:
    return {"model_type": "swin", "embed_dim": width, "depths": depths, "num_heads": heads, "window_size": window}


def _convnext(width: int, depths: tuple[int, ...]) -> dict[str, Any]:
    widths = tuple(width << stage for stage in range(4))
    return {"model_type": "convnext", "hidden_sizes": widths, "depths": depths}


MODELS = tuple(
    Model(
        name=f"upernet-{name}",
        technique="semantic",
        family="upernet",
        size=(side, side),
        labels="ade20k",
        options={"backbone_config": backbone, "auxiliary_in_channels": auxiliary},
        checkpoint=Checkpoint(f"openmmlab/upernet-{name}", "MIT"),
        multiple=32,
        parameters=parameters,
        gmacs=gmacs,
        head_bytes=150 * (side // 4) ** 2 * 4,
    )
    for name, backbone, auxiliary, side, parameters, gmacs in (
        ("swin-tiny", _swin(96, (2, 2, 6, 2), (3, 6, 12, 24), 7), 384, 512, 59_943_398, 236.86),
        ("swin-small", _swin(96, (2, 2, 18, 2), (3, 6, 12, 24), 7), 384, 512, 81_261_302, 260.58),
        ("swin-base", _swin(128, (2, 2, 18, 2), (4, 8, 16, 32), 12), 512, 512, 121_417_124, 305.51),
        ("swin-large", _swin(192, (2, 2, 18, 2), (6, 12, 24, 48), 12), 768, 512, 233_966_048, 419.34),
        ("convnext-tiny", _convnext(96, (3, 3, 9, 3)), 384, 512, 60_242_636, 234.64),
        ("convnext-small", _convnext(96, (3, 3, 27, 3)), 384, 512, 81_877_196, 256.73),
        ("convnext-base", _convnext(128, (3, 3, 27, 3)), 512, 512, 122_102_956, 292.36),
        ("convnext-large", _convnext(192, (3, 3, 27, 3)), 768, 640, 234_994_796, 614.37),
        ("convnext-xlarge", _convnext(256, (3, 3, 27, 3)), 1024, 640, 391_140_396, 833.60),
    )
)
