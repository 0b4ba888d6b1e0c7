"""torchvision's Mask R-CNN with static shapes alone: no NonZero, NonMaxSuppression or RoiAlign, for TensorRT.

The layers are the source network's own; anchors, selection, suppression and pooling are written anew. Any size is
taken; the default is torchvision's own (shortest side 800, longest 1333).
"""

from segrt.export.family import Checkpoint, Model

POSITION = 30
MODELS = tuple(
    Model(
        name=name,
        technique="instance",
        family="maskrcnn",
        size=(800, 1333),
        labels="coco",
        options={"factory": name},
        checkpoint=Checkpoint(f"https://download.pytorch.org/models/{weights}", "BSD-3-Clause"),
        code_licence="BSD-3-Clause",
        parameters=parameters,
        gmacs=gmacs,
        head_bytes=316_000,
    )
    for name, weights, parameters, gmacs in (
        ("maskrcnn_resnet50_fpn", "maskrcnn_resnet50_fpn_coco-bf2d0c1e.pth", 44_454_513, 267.39),
        ("maskrcnn_resnet50_fpn_v2", "maskrcnn_resnet50_fpn_v2_coco-73cbd019.pth", 46_359_409, 434.75),
    )
)
