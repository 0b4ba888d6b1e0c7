"""The networks with queries that can be exported: DETR, MaskFormer, Mask2Former, EoMT and OneFormer. Data alone.

The configurations are those of the published weights; where their own are at hand, those count.
"""

from typing import Any

from segrt.export.models.table import Checkpoint, Model, register

# DETR for panoptic segmentation, with COCO's own ids as classes. timm's ResNets are those of the published weights.
for _depth, _parameters, _gmacs in ((50, 42_899_288, 185.32), (101, 61_839_192, 248.76)):
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
    ("swin-tiny", "coco", 41_754_176, 162.39, 21_813_600),
    ("swin-small", "coco", 63_072_080, 240.03, 21_813_600),
    ("swin-base", "coco", 101_827_070, 386.22, 21_813_600),
    ("swin-large", "coco", 211_574_330, 753.92, 21_813_600),
    ("resnet50", "coco", 41_303_494, 159.04, 21_813_600),
    ("resnet101", "coco", 60_295_622, 223.43, 21_813_600),
    ("swin-tiny", "ade", 41_758_545, 50.68, 6_614_000),
    ("swin-small", "ade", 63_076_449, 74.4, 6_614_000),
    ("swin-base", "ade", 101_831_439, 187.94, 10_300_400),
    ("swin-large", "ade", 211_578_699, 367.52, 10_300_400),
    ("resnet50", "ade", 41_307_863, 48.54, 6_614_000),
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
    ("swin-tiny", "coco", "panoptic", 47_436_800, 39.8, 3_740_000),
    ("swin-small", "coco", "panoptic", 68_754_704, 53.86, 3_740_000),
    ("swin-base", "coco", "panoptic", 106_919_870, 72.73, 3_740_000),
    ("swin-large", "coco", "panoptic", 215_538_682, 134.56, 7_480_000),
    ("resnet50", "coco", "panoptic", 44_036_998, 38.22, 3_740_000),
    ("swin-large", "ade", "panoptic", 215_543_051, 134.56, 7_493_600),
    ("swin-tiny", "cityscapes", "panoptic", 47_407_502, 39.8, 3_694_400),
    ("swin-small", "cityscapes", "panoptic", 68_725_406, 53.86, 3_694_400),
    ("swin-large", "cityscapes", "panoptic", 215_509_384, 134.56, 7_388_800),
    ("swin-tiny", "coco", "instance", 47_423_179, 39.8, 3_718_800),
    ("swin-small", "coco", "instance", 68_741_083, 53.86, 3_718_800),
    ("swin-base", "coco", "instance", 106_906_249, 72.73, 3_718_800),
    ("swin-large", "coco", "instance", 215_525_061, 134.56, 7_437_600),
    ("swin-tiny", "ade", "semantic", 47_441_169, 39.8, 3_746_800),
    ("swin-small", "ade", "semantic", 68_759_073, 53.86, 3_746_800),
    ("swin-base", "ade", "semantic", 106_924_239, 72.73, 3_746_800),
    ("swin-large", "ade", "semantic", 215_491_851, 129.85, 3_746_800),
    ("swin-tiny", "cityscapes", "semantic", 47_407_502, 39.8, 3_694_400),
    ("swin-small", "cityscapes", "semantic", 68_725_406, 53.86, 3_694_400),
    ("swin-large", "cityscapes", "semantic", 215_458_184, 129.84, 3_694_400),
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
    (
        "coco_panoptic_eomt_small_640_2x",
        "panoptic",
        "coco-panoptic",
        640,
        _vit(384, 12, 6, 3, 200),
        23_975_942,
        67.82,
        20_587_200,
    ),
    (
        "coco_panoptic_eomt_base_640_2x",
        "panoptic",
        "coco-panoptic",
        640,
        _vit(768, 12, 12, 3, 200),
        93_663_110,
        215.54,
        20_587_200,
    ),
    (
        "coco_panoptic_eomt_large_640",
        "panoptic",
        "coco-panoptic",
        640,
        _vit(1024, 24, 16, 4, 200),
        316_695_686,
        667.97,
        20_587_200,
    ),
    (
        "coco_panoptic_eomt_large_1280",
        "panoptic",
        "coco-panoptic",
        1280,
        _vit(1024, 24, 16, 4, 200),
        321_610_886,
        4144.1,
        82_027_200,
    ),
    (
        "coco_instance_eomt_large_640",
        "instance",
        "coco",
        640,
        _vit(1024, 24, 16, 4, 200),
        316_641_361,
        667.96,
        20_544_800,
    ),
    (
        "ade20k_panoptic_eomt_large_640",
        "panoptic",
        "ade20k",
        640,
        _vit(1024, 24, 16, 4, 200),
        316_713_111,
        667.97,
        20_600_800,
    ),
    (
        "ade20k_semantic_eomt_large_512",
        "semantic",
        "ade20k",
        512,
        _vit(1024, 24, 16, 4, 100),
        316_020_887,
        394.07,
        6_614_000,
    ),
    (
        "cityscapes_semantic_eomt_large_1024",
        "semantic",
        "cityscapes",
        1024,
        _vit(1024, 24, 16, 4, 100),
        319_032_340,
        2173.85,
        26_222_400,
    ),
    (
        "coco_panoptic_eomt_large_640_dinov3",
        "panoptic",
        "coco-panoptic",
        640,
        _vit(1024, 24, 16, 4, 200),
        315_032_710,
        667.97,
        20_587_200,
    ),
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
for _backbone, _data, _size, _queries, _parameters, _gmacs, _head_bytes in (
    ("swin-tiny", "ade", (512, 512), 150, 50_737_937, 81.54, 9_921_000),
    ("swin-large", "ade", (640, 640), 250, 218_814_219, 427.13, 25_751_000),
    ("swin-large", "coco", (800, 1088), 150, 218_784_250, 850.32, 32_720_400),
):
    for _technique in ("panoptic", "instance", "semantic"):
        _name = f"oneformer_{'ade20k' if _data == 'ade' else _data}_{_backbone.replace('-', '_')}"
        register(
            Model(
                name=f"oneformer-{_backbone}-{_data}-{_technique}",
                technique=_technique,  # type: ignore[arg-type]
                family="oneformer",
                size=_size,
                labels=_DATA_SETS[_data],
                options={"backbone_config": _BACKBONES[_backbone], "num_queries": _queries},
                checkpoint=Checkpoint(f"shi-labs/{_name}", "MIT"),
                multiple=32,
                parameters=_parameters,
                gmacs=_gmacs,
                head_bytes=_head_bytes,
            )
        )
