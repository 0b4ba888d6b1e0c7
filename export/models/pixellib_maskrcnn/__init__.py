"""PixelLib's instance network: Mask R-CNN of Matterport (Keras), weights as it publishes them (mask_rcnn_coco.h5).

`--weights mask_rcnn_coco.h5` is read with h5py; TensorFlow is not needed. With `--labels` it takes weights of other
classes, as PixelLib trains them. Static shapes alone, for TensorRT.
"""

from segrt.export.family import Checkpoint, Model

POSITION = 32
_PUBLISHED = Checkpoint("https://github.com/matterport/Mask_RCNN/releases/download/v2.0/mask_rcnn_coco.h5", "MIT")
MODELS = tuple(
    Model(
        name=f"pixellib-maskrcnn-resnet{depth}",
        technique="instance",
        family="pixellib_maskrcnn",
        size=(1024, 1024),
        labels="coco",
        options={"blocks": blocks},
        checkpoint=checkpoint,
        code_licence="MIT",
        multiple=64,
        parameters=parameters,
        gmacs=gmacs,
        head_bytes=316_000,
        needs=("h5py",),
    )
    for depth, blocks, checkpoint, parameters, gmacs in (
        (50, (3, 4, 6, 3), None, 45_028_856, 309.49),
        (101, (3, 4, 23, 3), _PUBLISHED, 64_047_096, 387.07),
    )
)
