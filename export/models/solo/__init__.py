"""SOLO and Decoupled SOLO, written from the paper (X. Wang et al., "SOLO: Segmenting Objects by Locations", ECCV 2020).

Modules are named as mmdetection's; its weights and those of the authors' repository load, except of networks with
deformable convolutions. mmdetection publishes no weights on ResNet-101, the authors do. The light head was trained on
smaller pictures.
"""

from segrt.export.family import Checkpoint, Model

POSITION = 38
_SIZE, _LIGHT_SIZE = (800, 1333), (512, 852)
_PUBLISHED = "https://download.openmmlab.com/mmdetection/v2.0/solo"
_AUTHORS = "https://huggingface.co/xinlongwang/SOLO/resolve/main"
_THEIR_LICENCE = "BSD-2-Clause for academic use; commercial use by agreement with the authors"

MODELS = tuple(
    Model(
        name=name,
        technique="instance",
        family="solo",
        size=size,
        labels="coco",
        options={"depth": depth, "head": head, "stacked": stacked},
        checkpoint=Checkpoint(address, licence),
        parameters=parameters,
        gmacs=gmacs,
        head_bytes=head_bytes,
    )
    for name, size, depth, head, stacked, address, licence, parameters, gmacs, head_bytes in (
        (
            "solo-resnet50",
            _SIZE,
            50,
            "solo",
            7,
            f"{_PUBLISHED}/solo_r50_fpn_3x_coco/solo_r50_fpn_3x_coco_20210901_012353-11d224d7.pth",
            "Apache-2.0",
            1,
            1.0,
            1,
        ),
        ("solo-resnet101", _SIZE, 101, "solo", 7, f"{_AUTHORS}/SOLO_R101_3x.pth", _THEIR_LICENCE, 1, 1.0, 1),
        (
            "decoupled-solo-resnet50",
            _SIZE,
            50,
            "decoupled",
            7,
            f"{_PUBLISHED}/decoupled_solo_r50_fpn_3x_coco/decoupled_solo_r50_fpn_3x_coco_20210821_042504-7b3301ec.pth",
            "Apache-2.0",
            1,
            1.0,
            1,
        ),
        (
            "decoupled-solo-resnet101",
            _SIZE,
            101,
            "decoupled",
            7,
            f"{_AUTHORS}/DECOUPLED_SOLO_R101_3x.pth",
            _THEIR_LICENCE,
            1,
            1.0,
            1,
        ),
        (
            "decoupled-solo-light-resnet50",
            _LIGHT_SIZE,
            50,
            "light",
            4,
            f"{_PUBLISHED}/decoupled_solo_light_r50_fpn_3x_coco/"
            "decoupled_solo_light_r50_fpn_3x_coco_20210906_142703-e70e226f.pth",
            "Apache-2.0",
            1,
            1.0,
            1,
        ),
    )
)
