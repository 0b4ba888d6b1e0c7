"""Mask2Former (Cheng et al., "Masked-attention Mask Transformer for Universal Image Segmentation"), of transformers.

The authors' code is under the MIT licence; their zoo says that the weights may not be used commercially, and the hub
says nothing else.
"""

from segrt.export.family import Checkpoint, Model
from segrt.export.models.shared.query_backbones import BACKBONES, CLASS_LISTS
from segrt.runtime.results.technique import Technique

POSITION = 110


def _model(backbone: str, data: str, technique: Technique, parameters: int, gmacs: float, head_bytes: int) -> Model:
    name = f"mask2former-{backbone}-{data}-{technique}"
    return Model(
        name=name,
        technique=technique,
        family="mask2former",
        size=(384, 384),
        labels="coco" if (data, technique) == ("coco", "instance") else CLASS_LISTS[data],
        options={
            "backbone_config": BACKBONES[backbone],
            "num_queries": 200 if backbone == "swin-large" and technique != "semantic" else 100,
        },
        checkpoint=None if backbone == "resnet50" else Checkpoint(f"facebook/{name}", "CC-BY-NC-4.0"),
        multiple=32,
        parameters=parameters,
        gmacs=gmacs,
        head_bytes=head_bytes,
    )


MODELS = (
    _model("swin-tiny", "coco", "panoptic", 47_436_800, 39.8, 3_740_000),
    _model("swin-small", "coco", "panoptic", 68_754_704, 53.86, 3_740_000),
    _model("swin-base", "coco", "panoptic", 106_919_870, 72.73, 3_740_000),
    _model("swin-large", "coco", "panoptic", 215_538_682, 134.56, 7_480_000),
    _model("resnet50", "coco", "panoptic", 44_036_998, 38.22, 3_740_000),
    _model("swin-large", "ade", "panoptic", 215_543_051, 134.56, 7_493_600),
    _model("swin-tiny", "cityscapes", "panoptic", 47_407_502, 39.8, 3_694_400),
    _model("swin-small", "cityscapes", "panoptic", 68_725_406, 53.86, 3_694_400),
    _model("swin-large", "cityscapes", "panoptic", 215_509_384, 134.56, 7_388_800),
    _model("swin-tiny", "coco", "instance", 47_423_179, 39.8, 3_718_800),
    _model("swin-small", "coco", "instance", 68_741_083, 53.86, 3_718_800),
    _model("swin-base", "coco", "instance", 106_906_249, 72.73, 3_718_800),
    _model("swin-large", "coco", "instance", 215_525_061, 134.56, 7_437_600),
    _model("swin-tiny", "ade", "semantic", 47_441_169, 39.8, 3_746_800),
    _model("swin-small", "ade", "semantic", 68_759_073, 53.86, 3_746_800),
    _model("swin-base", "ade", "semantic", 106_924_239, 72.73, 3_746_800),
    _model("swin-large", "ade", "semantic", 215_491_851, 129.85, 3_746_800),
    _model("swin-tiny", "cityscapes", "semantic", 47_407_502, 39.8, 3_694_400),
    _model("swin-small", "cityscapes", "semantic", 68_725_406, 53.86, 3_694_400),
    _model("swin-large", "cityscapes", "semantic", 215_458_184, 129.84, 3_694_400),
)
