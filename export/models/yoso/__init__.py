"""YOSO (Hu et al., "You Only Segment Once: Towards Real-Time Panoptic Segmentation", CVPR 2023), written here.

Modules carry the names of the authors' state dicts (hujiecpp/YOSO), so that their weights load. The sizes are those at
which the authors give a figure.
"""

from segrt.export.family import Checkpoint, Model

POSITION = 115
_RELEASE = "https://github.com/hujiecpp/YOSO/releases/download/v0.1"

MODELS = (
    Model(
        name="yoso-resnet50-coco",
        technique="panoptic",
        family="yoso",
        size=(512, 800),
        labels="coco-panoptic",
        options={"score_threshold": 0.7},
        checkpoint=Checkpoint(f"{_RELEASE}/yoso_res50_coco.pth", "MIT"),
        code_licence="MIT",
        multiple=32,
        parameters=41_989_527,
        gmacs=57.13,
        head_bytes=10_293_600,
    ),
    Model(
        name="yoso-resnet50-cityscapes",
        technique="panoptic",
        family="yoso",
        size=(1024, 2048),
        labels="cityscapes",
        options={"score_threshold": 0.8, "layers": 3},
        checkpoint=Checkpoint(f"{_RELEASE}/yoso_res50_cityscapes.pth", "MIT"),
        code_licence="MIT",
        multiple=32,
        parameters=42_356_517,
        gmacs=291.19,
        head_bytes=52_436_800,
    ),
)
