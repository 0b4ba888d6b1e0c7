"""EoMT (Kerssies et al., "Your ViT is Secretly an Image Segmentation Model"), on DINOv2 and DINOv3, of transformers.

The square picture is fixed by the weights, but for DINOv3.
"""

from collections.abc import Mapping

from segrt.export.family import Checkpoint, Model
from segrt.runtime.results.technique import Technique

POSITION = 120


def _vit(width: int, depth: int, heads: int, blocks: int) -> dict[str, int]:
    return {"hidden_size": width, "num_hidden_layers": depth, "num_attention_heads": heads, "num_blocks": blocks}


_SMALL, _BASE, _LARGE = _vit(384, 12, 6, 3), _vit(768, 12, 12, 3), _vit(1024, 24, 16, 4)


def _model(
    checkpoint: str,
    technique: Technique,
    labels: str,
    side: int,
    network: Mapping[str, int],
    parameters: int,
    gmacs: float,
    head_bytes: int,
) -> Model:
    data, _, kind = checkpoint.partition("_eomt_")
    is_dinov3 = checkpoint.endswith("dinov3")
    queries = 100 if technique == "semantic" else 200
    return Model(
        name=f"eomt-{kind}-{data}".replace("_", "-"),
        technique=technique,
        family="eomt",
        size=(side, side),
        labels=labels,
        options={**network, "num_queries": queries, "backbone": "dinov3" if is_dinov3 else "dinov2"},
        checkpoint=Checkpoint(f"tue-mps/{checkpoint}", "DINOv3 License" if is_dinov3 else "MIT"),
        multiple=16,
        parameters=parameters,
        gmacs=gmacs,
        head_bytes=head_bytes,
    )


# fmt: off
MODELS = (
    _model("coco_panoptic_eomt_small_640_2x", "panoptic", "coco-panoptic", 640, _SMALL, 23_975_942, 67.82, 20_587_200),
    _model("coco_panoptic_eomt_base_640_2x", "panoptic", "coco-panoptic", 640, _BASE, 93_663_110, 215.54, 20_587_200),
    _model("coco_panoptic_eomt_large_640", "panoptic", "coco-panoptic", 640, _LARGE, 316_695_686, 667.97, 20_587_200),
    _model("coco_panoptic_eomt_large_1280", "panoptic", "coco-panoptic", 1280, _LARGE, 321_610_886, 4144.1, 82_027_200),
    _model("coco_instance_eomt_large_640", "instance", "coco", 640, _LARGE, 316_641_361, 667.96, 20_544_800),
    _model("ade20k_panoptic_eomt_large_640", "panoptic", "ade20k", 640, _LARGE, 316_713_111, 667.97, 20_600_800),
    _model("ade20k_semantic_eomt_large_512", "semantic", "ade20k", 512, _LARGE, 316_020_887, 394.07, 6_614_000),
    _model("cityscapes_semantic_eomt_large_1024", "semantic", "cityscapes", 1024, _LARGE, 319_032_340, 2173.85,
           26_222_400),
    _model("coco_panoptic_eomt_large_640_dinov3", "panoptic", "coco-panoptic", 640, _LARGE, 315_032_710, 667.97,
           20_587_200),
)
# fmt: on
