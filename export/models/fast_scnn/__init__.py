"""Fast-SCNN (Poudel et al., "Fast-SCNN: Fast Semantic Segmentation Network").

Written from the paper, under the names of Tramac/Fast-SCNN-pytorch, whose weights are the published ones: the paper's
authors published none.
"""

from segrt.export.family import Checkpoint, Model

POSITION = 74

MODELS = (
    Model(
        name="fast-scnn",
        technique="semantic",
        family="fast_scnn",
        size=(1024, 2048),
        labels="cityscapes",
        checkpoint=Checkpoint(
            "https://github.com/Tramac/Fast-SCNN-pytorch/raw/master/weights/fast_scnn_citys.pth", "Apache-2.0"
        ),
        multiple=32,
        parameters=1_138_051,
        gmacs=6.71,
        head_bytes=19 * 128 * 256 * 4,
    ),
)
