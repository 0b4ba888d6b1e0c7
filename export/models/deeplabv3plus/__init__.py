"""DeepLabV3+ (Chen et al., "Encoder-Decoder with Atrous Separable Convolution"), of segmentation_models_pytorch.

Nobody publishes weights of the whole network in this layout, only encoders trained on ImageNet.
"""

from segrt.export.family import Checkpoint, Model

POSITION = 50
_TORCHVISION_ENCODER, _EFFICIENTNET_ENCODER = "BSD-3-Clause (torchvision's)", "Apache-2.0 (EfficientNet-PyTorch's)"

MODELS = tuple(
    Model(
        name=f"deeplabv3plus-{name}",
        technique="semantic",
        family="deeplabv3plus",
        size=(512, 512),
        labels="voc",
        options={"encoder_name": encoder},
        checkpoint=Checkpoint(address, licence, covers="encoder"),
        code_licence="MIT",
        multiple=16,
        parameters=parameters,
        gmacs=gmacs,
        head_bytes=21 * 128 * 128 * 4,
        needs=("segmentation-models-pytorch",),
    )
    for name, encoder, address, licence, parameters, gmacs in (
        ("xception65", "tu-xception65", "timm/xception65.ra3_in1k", "Apache-2.0", 41_042_005, 50.24),
        ("xception71", "tu-xception71", "timm/xception71.tf_in1k", "Apache-2.0", 43_464_429, 61.96),
        ("resnet50", "resnet50", "smp-hub/resnet50.imagenet", _TORCHVISION_ENCODER, 26_682_725, 36.65),
        ("resnet101", "resnet101", "smp-hub/resnet101.imagenet", _TORCHVISION_ENCODER, 45_674_853, 56.04),
        ("mobilenet-v2", "mobilenet_v2", "smp-hub/mobilenet_v2.imagenet", _TORCHVISION_ENCODER, 4_383_653, 6.01),
        (
            "efficientnet-b0",
            "efficientnet-b0",
            "smp-hub/efficientnet-b0.imagenet",
            _EFFICIENTNET_ENCODER,
            4_912_609,
            5.74,
        ),
        (
            "efficientnet-b4",
            "efficientnet-b4",
            "smp-hub/efficientnet-b4.imagenet",
            _EFFICIENTNET_ENCODER,
            18_621_357,
            17.94,
        ),
    )
)
