"""BiSeNetV2 (Yu et al., "BiSeNet V2: Bilateral Network with Guided Aggregation"), for Cityscapes and ADE20K.

Written from the paper, under the names of CoinCheung/BiSeNet, whose weights are the published ones.
"""

from segrt.export.family import Checkpoint, Model

POSITION = 73
_RELEASE = "https://github.com/CoinCheung/BiSeNet/releases/download/0.0.0"

MODELS = tuple(
    Model(
        name=f"bisenetv2-{labels}",
        technique="semantic",
        family="bisenetv2",
        size=size,
        labels=labels,
        checkpoint=Checkpoint(f"{_RELEASE}/{file}.pth", "MIT"),
        code_licence="MIT",
        multiple=32,
        parameters=parameters,
        gmacs=gmacs,
        head_bytes=classes * (size[0] // 8) * (size[1] // 8) * 4,
    )
    for labels, file, classes, size, parameters, gmacs in (
        ("cityscapes", "model_final_v2_city", 19, (1024, 2048), 3_358_627, 98.41),
        ("ade20k", "model_final_v2_ade20k", 150, (640, 640), 3_492_902, 20.08),
    )
)
