"""EoMT (Kerssies et al., "Your ViT is Secretly an Image Segmentation Model"), on DINOv2 and DINOv3, of transformers.

The square picture is fixed by the weights, but for DINOv3, which has rotary positions. Its networks' figures and sizes
are those of its authors' model zoo (github.com/tue-mps/eomt, model_zoo/dinov3.md); for Cityscapes they publish none.
"""

from collections.abc import Mapping

from segrt.export.family import Checkpoint, Model
from segrt.runtime.results.technique import Technique

POSITION = 120


def _vit(width: int, depth: int, heads: int, blocks: int) -> dict[str, int]:
    return {"hidden_size": width, "num_hidden_layers": depth, "num_attention_heads": heads, "num_blocks": blocks}


_SMALL, _BASE, _LARGE = _vit(384, 12, 6, 3), _vit(768, 12, 12, 3), _vit(1024, 24, 16, 4)


def _model(
    checkpoint: str,
    technique: Technique,
    labels: str,
    side: int,
    network: Mapping[str, int],
    parameters: int,
    gmacs: float,
    head_bytes: int,
) -> Model:
    data, _, kind = checkpoint.partition("_eomt_")
    return Model(
        name=f"eomt-{kind}-{data}".replace("_", "-"),
        technique=technique,
        family="eomt",
        size=(side, side),
        labels=labels,
        options={**network, "num_queries": _queries(technique), "backbone": "dinov2"},
        checkpoint=Checkpoint(f"tue-mps/{checkpoint}", "MIT"),
        multiple=16,
        parameters=parameters,
        gmacs=gmacs,
        head_bytes=head_bytes,
    )


def _dinov3(
    kind: str,
    data: str,
    technique: Technique,
    labels: str,
    network: Mapping[str, int],
    parameters: int,
    gmacs: float,
    head_bytes: int,
    *,
    published: bool = True,
) -> Model:
    """Return the entry of a network on DINOv3; `kind` is its width and side ("large-640"), `data` what it learned."""
    side = int(kind.rpartition("-")[2])
    checkpoint = Checkpoint(f"tue-mps/eomt-dinov3-{data}-{technique}-{kind}", "DINOv3 License")
    return Model(
        name=f"eomt-{kind}-dinov3-{'ade20k' if data == 'ade' else data}-{technique}",
        technique=technique,
        family="eomt",
        size=(side, side),
        labels=labels,
        options={
            **network,
            "intermediate_size": 4 * network["hidden_size"],
            "num_queries": _queries(technique),
            "backbone": "dinov3",
        },
        checkpoint=checkpoint if published else None,
        multiple=16,
        parameters=parameters,
        gmacs=gmacs,
        head_bytes=head_bytes,
    )


def _queries(technique: Technique) -> int:
    return 100 if technique == "semantic" else 200


# fmt: off
MODELS = (
    _model("coco_panoptic_eomt_small_640_2x", "panoptic", "coco-panoptic", 640, _SMALL, 23_975_942, 67.82, 20_587_200),
    _model("coco_panoptic_eomt_base_640_2x", "panoptic", "coco-panoptic", 640, _BASE, 93_663_110, 215.54, 20_587_200),
    _model("coco_panoptic_eomt_large_640", "panoptic", "coco-panoptic", 640, _LARGE, 316_695_686, 667.97, 20_587_200),
    _model("coco_panoptic_eomt_large_1280", "panoptic", "coco-panoptic", 1280, _LARGE, 321_610_886, 4144.1, 82_027_200),
    _model("coco_instance_eomt_large_640", "instance", "coco", 640, _LARGE, 316_641_361, 667.96, 20_544_800),
    _model("ade20k_panoptic_eomt_large_640", "panoptic", "ade20k", 640, _LARGE, 316_713_111, 667.97, 20_600_800),
    _model("ade20k_semantic_eomt_large_512", "semantic", "ade20k", 512, _LARGE, 316_020_887, 394.07, 6_614_000),
    _model("cityscapes_semantic_eomt_large_1024", "semantic", "cityscapes", 1024, _LARGE, 319_032_340, 2173.85,
           26_222_400),
    _dinov3("small-640", "coco", "panoptic", "coco-panoptic", _SMALL, 23_356_934, 67.82, 20_587_200),
    _dinov3("base-640", "coco", "panoptic", "coco-panoptic", _BASE, 92_425_094, 215.54, 20_587_200),
    _dinov3("large-640", "coco", "panoptic", "coco-panoptic", _LARGE, 315_032_710, 667.97, 20_587_200),
    _dinov3("large-1280", "coco", "panoptic", "coco-panoptic", _LARGE, 315_032_710, 4144.1, 82_027_200),
    _dinov3("large-640", "coco", "instance", "coco", _LARGE, 314_978_385, 667.96, 20_544_800),
    _dinov3("large-1280", "coco", "instance", "coco", _LARGE, 314_978_385, 4144.09, 81_984_800),
    _dinov3("large-512", "ade", "semantic", "ade20k", _LARGE, 314_947_735, 394.07, 6_614_000),
    _dinov3("large-1024", "cityscapes", "semantic", "cityscapes", _LARGE, 314_813_460, 2173.85, 26_222_400,
            published=False),
)
# fmt: on
