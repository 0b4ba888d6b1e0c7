"""torchvision's Mask R-CNN (ResNet-50 FPN, v1 and v2), from picture and valid mask to boxes, scores and masks."""

import re
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torchvision.models import detection
from torchvision.models.detection.backbone_utils import resnet_fpn_backbone
from torchvision.models.detection.image_list import ImageList
from torchvision.models.detection.transform import GeneralizedRCNNTransform

from segrt.export.family import Exportable, HeadParityLimit, ParityLimits, Request, Size
from segrt.export.models.maskrcnn.network import FLOAT_MODULES, MULTIPLE, StaticMaskRCNN
from segrt.export.weights import network_weights
from segrt.export.weights.checkpoint_labels import built_in
from segrt.export.weights.random_weights import Spread, calibrate, calm, photo_like_pixels, seeded
from segrt.runtime.decode.paste_masks import PasteMasks
from segrt.runtime.errors import SegrtError
from segrt.runtime.files.images import Picture
from segrt.runtime.preprocess.geometry import Geometry
from segrt.runtime.results import InstanceResult, Label, rle
from segrt.runtime.results.labels.class_lists import spread

_COCO_CLASSES = 91  # COCO's ids with their gaps, 0 being the background
_COCO_V1_FILE = "maskrcnn_resnet50_fpn_coco-"
_PAD = (124, 116, 104)  # the mean, so that the padding is about 0 after normalisation; the graph makes it exactly 0
_LEAST_SIDE = 64
_OLDER_NAMES = (
    (re.compile(r"^(backbone\.fpn\.(?:inner|layer)_blocks\.\d+)\.(weight|bias)$"), r"\1.0.\2"),
    (re.compile(r"^(rpn\.head\.conv)\.(weight|bias)$"), r"\1.0.0.\2"),
)


def build(request: Request) -> Exportable:
    """Return torchvision's network for the request, and its static rewrite.

    Overrides: keyword arguments of torchvision's `MaskRCNN` (`rpn_post_nms_top_n_test`, …), `backbone`
    ("resnet18", for tests) and `candidates`, the number of (box, class) pairs that suppression looks at.
    `top_queries` is the number of detections, 100 by default.
    """
    if min(request.size) < _LEAST_SIDE:
        raise SegrtError(
            f"--size {request.size[0]}x{request.size[1]}: both sides must be at least {_LEAST_SIDE} for "
            f"{request.model.name}"
        )
    labels = _labels(request)
    overrides = dict(request.overrides)
    candidates = int(overrides.pop("candidates", 1000))
    network = _network(request, len(labels) + 1, overrides)
    tensors = network_weights.tensors(request)
    network_weights.load(network, tensors, network_weights.name_of(request), rename=_renamed)
    if tensors is None:
        unused = [index + 1 for index, label in enumerate(labels) if not label.isthing]
        _randomise(network, request.size, request.weights.seed, unused)
    elif _was_trained_without_epsilon(request):
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eps = 0.0
    network.eval()
    decode = PasteMasks(first_class=1)
    return Exportable(
        core=StaticMaskRCNN(network, request.size, candidates).eval(),
        heads=(("boxes", "boxes"), ("scores", "scores"), ("class_ids", "class_ids"), ("masks", "masks")),
        labels=labels,
        decode=decode,
        source=network_weights.source(request, "torchvision"),
        resize=request.kept_shape(pad=_PAD, pad_side="bottom_right", rounding="floor"),
        framework_result=_FrameworkResult(network, labels),
        framework_pixels=_FrameworkPixels(request),
        valid_mask=True,
        pad_sides=("bottom_right",),
        keep=FLOAT_MODULES,
        dynamic_batch=False,
        limits=ParityLimits(
            # Rows of nearly equal score may change places, so that rows are compared through the final result alone.
            head=HeadParityLimit(1e-2),
            heads={"boxes": None, "class_ids": None, "masks": None},
            agreement=0.97,
        ),
    )


def _labels(request: Request) -> tuple[Label, ...]:
    """Return the classes from id 1 on: the request's, or COCO's by their own ids with "unused N" in the gaps."""
    if request.labels is not None:
        return request.labels
    return spread(built_in(request), _COCO_CLASSES)[1:]


def _renamed(name: str) -> str:
    """Return what torchvision calls a tensor today; the published weights of v1 are older than these names."""
    for old, new in _OLDER_NAMES:
        name = old.sub(new, name)
    return re.sub(r"mask_fcn(\d+)", lambda match: f"{int(match[1]) - 1}.0", name) if ".mask_fcn_" not in name else name


def _network(request: Request, classes: int, overrides: dict[str, Any]) -> Any:
    backbone = overrides.pop("backbone", None)
    if request.top_queries is not None:
        overrides["box_detections_per_img"] = request.top_queries
    make = getattr(detection, request.model.options["factory"])
    with seeded(request.weights.seed):
        network = make(weights=None, weights_backbone=None, num_classes=classes, **overrides)
        if backbone is not None:
            network.backbone = resnet_fpn_backbone(
                backbone_name=backbone, weights=None, norm_layer=nn.BatchNorm2d, trainable_layers=5
            )
    return network.eval()


def _was_trained_without_epsilon(request: Request) -> bool:
    """Whether torchvision sets the epsilon of all BatchNorm layers to 0 for these weights (its COCO_V1 of v1)."""
    checkpoint, path = request.model.checkpoint, request.weights.path
    if request.weights.kind == "pretrained":
        return checkpoint is not None and _COCO_V1_FILE in checkpoint.address
    return path is not None and path.name.startswith(_COCO_V1_FILE)


def _randomise(network: Any, size: Size, seed: int, unused: list[int]) -> None:
    """Set the statistics of random weights so that photos give objects of many classes and sizes.

    The stages follow one another, for each is set from what the one before it lets through. `unused` classes never win.
    """
    if network.backbone.body.conv1.weight.is_meta:
        return  # only counted, see export/convert/figures.py
    height, width = (max(side // MULTIPLE, 1) * MULTIPLE for side in size)
    pixels = photo_like_pixels((height, width), seed=seed)
    head, heads = network.rpn.head, network.roi_heads
    pyramid = {block[0]: Spread() for block in network.backbone.fpn.layer_blocks if block[0].bias is not None}
    calm(network)
    calibrate(network.backbone, lambda: network.backbone(pixels), pyramid)
    with torch.no_grad():
        levels = network.backbone(pixels)
        # One level stands for all: they share the head, and all have the same mean and deviation by now.
        calibrate(head, lambda: head([levels["1"]]), {head.cls_logits: Spread(0.5), head.bbox_pred: Spread(0.3)})
        images = ImageList(pixels, [(height, width)] * len(pixels))
        proposals, _ = network.rpn(images, levels)
        spreads = {
            heads.box_predictor.cls_score: Spread(3.0, axis=-1, live=0.04, no_object=0),
            heads.box_predictor.bbox_pred: Spread(1.0, axis=-1),
            heads.mask_predictor.mask_fcn_logits: Spread(3.0),
        }
        calibrate(heads, lambda: heads(levels, proposals, images.image_sizes), spreads)
        heads.box_predictor.cls_score.bias[unused] -= 100.0


class _FrameworkResult:
    """torchvision's own way from the padded network input: its unmodified network, masks pasted into the picture."""

    def __init__(self, network: Any, labels: tuple[Label, ...]) -> None:
        self.network = network
        self._labels = labels

    def __call__(self, pixels: Tensor, valid_mask: Tensor | None, geometry: Geometry) -> InstanceResult:
        """Return every object that torchvision finds in `pixels` (1, 3, h, w), whatever its score."""
        if valid_mask is None:
            valid_mask = torch.ones(1, *pixels.shape[2:], dtype=torch.bool)
        height, width = int(valid_mask[0, :, 0].sum()), int(valid_mask[0, 0, :].sum())
        network = self.network
        with torch.no_grad():
            picture = pixels[0, :, :height, :width]
            canvas = torch.zeros(3, *pixels.shape[2:])
            canvas[:, :height, :width] = picture
            padded = network.transform.batch_images([canvas], MULTIPLE)
            images = ImageList(padded, [(height, width)])
            features = network.backbone(padded)
            proposals, _ = network.rpn(images, features)
            detections, _ = network.roi_heads(features, proposals, images.image_sizes)
            detections = network.transform.postprocess(detections, images.image_sizes, [geometry.source_size])
        return to_result(detections[0], geometry.source_size, self._labels)


def to_result(detections: dict[str, Tensor], size: Size, labels: tuple[Label, ...]) -> InstanceResult:
    """Return what torchvision's Mask R-CNN found in a picture of `size` (H, W), masks cut at 0.5, as a result."""
    masks = (detections["masks"][:, 0] > 0.5).numpy()
    return InstanceResult(
        boxes=detections["boxes"].numpy().astype(np.float32),
        scores=detections["scores"].numpy().astype(np.float32),
        class_ids=detections["labels"].numpy() - 1,
        rles=[rle.encode(mask) for mask in masks],
        size=size,
        labels=labels,
    )


class _FrameworkPixels:
    """torchvision's own transform: its shortest and longest side are the network's."""

    def __init__(self, request: Request) -> None:
        self._request = request

    def __call__(self, picture: Picture) -> npt.NDArray[np.float32]:
        """Return the network input (3, h, w) that torchvision makes of `picture`, uint8 BGR (H, W, 3)."""
        height, width = self._request.size
        shortest, longest = self._request.edges
        across = (picture.shape[0] > picture.shape[1]) != (height > width)
        transform = GeneralizedRCNNTransform(
            shortest,
            shortest if across and height != width else longest,
            [0.485, 0.456, 0.406],
            [0.229, 0.224, 0.225],
        ).eval()
        image = torch.from_numpy(np.ascontiguousarray(picture[..., ::-1])).permute(2, 0, 1).float() / 255
        images, _ = transform([image])
        top, left = images.image_sizes[0]
        canvas = np.zeros((3, height, width), np.float32)
        canvas[:, :top, :left] = images.tensors[0, :, :top, :left].numpy()
        return canvas
