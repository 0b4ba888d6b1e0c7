"""SOLOv2, written from the paper (X. Wang et al., "SOLOv2: Dynamic and Fast Instance Segmentation", NeurIPS 2020).

Modules are named as mmdetection's, so that its published weights load: those without deformable convolutions. The
light networks have a smaller head and were trained on smaller pictures.
"""

from collections.abc import Mapping

from segrt.export.family import Checkpoint, Model, Size

POSITION = 40
_LIGHT = {"stacked": 2, "channels": 256, "mask_channels": 128}
_LARGE_SIZE, _LARGE_HEADS = (800, 1333), 134_406_000
_LIGHT_SIZE, _LIGHT_HEADS = (448, 768), 43_014_000


def _model(
    name: str, size: Size, options: Mapping[str, int], weights: str, parameters: int, gmacs: float, head_bytes: int
) -> Model:
    folder = f"solov2_{weights.partition('_coco')[0]}_coco"
    address = f"https://download.openmmlab.com/mmdetection/v2.0/solov2/{folder}/solov2_{weights}.pth"
    return Model(
        name=f"solov2-{name}",
        technique="instance",
        family="solov2",
        size=size,
        labels="coco",
        options=options,
        checkpoint=Checkpoint(address, "Apache-2.0"),
        parameters=parameters,
        gmacs=gmacs,
        head_bytes=head_bytes,
    )


MODELS = (
    *(
        _model(name, _LARGE_SIZE, {"depth": depth}, weights, parameters, gmacs, _LARGE_HEADS)
        for name, depth, weights, parameters, gmacs in (
            ("resnet50", 50, "r50_fpn_3x_coco_20220512_125856-fed092d4", 46_592_912, 261.16),
            ("resnet101", 101, "r101_fpn_3x_coco_20220511_095119-c559a076", 65_585_040, 340.71),
        )
    ),
    *(
        _model(name, _LIGHT_SIZE, {"depth": depth, **_LIGHT}, weights, parameters, gmacs, _LIGHT_HEADS)
        for name, depth, weights, parameters, gmacs in (
            ("light-resnet18", 18, "light_r18_fpn_3x_coco_20220511_083717-75fa355b", 18_271_760, 52.89),
            ("light-resnet34", 34, "light_r34_fpn_3x_coco_20220511_091839-e51659d3", 28_379_920, 65.57),
            ("light-resnet50", 50, "light_r50_fpn_3x_coco_20220512_165256-c93a6074", 31_340_560, 70.46),
        )
    ),
)
