"""The backbones of MaskFormer, Mask2Former and OneFormer, as fields of transformers' configurations. Data alone.

They are those of the published weights; where a checkpoint's own configuration is at hand, that counts.
"""

from typing import Any

_STAGES = ("stage1", "stage2", "stage3", "stage4")


def _swin(width: int, depth: int, window: int) -> dict[str, Any]:
    return {
        "model_type": "swin",
        "embed_dim": width,
        "depths": (2, 2, depth, 2),
        "num_heads": tuple(width // 32 * 2**stage for stage in range(4)),
        "window_size": window,
        "image_size": 384 if window == 12 else 224,
        "out_features": _STAGES,
    }


BACKBONES: dict[str, dict[str, Any]] = {
    "swin-tiny": _swin(96, 6, 7),
    "swin-small": _swin(96, 18, 7),
    "swin-base": _swin(128, 18, 12),
    "swin-large": _swin(192, 18, 12),
    "resnet50": {"model_type": "resnet", "out_features": _STAGES},
    "resnet101": {"model_type": "resnet", "depths": (3, 4, 23, 3), "out_features": _STAGES},
}
CLASS_LISTS = {"coco": "coco-panoptic", "ade": "ade20k", "cityscapes": "cityscapes"}
"""The class list of each data set that their checkpoints were trained on."""
