"""PixelLib's semantic network: DeepLabV3+ on Xception of bonlime's Keras version, weights as it publishes them (.h5).

`--weights deeplabv3_xception_tf_dim_ordering_tf_kernels.h5` is read with h5py; TensorFlow is not needed. With
`--labels` it takes weights of other classes, such as those that PixelLib publishes for ADE20K.
"""

from segrt.export.family import Checkpoint, Model

POSITION = 52
_PUBLISHED = (
    "https://github.com/bonlime/keras-deeplab-v3-plus/releases/download/1.1/"
    "deeplabv3_xception_tf_dim_ordering_tf_kernels.h5"
)
MODELS = (
    Model(
        name="pixellib-deeplabv3plus-xception",
        technique="semantic",
        family="pixellib_deeplab",
        size=(512, 512),
        labels="voc",
        checkpoint=Checkpoint(_PUBLISHED, "MIT"),
        code_licence="MIT",
        multiple=8,
        parameters=41_055_413,
        gmacs=171.59,
        head_bytes=21 * 128 * 128 * 4,
        needs=("h5py",),
    ),
)
