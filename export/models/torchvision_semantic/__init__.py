"""torchvision's semantic networks: DeepLabV3 (MobileNetV3, ResNet-50, ResNet-101), LR-ASPP, FCN.

The published weights were trained on COCO images with the classes of Pascal VOC.
"""

from segrt.export.family import Checkpoint, Model

POSITION = 10
MODELS = tuple(
    Model(
        name=name,
        technique="semantic",
        family="torchvision_semantic",
        size=(520, 520),
        labels="voc",
        options={"function": name},
        checkpoint=Checkpoint(f"https://download.pytorch.org/models/{weights}.pth", "BSD-3-Clause"),
        code_licence="BSD-3-Clause",
        parameters=parameters,
        gmacs=gmacs,
        head_bytes=head_bytes,
    )
    for name, weights, parameters, gmacs, head_bytes in (
        ("deeplabv3_mobilenet_v3_large", "deeplabv3_mobilenet_v3_large-fc3c493d", 11_025_477, 10.44, 91_476),
        ("deeplabv3_resnet50", "deeplabv3_resnet50_coco-cd0a2569", 39_638_869, 168.73, 354_900),
        ("deeplabv3_resnet101", "deeplabv3_resnet101_coco-586e9e4e", 58_630_997, 248.75, 354_900),
        ("lraspp_mobilenet_v3_large", "lraspp_mobilenet_v3_large-d234d4ea", 3_221_538, 2.09, 354_900),
        ("fcn_resnet50", "fcn_resnet50_coco-1167a1af", 32_957_013, 142.73, 354_900),
        ("fcn_resnet101", "fcn_resnet101_coco-7ecb50ca", 51_949_141, 222.75, 354_900),
    )
)
