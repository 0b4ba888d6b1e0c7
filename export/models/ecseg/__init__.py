"""ECSeg, S to X (EdgeCrafter, "Compact ViTs for Edge Dense Prediction via Task-Specialized Distillation", 2026).

A compact vision transformer, D-FINE's encoder and decoder with small changes, RF-DETR's mask head. Written here;
modules carry the names of the authors' state dicts (Intellindust-AI-Lab/EdgeCrafter), so that their weights load.
"""

from segrt.export.family import Checkpoint, Model

POSITION = 84
_RELEASE = "https://github.com/capsule2077/edgecrafter/releases/download/edgecrafterv1"
_SIDE, _QUERIES = 640, 300

MODELS = tuple(
    Model(
        name=f"ecseg-{size}",
        technique="instance",
        family="ecseg",
        size=(_SIDE, _SIDE),
        labels="coco",
        options={"size": size},
        checkpoint=Checkpoint(f"{_RELEASE}/ecseg_{size}.pth", "Apache-2.0"),
        multiple=32,
        parameters=parameters,
        gmacs=gmacs,
        head_bytes=_QUERIES * (80 + (_SIDE // 4) ** 2) * 4,
    )
    for size, parameters, gmacs in (
        ("s", 10_227_732, 28.53),
        ("m", 20_071_388, 48.40),
        ("l", 33_605_996, 79.72),
        ("x", 50_581_868, 110.02),
    )
)
