"""The table of models that can be exported. It is data alone, read without torch.

A model is one entry: which family builds it, with what options, whose weights are published where and under which
licence, and what it costs. The figures are measured at the default size; a test counts them again.
"""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

from segrt.runtime.errors import SegrtError
from segrt.runtime.results.technique import Technique


@dataclass(frozen=True)
class Checkpoint:
    """Published weights: `address` is a Hugging Face repository ("facebook/detr-resnet-50-panoptic") or a URL.

    `covers` says whether they are the whole network's or the encoder's alone.
    """

    address: str
    licence: str
    covers: str = "network"


@dataclass(frozen=True)
class Model:
    """One model: the family's module, its options, and what is known about it without building it.

    `size` is the default network size (h, w); `multiple` what both sides must be multiples of; `labels` the built-in
    class list of the published weights; `parameters` and `gmacs` (at `size`) are counted, `head_bytes` is what one
    frame's float32 heads take; `needs` lists packages beyond torch, torchvision and transformers.
    """

    name: str
    technique: Technique
    family: str
    size: tuple[int, int]
    labels: str
    options: Mapping[str, Any] = field(default_factory=dict)
    checkpoint: Checkpoint | None = None
    code_licence: str = "Apache-2.0"
    multiple: int = 1
    parameters: int = 0
    gmacs: float = 0.0
    head_bytes: int = 0
    needs: tuple[str, ...] = ()

    @property
    def module(self) -> str:
        """The module of its family, `segrt.export.models.detr` for instance."""
        return f"segrt.export.models.{self.family}"


_MODELS: dict[str, Model] = {}


def register(model: Model) -> None:
    """Add `model`; raise ValueError when its name is taken."""
    if model.name in _MODELS:
        raise ValueError(f"model {model.name!r} is registered twice")
    _MODELS[model.name] = model


def models() -> tuple[Model, ...]:
    """Return all models in the order of their registration."""
    return tuple(_MODELS.values())


def find_model(name: str) -> Model:
    """Return the model of that name, "hf:" before a repository of the Hugging Face hub or a folder for one beside it.

    Raises SegrtError with the nearest names when there is none.
    """
    if name in _MODELS:
        return _MODELS[name]
    if name.startswith("hf:"):
        described: Model = import_module("segrt.export.models.auto_entry").describe(name)
        return described
    near = difflib.get_close_matches(name, _MODELS, n=3, cutoff=0.4)
    hint = f"did you mean {', '.join(near)}?" if near else "`segrt models` lists them"
    raise SegrtError(f"there is no model {name!r}; {hint}")


# torchvision's semantic networks. The published weights are COCO images with the classes of Pascal VOC.
for _name, _weights, _parameters, _gmacs, _head_bytes in (
    ("deeplabv3_mobilenet_v3_large", "deeplabv3_mobilenet_v3_large-fc3c493d", 11_025_477, 10.44, 91_476),
    ("deeplabv3_resnet50", "deeplabv3_resnet50_coco-cd0a2569", 39_638_869, 168.73, 354_900),
    ("deeplabv3_resnet101", "deeplabv3_resnet101_coco-586e9e4e", 58_630_997, 248.75, 354_900),
    ("lraspp_mobilenet_v3_large", "lraspp_mobilenet_v3_large-d234d4ea", 3_221_538, 2.09, 354_900),
    ("fcn_resnet50", "fcn_resnet50_coco-1167a1af", 32_957_013, 142.73, 354_900),
    ("fcn_resnet101", "fcn_resnet101_coco-7ecb50ca", 51_949_141, 222.75, 354_900),
):
    register(
        Model(
            name=_name,
            technique="semantic",
            family="torchvision_semantic",
            size=(520, 520),
            labels="voc",
            options={"function": _name},
            checkpoint=Checkpoint(f"https://download.pytorch.org/models/{_weights}.pth", "BSD-3-Clause"),
            code_licence="BSD-3-Clause",
            parameters=_parameters,
            gmacs=_gmacs,
            head_bytes=_head_bytes,
        )
    )


# Panoptic-DeepLab, written here, with detectron2's published weights. ResNet-52 is ResNet-50 with a stem of three 3x3
# convolutions; DSConv (the paper's own network) has depthwise separable convolutions behind the backbone.
_DETECTRON2 = "https://dl.fbaipublicfiles.com/detectron2/PanopticDeepLab"
_UNSAID = "not stated (detectron2's zoo is CC-BY-SA-3.0)"
_CITYSCAPES = f"{_DETECTRON2}/Cityscapes-PanopticSegmentation/panoptic_deeplab_R_52_os16_mg124_poly_90k_bs32"
_COCO = f"{_DETECTRON2}/COCO-PanopticSegmentation/panoptic_deeplab_R_52_os16_mg124_poly_200k_bs64"
for _model in (
    Model(
        name="panoptic-deeplab-resnet52-cityscapes",
        technique="panoptic",
        family="panoptic_deeplab",
        size=(1024, 2048),
        labels="cityscapes",
        checkpoint=Checkpoint(f"{_CITYSCAPES}/model_final_bd324a.pkl", _UNSAID),
        multiple=16,
        parameters=59_770_166,
        gmacs=1040.23,
        head_bytes=11_534_336,
    ),
    Model(
        name="panoptic-deeplab-resnet52-dsconv-cityscapes",
        technique="panoptic",
        family="panoptic_deeplab",
        size=(1024, 2048),
        labels="cityscapes",
        options={"separable": True},
        checkpoint=Checkpoint(f"{_CITYSCAPES}_crop_512_1024_dsconv/model_final_23d03a.pkl", _UNSAID),
        multiple=16,
        parameters=30_271_350,
        gmacs=416.79,
        head_bytes=11_534_336,
    ),
    Model(
        name="panoptic-deeplab-resnet52-dsconv-coco",
        technique="panoptic",
        family="panoptic_deeplab",
        size=(640, 640),
        labels="coco-panoptic",
        options={"separable": True, "train_size": (640, 640), "nms_kernel": 41, "stuff_area_limit": 4096},
        checkpoint=Checkpoint(f"{_COCO}_crop_640_640_coco_dsconv/model_final_5e6da2.pkl", _UNSAID),
        multiple=16,
        parameters=30_300_648,
        gmacs=81.71,
        head_bytes=13_926_400,
    ),
    # Measured in the paper's reproduction, never published.
    Model(
        name="panoptic-deeplab-resnet50-cityscapes",
        technique="panoptic",
        family="panoptic_deeplab",
        size=(1024, 2048),
        labels="cityscapes",
        options={"deep_stem": False, "stride_in_1x1": True, "train_size": (1024, 2048)},
        multiple=16,
        parameters=59_646_390,
        gmacs=974.90,
        head_bytes=11_534_336,
    ),
):
    register(_model)


# torchvision's Mask R-CNN. Any size is taken; the default is torchvision's own (shortest side 800, longest 1333).
for _name, _weights, _parameters, _gmacs in (
    ("maskrcnn_resnet50_fpn", "maskrcnn_resnet50_fpn_coco-bf2d0c1e.pth", 44_454_513, 267.39),
    ("maskrcnn_resnet50_fpn_v2", "maskrcnn_resnet50_fpn_v2_coco-73cbd019.pth", 46_359_409, 434.75),
):
    register(
        Model(
            name=_name,
            technique="instance",
            family="maskrcnn",
            size=(800, 1333),
            labels="coco",
            options={"factory": _name},
            checkpoint=Checkpoint(f"https://download.pytorch.org/models/{_weights}", "BSD-3-Clause"),
            code_licence="BSD-3-Clause",
            parameters=_parameters,
            gmacs=_gmacs,
            head_bytes=316_000,
        )
    )


# SOLOv2, written here, with mmdetection's published weights (those without deformable convolutions). The light ones
# have a smaller head and were trained on smaller pictures.
_LIGHT = {"stacked": 2, "channels": 256, "mask_channels": 128}
for _name, _size, _options, _weights, _counted in (
    (
        "solov2-resnet50",
        (800, 1333),
        {"depth": 50},
        "r50_fpn_3x_coco_20220512_125856-fed092d4",
        (46_592_912, 261.16, 134_406_000),
    ),
    (
        "solov2-resnet101",
        (800, 1333),
        {"depth": 101},
        "r101_fpn_3x_coco_20220511_095119-c559a076",
        (65_585_040, 340.71, 134_406_000),
    ),
    (
        "solov2-light-resnet18",
        (448, 768),
        {"depth": 18, **_LIGHT},
        "light_r18_fpn_3x_coco_20220511_083717-75fa355b",
        (18_271_760, 52.89, 43_014_000),
    ),
    (
        "solov2-light-resnet34",
        (448, 768),
        {"depth": 34, **_LIGHT},
        "light_r34_fpn_3x_coco_20220511_091839-e51659d3",
        (28_379_920, 65.57, 43_014_000),
    ),
    (
        "solov2-light-resnet50",
        (448, 768),
        {"depth": 50, **_LIGHT},
        "light_r50_fpn_3x_coco_20220512_165256-c93a6074",
        (31_340_560, 70.46, 43_014_000),
    ),
):
    _folder = f"solov2_{_weights.partition('_coco')[0]}_coco"
    _address = f"https://download.openmmlab.com/mmdetection/v2.0/solov2/{_folder}/solov2_{_weights}.pth"
    register(
        Model(
            name=_name,
            technique="instance",
            family="solov2",
            size=_size,
            labels="coco",
            options=_options,
            checkpoint=Checkpoint(_address, "Apache-2.0"),
            parameters=_counted[0],
            gmacs=_counted[1],
            head_bytes=_counted[2],
        )
    )


# DeepLabV3+, SegFormer, UPerNet and RF-DETR-Seg have their entries in a file of their own.
import_module("segrt.export.models.table_more")
# So have the networks with queries: DETR, MaskFormer, Mask2Former, EoMT and OneFormer.
import_module("segrt.export.models.query_models")
