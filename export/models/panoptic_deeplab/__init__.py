"""Panoptic-DeepLab (Cheng et al., CVPR 2020), written here, with detectron2's published weights.

ResNet-52 is ResNet-50 with a stem of three 3x3 convolutions; DSConv (the paper's own network) has depthwise separable
convolutions behind the backbone.
"""

from segrt.export.family import Checkpoint, Model

POSITION = 20
_DETECTRON2 = "https://dl.fbaipublicfiles.com/detectron2/PanopticDeepLab"
_UNSAID = "not stated (detectron2's zoo is CC-BY-SA-3.0)"
_CITYSCAPES = f"{_DETECTRON2}/Cityscapes-PanopticSegmentation/panoptic_deeplab_R_52_os16_mg124_poly_90k_bs32"
_COCO = f"{_DETECTRON2}/COCO-PanopticSegmentation/panoptic_deeplab_R_52_os16_mg124_poly_200k_bs64"

MODELS = (
    Model(
        name="panoptic-deeplab-resnet52-cityscapes",
        technique="panoptic",
        family="panoptic_deeplab",
        size=(1024, 2048),
        labels="cityscapes",
        checkpoint=Checkpoint(f"{_CITYSCAPES}/model_final_bd324a.pkl", _UNSAID),
        multiple=16,
        parameters=59_770_166,
        gmacs=1040.23,
        head_bytes=11_534_336,
    ),
    Model(
        name="panoptic-deeplab-resnet52-dsconv-cityscapes",
        technique="panoptic",
        family="panoptic_deeplab",
        size=(1024, 2048),
        labels="cityscapes",
        options={"separable": True},
        checkpoint=Checkpoint(f"{_CITYSCAPES}_crop_512_1024_dsconv/model_final_23d03a.pkl", _UNSAID),
        multiple=16,
        parameters=30_271_350,
        gmacs=416.79,
        head_bytes=11_534_336,
    ),
    Model(
        name="panoptic-deeplab-resnet52-dsconv-coco",
        technique="panoptic",
        family="panoptic_deeplab",
        size=(640, 640),
        labels="coco-panoptic",
        options={"separable": True, "train_size": (640, 640), "nms_kernel": 41, "stuff_area_limit": 4096},
        checkpoint=Checkpoint(f"{_COCO}_crop_640_640_coco_dsconv/model_final_5e6da2.pkl", _UNSAID),
        multiple=16,
        parameters=30_300_648,
        gmacs=81.71,
        head_bytes=13_926_400,
    ),
    # Measured in the paper's reproduction, never published.
    Model(
        name="panoptic-deeplab-resnet50-cityscapes",
        technique="panoptic",
        family="panoptic_deeplab",
        size=(1024, 2048),
        labels="cityscapes",
        options={"deep_stem": False, "stride_in_1x1": True, "train_size": (1024, 2048)},
        multiple=16,
        parameters=59_646_390,
        gmacs=974.90,
        head_bytes=11_534_336,
    ),
)
