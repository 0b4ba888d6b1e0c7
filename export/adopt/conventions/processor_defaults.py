"""What image processors of transformers do where their file says nothing: attributes of version 5.24's classes.

Processors of version 4 (`…FeatureExtractor`, `…ImageProcessorFast`) have the same values. A class that is not listed
has to say everything itself.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

_IMAGENET = {"image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]}
_HALF = {"image_mean": [0.5] * 3, "image_std": [0.5] * 3}
_CANVAS = {"size": {"shortest_edge": 800, "longest_edge": 1333}}
_PLAIN: Mapping[str, Any] = {
    "do_resize": True,
    "do_rescale": True,
    "rescale_factor": 1 / 255,
    "do_normalize": True,
    "resample": 2,
}
# Fields that classes have beside the plain ones, and what these need none of.
_CROP = ("do_center_crop", "crop_size")


@dataclass(frozen=True)
class Processor:
    """One class: `defaults` of its fields, which further fields it heeds, and how a number as `size` is meant.

    `padding` is when the padding comes, and so which colour it has; `antialias` whether it shrinks with a filter that
    is widened; `steps` are fields of its own besides.
    """

    defaults: Mapping[str, Any]
    steps: tuple[str, ...] = ()
    square: bool = True
    padding: Literal["normalised", "picture"] = "normalised"
    antialias: bool = True
    model_types: tuple[str, ...] = field(default=())

    def heeds(self, name: str) -> bool:
        """Whether the class reads field `name` at all."""
        return name in _PLAIN or name in self.steps or name in ("size", "image_mean", "image_std")


def _processor(size: Mapping[str, int], *statistics: Mapping[str, Any], **more: Any) -> Processor:
    """Return a class with the plain defaults but for those of `statistics`."""
    defaults = {**_PLAIN, "size": size}
    for values in statistics:
        defaults |= values
    return Processor(defaults, **more)


_DETR = {"steps": ("do_pad", "pad_size", "max_size"), "square": False}
_MASKFORMER = {"steps": ("do_pad", "size_divisor", "pad_size", "max_size"), "square": False}

PROCESSORS: Mapping[str, Processor] = {
    "Beit": _processor(
        {"height": 224, "width": 224},
        _HALF,
        {"resample": 3, "do_center_crop": False, "crop_size": {"height": 224, "width": 224}},
        steps=_CROP,
        model_types=("beit", "data2vec-vision"),
    ),
    "ConditionalDetr": _processor(_CANVAS["size"], _IMAGENET, {"do_pad": True}, **_DETR),
    "DPT": _processor(
        {"height": 384, "width": 384},
        _HALF,
        {"resample": 3, "do_pad": False, "ensure_multiple_of": 1, "keep_aspect_ratio": False},
        steps=("do_pad", "size_divisor", "ensure_multiple_of", "keep_aspect_ratio"),
        model_types=("dpt",),
    ),
    "DeformableDetr": _processor(_CANVAS["size"], _IMAGENET, {"do_pad": True}, **_DETR),
    "Detr": _processor(_CANVAS["size"], _IMAGENET, {"do_pad": True}, model_types=("detr",), **_DETR),
    "Eomt": _processor(
        {"shortest_edge": 640, "longest_edge": 640},
        _IMAGENET,
        {"do_pad": False, "do_split_image": False},
        steps=("do_pad", "do_split_image"),
        square=False,
        padding="picture",
        model_types=("eomt", "eomt_dinov3"),
    ),
    "Mask2Former": _processor(
        _CANVAS["size"], _IMAGENET, {"size_divisor": 32}, model_types=("mask2former",), **_MASKFORMER
    ),
    "MaskFormer": _processor(
        _CANVAS["size"], _IMAGENET, {"size_divisor": 32}, model_types=("maskformer",), **_MASKFORMER
    ),
    "MobileNetV2": _processor(
        {"shortest_edge": 256},
        _HALF,
        {"do_center_crop": True, "crop_size": {"height": 224, "width": 224}},
        steps=_CROP,
        square=False,
        model_types=("mobilenet_v2",),
    ),
    "MobileViT": _processor(
        {"shortest_edge": 224},
        {
            "resample": 3,
            "do_normalize": False,
            "do_center_crop": True,
            "crop_size": {"height": 256, "width": 256},
            "do_flip_channel_order": True,
        },
        steps=(*_CROP, "do_flip_channel_order"),
        square=False,
        model_types=("mobilevit", "mobilevitv2"),
    ),
    "OneFormer": _processor(_CANVAS["size"], _IMAGENET, steps=("max_size",), square=False, model_types=("oneformer",)),
    "RfDetr": _processor(
        _CANVAS["size"], _IMAGENET, {"do_pad": True}, antialias=False, model_types=("rf_detr",), **_DETR
    ),
    "Sapiens2": _processor(
        {"height": 1024, "width": 768},
        _IMAGENET,
        {"do_pad": False, "do_center_crop": False, "crop_size": {"height": 224, "width": 224}},
        steps=(*_CROP, "do_pad"),
        model_types=("sapiens2",),
    ),
    "SegGpt": _processor({"height": 448, "width": 448}, _IMAGENET, {"resample": 3}, model_types=("seggpt",)),
    "Segformer": _processor({"height": 512, "width": 512}, _IMAGENET, model_types=("segformer", "upernet")),
    "ViT": _processor({"height": 224, "width": 224}, _HALF, model_types=("vit",)),
}


def processor_of(name: str | None, model_type: str | None) -> tuple[str, Processor | None]:
    """Return the class by its name in the file, else by the network's type; None for one that is not listed."""
    if name is not None:
        short = name.removesuffix("Fast").removesuffix("Pil").removesuffix("FeatureExtractor")
        return name, PROCESSORS.get(short.removesuffix("ImageProcessor"))
    for short, processor in PROCESSORS.items():
        if model_type in processor.model_types:
            return f"{short}ImageProcessor", processor
    return "an unnamed image processor", None
