"""What publishers say that their weights score, by the weights' address, each with the page or paper that says so.

An entry is here only where the source names these very weights, or the one network that they can be; what is not here
is unknown. Values are of a single scale, without flipping. `PUBLISHED.add(address, metric)` adds one from outside.
"""

from collections.abc import Iterator

from segrt.export.family import Model
from segrt.runtime.bundle.truth_card import PublishedMetric
from segrt.runtime.evaluate.by_technique import MAIN_METRIC
from segrt.runtime.registry import Registry

_GITHUB = "https://github.com"
_VOC = "COCO val2017, Pascal VOC's classes"
_COCO_PQ, _COCO_AP = "COCO val2017, panoptic", "COCO val2017"
_ADE, _ADE_PQ = "ADE20K val", "ADE20K val, panoptic"
_CITYSCAPES, _CITYSCAPES_PQ = "Cityscapes val", "Cityscapes val, panoptic"

# Behind the address of weights that serve several techniques.
_AS = " ({})"
Row = tuple[str, PublishedMetric]


def _rows(metric: str, dataset: str, source: str, address: str, **values: float) -> Iterator[Row]:
    """Yield a row for each of `values`, percent by the part of `address` that differs; "_" stands for "-" there."""
    for part, percent in values.items():
        place = address.format(part, part.replace("_", "-"))
        yield place, PublishedMetric(metric, round(percent / 100, 6), dataset, source)


def _torchvision() -> Iterator[Row]:
    weights = "https://download.pytorch.org/models/{0}.pth"
    for names, metric, dataset, kind in (
        (
            {
                "deeplabv3_mobilenet_v3_large-fc3c493d": 60.3,
                "deeplabv3_resnet50_coco-cd0a2569": 66.4,
                "deeplabv3_resnet101_coco-586e9e4e": 67.4,
                "lraspp_mobilenet_v3_large-d234d4ea": 57.9,
                "fcn_resnet50_coco-1167a1af": 60.5,
                "fcn_resnet101_coco-7ecb50ca": 63.7,
            },
            "mIoU",
            _VOC,
            "semantic-segmentation",
        ),
        (
            {"maskrcnn_resnet50_fpn_coco-bf2d0c1e": 34.6, "maskrcnn_resnet50_fpn_v2_coco-73cbd019": 41.8},
            "mask AP",
            _COCO_AP,
            "object-detection-instance-segmentation-and-person-keypoint-detection",
        ),
    ):
        yield from _rows(
            metric, dataset, f"https://docs.pytorch.org/vision/stable/models.html#{kind}", weights, **names
        )


def _panoptic_deeplab() -> Iterator[Row]:
    source = f"{_GITHUB}/facebookresearch/detectron2/tree/main/projects/Panoptic-DeepLab"
    zoo = "https://dl.fbaipublicfiles.com/detectron2/PanopticDeepLab/{0}"
    cityscapes = "Cityscapes-PanopticSegmentation/panoptic_deeplab_R_52_os16_mg124_poly_90k_bs32"
    coco = "COCO-PanopticSegmentation/panoptic_deeplab_R_52_os16_mg124_poly_200k_bs64_crop_640_640_coco_dsconv"
    plain, separable = "model_final_bd324a.pkl", "model_final_23d03a.pkl"
    values = {f"{cityscapes}/{plain}": 60.3, f"{cityscapes}_crop_512_1024_dsconv/{separable}": 60.3}
    yield from _rows("PQ", _CITYSCAPES_PQ, source, zoo, **values)
    yield from _rows("PQ", _COCO_PQ, source, zoo, **{f"{coco}/model_final_5e6da2.pkl": 35.5})


def _solov2() -> Iterator[Row]:
    source = f"{_GITHUB}/open-mmlab/mmdetection/tree/main/configs/solov2"
    zoo = "https://download.openmmlab.com/mmdetection/v2.0/solov2/{0}.pth"
    values = {
        "solov2_r50_fpn_3x_coco/solov2_r50_fpn_3x_coco_20220512_125856-fed092d4": 37.5,
        "solov2_r101_fpn_3x_coco/solov2_r101_fpn_3x_coco_20220511_095119-c559a076": 39.1,
        "solov2_light_r18_fpn_3x_coco/solov2_light_r18_fpn_3x_coco_20220511_083717-75fa355b": 29.7,
        "solov2_light_r34_fpn_3x_coco/solov2_light_r34_fpn_3x_coco_20220511_091839-e51659d3": 31.9,
        "solov2_light_r50_fpn_3x_coco/solov2_light_r50_fpn_3x_coco_20220512_165256-c93a6074": 33.7,
    }
    yield from _rows("mask AP", _COCO_AP, source, zoo, **values)


def _segformer() -> Iterator[Row]:
    values = {"b0": 37.4, "b1": 42.2, "b2": 46.5, "b3": 49.4, "b4": 50.3}
    source = "https://arxiv.org/abs/2105.15203, table 1"
    yield from _rows("mIoU", _ADE, source, "nvidia/segformer-{0}-finetuned-ade-512-512", **values)
    yield from _rows("mIoU", _ADE, source, "nvidia/segformer-{0}-finetuned-ade-640-640", b5=51.0)


def _upernet() -> Iterator[Row]:
    mmsegmentation = f"{_GITHUB}/open-mmlab/mmsegmentation/tree/main/configs"
    swin, convnext = f"{mmsegmentation}/swin", f"{mmsegmentation}/convnext"
    yield from _rows("mIoU", _ADE, swin, "openmmlab/upernet-{1}", swin_tiny=44.41, swin_small=47.72)
    # Of the base sizes there are several, and the hub's page does not say which one it is.
    values = {"tiny": 46.11, "small": 48.56, "large": 53.16, "xlarge": 53.58}
    yield from _rows("mIoU", _ADE, convnext, "openmmlab/upernet-convnext-{0}", **values)


def _rfdetr() -> Iterator[Row]:
    source = f"{_GITHUB}/roboflow/rf-detr#segmentation"
    zoo = "https://storage.googleapis.com/rfdetr/rf-detr-seg-{0}-ft.pth"
    values = {"n": 40.3, "s": 43.1, "m": 45.3, "l": 47.1, "xl": 48.8, "2xl": 49.9}
    yield from _rows("mask AP", _COCO_AP, source, zoo, **values)
    preview = "https://storage.googleapis.com/rfdetr/rf-detr-seg-preview.pt"
    yield from _rows("mask AP", _COCO_AP, source, preview, preview=44.3)


def _detr() -> Iterator[Row]:
    source = f"{_GITHUB}/facebookresearch/detr#model-zoo"
    yield from _rows("PQ", _COCO_PQ, source, "facebook/detr-resnet-{0}-panoptic", **{"50": 43.4, "101": 45.1})


def _maskformer() -> Iterator[Row]:
    source = f"{_GITHUB}/facebookresearch/MaskFormer/blob/main/MODEL_ZOO.md"
    sizes = {"swin_tiny": 47.7, "swin_small": 49.7, "swin_base": 51.8, "swin_large": 52.7}
    zoo = "facebook/maskformer-{1}-"
    yield from _rows("PQ", _COCO_PQ, source, f"{zoo}coco", **sizes, resnet50=46.5, resnet101=47.6)
    sizes = {"swin_tiny": 46.7, "swin_small": 49.8, "swin_base": 52.7, "swin_large": 54.1}
    yield from _rows("mIoU", _ADE, source, f"{zoo}ade", **sizes, resnet50=44.5)


def _mask2former() -> Iterator[Row]:
    # Swin-B is there twice for COCO and ADE20K, and the hub's page does not say which one it is.
    source = f"{_GITHUB}/facebookresearch/Mask2Former/blob/main/MODEL_ZOO.md"
    for data, technique, metric, dataset, tiny, small, large in (
        ("coco", "panoptic", "PQ", _COCO_PQ, 53.2, 54.6, 57.8),
        ("coco", "instance", "mask AP", _COCO_AP, 45.0, 46.3, 50.1),
        ("ade", "semantic", "mIoU", _ADE, 47.7, 51.3, 56.1),
        ("cityscapes", "panoptic", "PQ", _CITYSCAPES_PQ, 63.9, 64.8, 66.6),
        ("cityscapes", "semantic", "mIoU", _CITYSCAPES, 82.1, 82.6, 83.3),
    ):
        place = f"facebook/mask2former-{{1}}-{data}-{technique}"
        yield from _rows(metric, dataset, source, place, swin_tiny=tiny, swin_small=small, swin_large=large)
    yield from _rows("PQ", _ADE_PQ, source, "facebook/mask2former-{1}-ade-panoptic", swin_large=48.1)


def _eomt() -> Iterator[Row]:
    zoo = f"{_GITHUB}/tue-mps/eomt/blob/master/model_zoo"
    for metric, dataset, values in (
        ("PQ", _COCO_PQ, {"coco_panoptic_eomt_small_640_2x": 46.7, "coco_panoptic_eomt_base_640_2x": 51.6}),
        ("PQ", _COCO_PQ, {"coco_panoptic_eomt_large_640": 56.0, "coco_panoptic_eomt_large_1280": 58.3}),
        ("mask AP", _COCO_AP, {"coco_instance_eomt_large_640": 45.2}),
        ("PQ", _ADE_PQ, {"ade20k_panoptic_eomt_large_640": 50.6}),
        ("mIoU", _ADE, {"ade20k_semantic_eomt_large_512": 58.4}),
        ("mIoU", _CITYSCAPES, {"cityscapes_semantic_eomt_large_1024": 84.2}),
    ):
        yield from _rows(metric, dataset, f"{zoo}/dinov2.md", "tue-mps/{0}", **values)
    sizes = {"small_640": 47.2, "base_640": 53.1, "large_640": 56.8, "large_1280": 58.9}
    instance = {"large_640": 45.9, "large_1280": 49.9}
    # The hub has each under two names: the authors' own, and that of transformers.
    for panoptic, objects, semantic in (
        ("coco_panoptic_eomt_{0}_dinov3", "coco_instance_eomt_{0}_dinov3", "ade_semantic_eomt_{0}_dinov3"),
        ("eomt-dinov3-coco-panoptic-{1}", "eomt-dinov3-coco-instance-{1}", "eomt-dinov3-ade-semantic-{1}"),
    ):
        source = f"{zoo}/dinov3.md"
        yield from _rows("PQ", _COCO_PQ, source, f"tue-mps/{panoptic}", **sizes)
        yield from _rows("mask AP", _COCO_AP, source, f"tue-mps/{objects}", **instance)
        yield from _rows("mIoU", _ADE, source, f"tue-mps/{semantic}", large_512=59.5)


def _oneformer() -> Iterator[Row]:
    source = f"{_GITHUB}/SHI-Labs/OneFormer#results"
    large = "shi-labs/oneformer_{0}_swin_large"
    for technique, metric, coco_set, coco, ade_set, ade in (
        ("panoptic", "PQ", _COCO_PQ, 57.9, _ADE_PQ, 49.8),
        ("instance", "mask AP", _COCO_AP, 49.0, _ADE, 35.9),
        ("semantic", "mIoU", _COCO_PQ, 67.4, _ADE, 57.0),
    ):
        place = large + _AS.format(technique)
        yield from _rows(metric, coco_set, source, place, coco=coco)
        yield from _rows(metric, ade_set, source, place, ade20k=ade)


def _yoso() -> Iterator[Row]:
    # At the sizes that pictures have by default: 512 x 800 and 1024 x 2048.
    source = f"{_GITHUB}/hujiecpp/YOSO#model-zoo"
    zoo = f"{_GITHUB}/hujiecpp/YOSO/releases/download/v0.1/yoso_res50_{{0}}.pth"
    yield from _rows("PQ", _COCO_PQ, source, zoo, coco=46.4)
    yield from _rows("PQ", _CITYSCAPES_PQ, source, zoo, cityscapes=59.7)


def _ecseg() -> Iterator[Row]:
    source = f"{_GITHUB}/Intellindust-AI-Lab/EdgeCrafter/tree/main/ecdetseg#instance-segmentation"
    zoo = f"{_GITHUB}/capsule2077/edgecrafter/releases/download/edgecrafterv1/ecseg_{{0}}.pth"
    yield from _rows("mask AP", _COCO_AP, source, zoo, s=43.0, m=45.2, l=47.1, x=48.4)


def published_metric(model: Model) -> PublishedMetric | None:
    """Return what the weights of `model` are published to score in its technique, or None where that is not known."""
    if model.checkpoint is None or model.checkpoint.covers != "network":
        return None
    address = model.checkpoint.address
    known = next((name for name in (address + _AS.format(model.technique), address) if name in PUBLISHED), None)
    if known is None:
        return None
    metric = PUBLISHED.load(known)
    # By its name a network of the hub is exported for other techniques than the one that its weights were judged in.
    others = {main.title for technique, main in MAIN_METRIC.items() if technique != model.technique}
    return None if metric.metric in others else metric


PUBLISHED: Registry[PublishedMetric] = Registry(
    "published metric",
    {
        address: metric
        for family in (
            _torchvision,
            _panoptic_deeplab,
            _solov2,
            _segformer,
            _upernet,
            _rfdetr,
            _detr,
            _maskformer,
            _mask2former,
            _eomt,
            _oneformer,
            _yoso,
            _ecseg,
        )
        for address, metric in family()
    },
)
