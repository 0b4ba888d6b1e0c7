"""SOLO and Decoupled SOLO, written from the paper (X. Wang et al., "SOLO: Segmenting Objects by Locations", ECCV 2020).

Modules are named as mmdetection's; its weights and those of the authors' repository load, except of networks with
deformable convolutions. mmdetection publishes no weights on ResNet-101, the authors do. The light head was trained on
smaller pictures.
"""

from segrt.export.family import Checkpoint, Model

POSITION = 38
_SIZE, _LIGHT_SIZE = (800, 1333), (512, 852)
_AUTHORS = "https://huggingface.co/xinlongwang/SOLO/resolve/main"
_THEIR_LICENCE = "BSD-2-Clause for academic use; commercial use by agreement with the authors"

_LARGE_HEADS, _LIGHT_HEADS = 134_406_000, 55_302_000


def _published(name: str, file: str) -> Checkpoint:
    """Return mmdetection's weights."""
    return Checkpoint(f"https://download.openmmlab.com/mmdetection/v2.0/solo/{name}/{name}_{file}.pth", "Apache-2.0")


def _authors(file: str) -> Checkpoint:
    """Return the authors' weights."""
    return Checkpoint(f"{_AUTHORS}/{file}.pth", _THEIR_LICENCE)


MODELS = tuple(
    Model(
        name=name,
        technique="instance",
        family="solo",
        size=_LIGHT_SIZE if head == "light" else _SIZE,
        labels="coco",
        options={"depth": depth, "head": head, "stacked": 4 if head == "light" else 7},
        checkpoint=checkpoint,
        parameters=parameters,
        gmacs=gmacs,
        head_bytes=_LIGHT_HEADS if head == "light" else _LARGE_HEADS,
    )
    for name, depth, head, checkpoint, parameters, gmacs in (
        (
            "solo-resnet50",
            50,
            "solo",
            _published("solo_r50_fpn_3x_coco", "20210901_012353-11d224d7"),
            36_301_232,
            350.53,
        ),
        ("solo-resnet101", 101, "solo", _authors("SOLO_R101_3x"), 55_293_360, 430.08),
        (
            "decoupled-solo-resnet50",
            50,
            "decoupled",
            _published("decoupled_solo_r50_fpn_3x_coco", "20210821_042504-7b3301ec"),
            40_028_560,
            520.77,
        ),
        ("decoupled-solo-resnet101", 101, "decoupled", _authors("DECOUPLED_SOLO_R101_3x"), 59_020_688, 600.32),
        (
            "decoupled-solo-light-resnet50",
            50,
            "light",
            _published("decoupled_solo_light_r50_fpn_3x_coco", "20210906_142703-e70e226f"),
            32_354_192,
            120.41,
        ),
    )
)
