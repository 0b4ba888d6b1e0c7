"""MaskFormer (Cheng et al., "Per-Pixel Classification is Not All You Need for Semantic Segmentation"), of transformers.

The weights may not be used commercially.
"""

from segrt.export.family import Checkpoint, Model
from segrt.export.models.shared.query_backbones import BACKBONES, CLASS_LISTS

POSITION = 100
_SMALL_ADE, _LARGE_ADE, _COCO = (512, 512), (640, 640), (800, 1088)

MODELS = tuple(
    Model(
        name=f"maskformer-{backbone}-{data}",
        technique="panoptic" if data == "coco" else "semantic",
        family="maskformer",
        size=size,
        labels=CLASS_LISTS[data],
        options={"backbone_config": BACKBONES[backbone], "decoder_config": {"model_type": "detr"}},
        checkpoint=Checkpoint(f"facebook/maskformer-{backbone}-{data}", "CC-BY-NC-4.0"),
        multiple=32,
        parameters=parameters,
        gmacs=gmacs,
        head_bytes=head_bytes,
    )
    for backbone, data, size, parameters, gmacs, head_bytes in (
        ("swin-tiny", "coco", _COCO, 41_754_176, 162.39, 21_813_600),
        ("swin-small", "coco", _COCO, 63_072_080, 240.03, 21_813_600),
        ("swin-base", "coco", _COCO, 101_827_070, 386.22, 21_813_600),
        ("swin-large", "coco", _COCO, 211_574_330, 753.92, 21_813_600),
        ("resnet50", "coco", _COCO, 41_303_494, 159.04, 21_813_600),
        ("resnet101", "coco", _COCO, 60_295_622, 223.43, 21_813_600),
        ("swin-tiny", "ade", _SMALL_ADE, 41_758_545, 50.68, 6_614_000),
        ("swin-small", "ade", _SMALL_ADE, 63_076_449, 74.4, 6_614_000),
        ("swin-base", "ade", _LARGE_ADE, 101_831_439, 187.94, 10_300_400),
        ("swin-large", "ade", _LARGE_ADE, 211_578_699, 367.52, 10_300_400),
        ("resnet50", "ade", _SMALL_ADE, 41_307_863, 48.54, 6_614_000),
    )
)
