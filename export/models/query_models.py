"""The networks with queries that can be exported: DETR, MaskFormer, Mask2Former, EoMT and OneFormer. Data alone.

The configurations are those of the published weights; where their own are at hand, those count.
"""

from typing import Any

from segrt.export.models.table import Checkpoint, Model, register

# DETR for panoptic segmentation, with COCO's own ids as classes. timm's ResNets are those of the published weights.
for _depth, _parameters, _gmacs in ((50, 0, 0.0), (101, 0, 0.0)):
    register(
        Model(
            name=f"detr-resnet{_depth}-panoptic",
            technique="panoptic",
            family="detr",
            size=(800, 1066),
            labels="coco-panoptic",
            options={"backbone": f"resnet{_depth}"},
            checkpoint=Checkpoint(f"facebook/detr-resnet-{_depth}-panoptic", "Apache-2.0"),
            parameters=_parameters,
            gmacs=_gmacs,
            head_bytes=21_460_400,
            needs=("timm",),
        )
    )


# MaskFormer, Mask2Former and OneFormer share their backbones.
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


_BACKBONES: dict[str, dict[str, Any]] = {
    "swin-tiny": _swin(96, 6, 7),
    "swin-small": _swin(96, 18, 7),
    "swin-base": _swin(128, 18, 12),
    "swin-large": _swin(192, 18, 12),
    "resnet50": {"model_type": "resnet", "out_features": _STAGES},
    "resnet101": {"model_type": "resnet", "depths": (3, 4, 23, 3), "out_features": _STAGES},
}
_DATA_SETS = {"coco": "coco-panoptic", "ade": "ade20k", "cityscapes": "cityscapes"}
_NON_COMMERCIAL = "CC-BY-NC-4.0"
_MASKFORMER_SIZES = {  # by data set and whether the backbone is a large one
    ("coco", False): (800, 1088),
    ("coco", True): (800, 1088),
    ("ade", False): (512, 512),
    ("ade", True): (640, 640),
}

for _backbone, _data, _parameters, _gmacs, _head_bytes in (
    ("swin-tiny", "coco", 0, 0.0, 0),
    ("swin-small", "coco", 0, 0.0, 0),
    ("swin-base", "coco", 0, 0.0, 0),
    ("swin-large", "coco", 0, 0.0, 0),
    ("resnet50", "coco", 0, 0.0, 0),
    ("resnet101", "coco", 0, 0.0, 0),
    ("swin-tiny", "ade", 0, 0.0, 0),
    ("swin-small", "ade", 0, 0.0, 0),
    ("swin-base", "ade", 0, 0.0, 0),
    ("swin-large", "ade", 0, 0.0, 0),
    ("resnet50", "ade", 0, 0.0, 0),
):
    register(
        Model(
            name=f"maskformer-{_backbone}-{_data}",
            technique="panoptic" if _data == "coco" else "semantic",
            family="maskformer",
            size=_MASKFORMER_SIZES[_data, _backbone in ("swin-base", "swin-large")],
            labels=_DATA_SETS[_data],
            options={"backbone_config": _BACKBONES[_backbone], "decoder_config": {"model_type": "detr"}},
            checkpoint=Checkpoint(f"facebook/maskformer-{_backbone}-{_data}", _NON_COMMERCIAL),
            multiple=32,
            parameters=_parameters,
            gmacs=_gmacs,
            head_bytes=_head_bytes,
        )
    )

for _backbone, _data, _technique, _parameters, _gmacs, _head_bytes in (
    ("swin-tiny", "coco", "panoptic", 0, 0.0, 0),
    ("swin-small", "coco", "panoptic", 0, 0.0, 0),
    ("swin-base", "coco", "panoptic", 0, 0.0, 0),
    ("swin-large", "coco", "panoptic", 0, 0.0, 0),
    ("resnet50", "coco", "panoptic", 0, 0.0, 0),
    ("swin-large", "ade", "panoptic", 0, 0.0, 0),
    ("swin-tiny", "cityscapes", "panoptic", 0, 0.0, 0),
    ("swin-small", "cityscapes", "panoptic", 0, 0.0, 0),
    ("swin-large", "cityscapes", "panoptic", 0, 0.0, 0),
    ("swin-tiny", "coco", "instance", 0, 0.0, 0),
    ("swin-small", "coco", "instance", 0, 0.0, 0),
    ("swin-base", "coco", "instance", 0, 0.0, 0),
    ("swin-large", "coco", "instance", 0, 0.0, 0),
    ("swin-tiny", "ade", "semantic", 0, 0.0, 0),
    ("swin-small", "ade", "semantic", 0, 0.0, 0),
    ("swin-base", "ade", "semantic", 0, 0.0, 0),
    ("swin-large", "ade", "semantic", 0, 0.0, 0),
    ("swin-tiny", "cityscapes", "semantic", 0, 0.0, 0),
    ("swin-small", "cityscapes", "semantic", 0, 0.0, 0),
    ("swin-large", "cityscapes", "semantic", 0, 0.0, 0),
):
    _name = f"mask2former-{_backbone}-{_data}-{_technique}"
    register(
        Model(
            name=_name,
            technique=_technique,  # type: ignore[arg-type]  # the names of a loop are plain strings
            family="mask2former",
            size=(384, 384),
            labels="coco" if (_data, _technique) == ("coco", "instance") else _DATA_SETS[_data],
            options={
                "backbone_config": _BACKBONES[_backbone],
                "num_queries": 200 if _backbone == "swin-large" and _technique != "semantic" else 100,
            },
            checkpoint=None if _backbone == "resnet50" else Checkpoint(f"facebook/{_name}", "MIT"),
            multiple=32,
            parameters=_parameters,
            gmacs=_gmacs,
            head_bytes=_head_bytes,
        )
    )


# EoMT: a plain ViT on DINOv2 or DINOv3. Its square is fixed by the weights, but for DINOv3.
def _vit(width: int, depth: int, heads: int, blocks: int, queries: int) -> dict[str, Any]:
    return {
        "hidden_size": width,
        "num_hidden_layers": depth,
        "num_attention_heads": heads,
        "num_blocks": blocks,
        "num_queries": queries,
    }


for _name, _technique, _labels, _side, _options, _parameters, _gmacs, _head_bytes in (
    ("coco_panoptic_eomt_small_640_2x", "panoptic", "coco-panoptic", 640, _vit(384, 12, 6, 3, 200), 0, 0.0, 0),
    ("coco_panoptic_eomt_base_640_2x", "panoptic", "coco-panoptic", 640, _vit(768, 12, 12, 3, 200), 0, 0.0, 0),
    ("coco_panoptic_eomt_large_640", "panoptic", "coco-panoptic", 640, _vit(1024, 24, 16, 4, 200), 0, 0.0, 0),
    ("coco_panoptic_eomt_large_1280", "panoptic", "coco-panoptic", 1280, _vit(1024, 24, 16, 4, 200), 0, 0.0, 0),
    ("coco_instance_eomt_large_640", "instance", "coco", 640, _vit(1024, 24, 16, 4, 200), 0, 0.0, 0),
    ("ade20k_panoptic_eomt_large_640", "panoptic", "ade20k", 640, _vit(1024, 24, 16, 4, 200), 0, 0.0, 0),
    ("ade20k_semantic_eomt_large_512", "semantic", "ade20k", 512, _vit(1024, 24, 16, 4, 100), 0, 0.0, 0),
    ("cityscapes_semantic_eomt_large_1024", "semantic", "cityscapes", 1024, _vit(1024, 24, 16, 4, 100), 0, 0.0, 0),
    ("coco_panoptic_eomt_large_640_dinov3", "panoptic", "coco-panoptic", 640, _vit(1024, 24, 16, 4, 200), 0, 0.0, 0),
):
    _data, _, _rest = _name.partition("_eomt_")
    _is_dinov3 = _name.endswith("dinov3")
    register(
        Model(
            name=f"eomt-{_rest}-{_data}".replace("_", "-"),
            technique=_technique,  # type: ignore[arg-type]
            family="eomt",
            size=(_side, _side),
            labels=_labels,
            options={**_options, "backbone": "dinov3" if _is_dinov3 else "dinov2"},
            checkpoint=Checkpoint(f"tue-mps/{_name}", "DINOv3 License" if _is_dinov3 else "MIT"),
            multiple=16,
            parameters=_parameters,
            gmacs=_gmacs,
            head_bytes=_head_bytes,
        )
    )


# OneFormer: one network for the three techniques; the task is chosen when it is exported.
for _backbone, _data, _size in (("swin-tiny", "ade", 512), ("swin-large", "ade", 640), ("swin-large", "coco", 800)):
    for _technique, _parameters, _gmacs, _head_bytes in (
        ("panoptic", 0, 0.0, 0),
        ("instance", 0, 0.0, 0),
        ("semantic", 0, 0.0, 0),
    ):
        register(
            Model(
                name=f"oneformer-{_backbone}-{_data}-{_technique}",
                technique=_technique,  # type: ignore[arg-type]
                family="oneformer",
                size=(_size, 1088 if _data == "coco" else _size),
                labels=_DATA_SETS[_data],
                options={
                    "backbone_config": _BACKBONES[_backbone],
                    "num_queries": 250 if (_backbone, _data) == ("swin-large", "ade") else 150,
                },
                checkpoint=Checkpoint(
                    f"shi-labs/oneformer_{'ade20k' if _data == 'ade' else _data}_{_backbone.replace('-', '_')}", "MIT"
                ),
                multiple=32,
                parameters=_parameters,
                gmacs=_gmacs,
                head_bytes=_head_bytes,
            )
        )
