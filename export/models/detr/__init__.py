"""DETR for panoptic segmentation (Carion et al., "End-to-End Object Detection with Transformers"), of transformers.

timm's ResNets are those of the published weights.
"""

from segrt.export.family import Checkpoint, Model

POSITION = 90
MODELS = tuple(
    Model(
        name=f"detr-resnet{depth}-panoptic",
        technique="panoptic",
        family="detr",
        size=(800, 1066),
        labels="coco-panoptic",
        options={"backbone": f"resnet{depth}"},
        checkpoint=Checkpoint(f"facebook/detr-resnet-{depth}-panoptic", "Apache-2.0"),
        parameters=parameters,
        gmacs=gmacs,
        head_bytes=21_460_400,
        needs=("timm",),
    )
    for depth, parameters, gmacs in ((50, 42_899_288, 185.32), (101, 61_839_192, 248.76))
)
