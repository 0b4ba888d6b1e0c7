"""The table's entries of DeepLabV3+, SegFormer, UPerNet and RF-DETR-Seg."""

from segrt.export.models.table import Checkpoint, Model, register

# DeepLabV3+. Nobody publishes weights of the whole network in this layout, only encoders trained on ImageNet.
_TORCHVISION_ENCODER, _EFFICIENTNET_ENCODER = "BSD-3-Clause (torchvision's)", "Apache-2.0 (EfficientNet-PyTorch's)"
for _name, _encoder, _address, _licence, _parameters, _gmacs in (
    ("xception65", "tu-xception65", "timm/xception65.ra3_in1k", "Apache-2.0", 41_042_005, 50.24),
    ("xception71", "tu-xception71", "timm/xception71.tf_in1k", "Apache-2.0", 43_464_429, 61.96),
    ("resnet50", "resnet50", "smp-hub/resnet50.imagenet", _TORCHVISION_ENCODER, 26_682_725, 36.65),
    ("resnet101", "resnet101", "smp-hub/resnet101.imagenet", _TORCHVISION_ENCODER, 45_674_853, 56.04),
    ("mobilenet-v2", "mobilenet_v2", "smp-hub/mobilenet_v2.imagenet", _TORCHVISION_ENCODER, 4_383_653, 6.01),
    ("efficientnet-b0", "efficientnet-b0", "smp-hub/efficientnet-b0.imagenet", _EFFICIENTNET_ENCODER, 4_912_609, 5.74),
    (
        "efficientnet-b4",
        "efficientnet-b4",
        "smp-hub/efficientnet-b4.imagenet",
        _EFFICIENTNET_ENCODER,
        18_621_357,
        17.94,
    ),
):
    register(
        Model(
            name=f"deeplabv3plus-{_name}",
            technique="semantic",
            family="deeplabv3plus",
            size=(512, 512),
            labels="voc",
            options={"encoder_name": _encoder},
            checkpoint=Checkpoint(_address, _licence, covers="encoder"),
            code_licence="MIT",
            multiple=16,
            parameters=_parameters,
            gmacs=_gmacs,
            head_bytes=21 * 128 * 128 * 4,
            needs=("segmentation-models-pytorch",),
        )
    )


# SegFormer: weights for ADE20K and for Cityscapes. Their licence forbids commercial use.
_SEGFORMER = "NVIDIA Source Code License for SegFormer (non-commercial)"
for _name, _depths, _widths, _decoder, _side, _parameters, _gmacs, _street_gmacs in (
    ("b0", (2, 2, 2, 2), (32, 64, 160, 256), 256, 512, 3_752_694, 8.39, 43.84),
    ("b1", (2, 2, 2, 2), (64, 128, 320, 512), 256, 512, 13_715_798, 15.88, 86.28),
    ("b2", (3, 4, 6, 3), (64, 128, 320, 512), 768, 512, 27_461_974, 62.34, 289.47),
    ("b3", (3, 4, 18, 3), (64, 128, 320, 512), 768, 512, 47_337_814, 78.96, 380.13),
    ("b4", (3, 8, 27, 3), (64, 128, 320, 512), 768, 512, 64_108_374, 95.57, 477.55),
    ("b5", (3, 6, 40, 3), (64, 128, 320, 512), 768, 640, 84_708_694, 183.14, 561.05),
):
    for _data, _labels, _classes, _size, _cost in (
        ("ade", "ade20k", 150, _side, _gmacs),
        ("cityscapes", "cityscapes", 19, 1024, _street_gmacs),
    ):
        register(
            Model(
                name=f"segformer-{_name}-{_data}",
                technique="semantic",
                family="segformer",
                size=(_size, _size),
                labels=_labels,
                options={"depths": _depths, "hidden_sizes": _widths, "decoder_hidden_size": _decoder},
                checkpoint=Checkpoint(f"nvidia/segformer-{_name}-finetuned-{_data}-{_size}-{_size}", _SEGFORMER),
                multiple=32,
                parameters=_parameters - (150 - _classes) * (_decoder + 1),
                gmacs=_cost,
                head_bytes=_classes * (_size // 4) ** 2 * 4,
            )
        )


# UPerNet with weights for ADE20K, converted from mmsegmentation: backbone, embedding or widths, depths, heads or none.
for _name, _width, _depths, _heads, _window, _side, _parameters, _gmacs in (
    ("swin-tiny", 96, (2, 2, 6, 2), (3, 6, 12, 24), 7, 512, 59_943_398, 236.86),
    ("swin-small", 96, (2, 2, 18, 2), (3, 6, 12, 24), 7, 512, 81_261_302, 260.58),
    ("swin-base", 128, (2, 2, 18, 2), (4, 8, 16, 32), 12, 512, 121_417_124, 305.51),
    ("swin-large", 192, (2, 2, 18, 2), (6, 12, 24, 48), 12, 512, 233_966_048, 419.34),
    ("convnext-tiny", 96, (3, 3, 9, 3), (), 0, 512, 60_242_636, 234.64),
    ("convnext-small", 96, (3, 3, 27, 3), (), 0, 512, 81_877_196, 256.73),
    ("convnext-base", 128, (3, 3, 27, 3), (), 0, 512, 122_102_956, 292.36),
    ("convnext-large", 192, (3, 3, 27, 3), (), 0, 640, 234_994_796, 614.37),
    ("convnext-xlarge", 256, (3, 3, 27, 3), (), 0, 640, 391_140_396, 833.60),
):
    _backbone = (
        {"model_type": "swin", "embed_dim": _width, "depths": _depths, "num_heads": _heads, "window_size": _window}
        if _heads
        else {"model_type": "convnext", "hidden_sizes": tuple(_width << stage for stage in range(4)), "depths": _depths}
    )
    register(
        Model(
            name=f"upernet-{_name}",
            technique="semantic",
            family="upernet",
            size=(_side, _side),
            labels="ade20k",
            options={"backbone_config": _backbone, "auxiliary_in_channels": 4 * _width},
            checkpoint=Checkpoint(f"openmmlab/upernet-{_name}", "MIT"),
            multiple=32,
            parameters=_parameters,
            gmacs=_gmacs,
            head_bytes=150 * (_side // 4) ** 2 * 4,
        )
    )


# RF-DETR-Seg with its authors' weights. Sizes differ in side, windows, layers of the decoder and queries; the side is a
# multiple of a patch of 12 pixels times the windows.
for _name, _file, _side, _windows, _layers, _queries, _parameters, _gmacs in (
    ("nano", "rf-detr-seg-n-ft.pth", 312, 1, 4, 100, 33_577_475, 22.88),
    ("small", "rf-detr-seg-s-ft.pth", 384, 2, 4, 100, 33_711_107, 32.23),
    ("medium", "rf-detr-seg-m-ft.pth", 432, 2, 5, 200, 35_694_259, 44.20),
    ("large", "rf-detr-seg-l-ft.pth", 504, 2, 5, 300, 36_211_971, 64.17),
    ("xlarge", "rf-detr-seg-xl-ft.pth", 624, 2, 6, 300, 38_113_635, 109.49),
    ("2xlarge", "rf-detr-seg-2xl-ft.pth", 768, 2, 6, 300, 38_648_163, 187.23),
    ("preview", "rf-detr-seg-preview.pt", 432, 2, 4, 200, 34_153_555, 43.02),
):
    register(
        Model(
            name=f"rfdetr-seg-{_name}",
            technique="instance",
            family="rfdetr",
            size=(_side, _side),
            labels="coco",
            options={
                "num_queries": _queries,
                "decoder_layers": _layers,
                "decoder_n_points": 2,
                "backbone_config": {"num_windows": _windows, "image_size": _side},
            },
            checkpoint=Checkpoint(f"https://storage.googleapis.com/rfdetr/{_file}", "Apache-2.0"),
            multiple=12 * _windows,
            parameters=_parameters,
            gmacs=_gmacs,
            head_bytes=_queries * (91 + (_side // 4) ** 2) * 4,
        )
    )
