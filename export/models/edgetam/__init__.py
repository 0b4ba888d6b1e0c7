"""EdgeTAM (Zhou et al., "EdgeTAM: On-Device Track Anything Model", CVPR 2025) of transformers: masks by prompts.

The image part alone: an encoder that sees a picture once, and a decoder that answers boxes and points; the memory that
follows an object through a video is left out. Its square picture may have another size than that of its training.
"""

from segrt.export.family import Checkpoint, Model

POSITION = 125

MODELS = (
    Model(
        name="edgetam-repvit-m1",
        technique="instance",
        family="edgetam",
        size=(1024, 1024),
        labels="object",
        options={},
        checkpoint=Checkpoint("yonigozlan/EdgeTAM-hf", "Apache-2.0"),
        multiple=32,
        parameters=9_120_641,
        gmacs=21.31,
        head_bytes=1_048_592,
        needs=("timm",),
        prompts=True,
    ),
)
