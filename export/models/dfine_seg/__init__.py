"""D-FINE-seg, N to X (ArgoHA/D-FINE-seg): D-FINE's detector with a mask for every query.

The detector's modules are those of transformers, the mask head is written from its description. Its authors publish the
detector's weights (COCO) to begin a training from, and none with masks: give those of a training of your own.
"""

from segrt.export.family import Model

POSITION = 82
_SIDE = 640
_QUERIES, _MASK_CHANNELS = 300, 256

MODELS = tuple(
    Model(
        name=f"dfine-seg-{size}",
        technique="instance",
        family="dfine_seg",
        size=(_SIDE, _SIDE),
        labels="coco",
        options={"size": size},
        multiple=32,
        parameters=parameters,
        gmacs=gmacs,
        head_bytes=(_QUERIES * (6 + _MASK_CHANNELS) + _MASK_CHANNELS * (_SIDE // stride) ** 2) * 4,
    )
    for size, stride, parameters, gmacs in (
        ("n", 8, 5_049_875, 8.46),
        ("s", 4, 11_821_123, 32.31),
        ("m", 4, 21_052_917, 48.66),
        ("l", 4, 32_689_763, 66.27),
        ("x", 4, 64_165_475, 123.51),
    )
)
