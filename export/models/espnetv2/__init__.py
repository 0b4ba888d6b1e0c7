"""ESPNetv2 (Mehta et al., "ESPNetv2: A Light-weight, Power Efficient, and General Purpose CNN"), for Cityscapes.

Written from the paper, under the names of its authors' EdgeNets repository, whose weights are the published ones. They
have a twentieth class, "background", behind the 19 of Cityscapes. Those for Pascal VOC load with `--labels voc`.
"""

from segrt.export.family import Checkpoint, Model

POSITION = 75
_ZOO = "https://github.com/sacmehta/EdgeNets/raw/master/model/segmentation/model_zoo/espnetv2"

MODELS = tuple(
    Model(
        name=f"espnetv2-s{scale:g}",
        technique="semantic",
        family="espnetv2",
        size=(512, 1024),
        labels="cityscapes",
        options={"scale": scale},
        checkpoint=Checkpoint(f"{_ZOO}/espnetv2_s_{scale}_city_1024x512.pth", "MIT"),
        code_licence="MIT",
        multiple=16,
        parameters=parameters,
        gmacs=gmacs,
        head_bytes=20 * 256 * 512 * 4,
    )
    for scale, parameters, gmacs in (
        (0.5, 80_342, 2.66),
        (1.0, 234_010, 3.14),
        (1.5, 468_362, 3.77),
        (2.0, 789_242, 4.76),
    )
)
