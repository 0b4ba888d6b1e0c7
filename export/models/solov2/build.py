"""SOLOv2, from the picture to the masks of the best grid cells; mmdetection's own way for comparison."""

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from segrt.export.family import Exportable, HeadParityLimit, ParityLimits, Request, Size
from segrt.export.models.solov2.framework_result import segment
from segrt.export.models.solov2.head import MASK_STRIDE, HeadOptions
from segrt.export.models.solov2.network import SOLOv2, SOLOv2Heads
from segrt.export.weights import network_weights
from segrt.export.weights.checkpoint_labels import labels as labels_of
from segrt.export.weights.random_weights import Spread, calibrate, calm, photo_like_pixels, seeded
from segrt.runtime.decode.matrix_nms import MatrixNms
from segrt.runtime.errors import SegrtError
from segrt.runtime.files.images import Picture
from segrt.runtime.preprocess.geometry import Geometry
from segrt.runtime.preprocess.input_spec import Resize
from segrt.runtime.results import InstanceResult, Label, rle

_MEAN, _STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)
_PAD = (124, 116, 104)  # the mean: about 0 after normalisation
_TOP_CELLS = 500
_LEAST_SIDE = 64


def build(request: Request) -> Exportable:
    """Return SOLOv2 for the request.

    Options of the model and overrides: `depth` of the ResNet and the fields of `HeadOptions`. `top_queries` is the
    number of (cell, class) pairs whose masks leave the graph, 500 by default: what mmdetection gives to Matrix NMS.
    """
    if min(request.size) < _LEAST_SIDE:
        raise SegrtError(
            f"--size {request.size[0]}x{request.size[1]}: both sides must be at least {_LEAST_SIDE} for "
            f"{request.model.name}"
        )
    labels = labels_of(request)
    options = {"depth": 50, **request.model.options, **request.overrides}
    depth = options.pop("depth")
    with seeded(request.weights.seed):
        network = SOLOv2(depth, HeadOptions(len(labels), **options)).eval()
    tensors = network_weights.tensors(request)
    network_weights.load(network, tensors, network_weights.name_of(request))
    if tensors is None:
        _randomise(network, request.size, request.weights.seed)
    rule = MatrixNms(stride=MASK_STRIDE)
    roles = ("scores", "class_ids", "least_areas", "mask_probabilities")
    return Exportable(
        core=SOLOv2Heads(network, request.top_queries or _TOP_CELLS).eval(),
        heads=tuple((role, role) for role in roles),
        labels=labels,
        decode=rule,
        source=network_weights.source(request, "torchvision", notes="SOLOv2 as in mmdetection, written anew"),
        resize=Resize(rule="letterbox", pad=_PAD, pad_side="bottom_right", rounding="half_up"),
        framework_result=_FrameworkResult(network, labels, rule),
        framework_pixels=_FrameworkPixels(request.size),
        keep=("selection",),
        limits=ParityLimits(
            # Cells of nearly equal score may change places, so that rows are compared through the final result alone.
            head=HeadParityLimit(2e-3, 2e-3),
            heads={"class_ids": None, "least_areas": None, "mask_probabilities": None},
            agreement=0.99,
        ),
    )


def _randomise(network: SOLOv2, size: Size, seed: int) -> None:
    """Set the statistics of random weights so that photos give objects of many classes and sizes."""
    pixels = photo_like_pixels(size, seed=seed)
    head = network.mask_head
    calm(network)
    convolutions: list[Any] = [block.conv for block in network.neck.fpn_convs]
    calibrate(network, lambda: network(pixels), dict.fromkeys(convolutions, Spread()))
    with torch.no_grad():
        level = network.neck(network.backbone(pixels))[0]
    # The finest grid stands for all: they share the head, whose normalisation makes their features alike.
    spreads: dict[nn.Module, Spread] = {head.conv_cls: Spread(2.0, live=0.04), head.conv_kernel: Spread(0.3)}
    calibrate(head, lambda: head.cells(level, head.grids[0]), spreads)


class _FrameworkResult:
    """The same network in torch with the slow post-processing: masks by convolution, loops over pairs of masks."""

    def __init__(self, network: SOLOv2, labels: tuple[Label, ...], rule: MatrixNms) -> None:
        self._network, self._labels, self._rule = network, labels, rule

    def __call__(self, pixels: Tensor, valid_mask: Tensor | None, geometry: Geometry) -> InstanceResult:  # noqa: ARG002
        """Return every object that mmdetection's rule keeps in `pixels` (1, 3, h, w)."""
        with torch.no_grad():
            scores, class_ids, masks = segment(self._network, pixels, geometry, self._rule)
        seen = [index for index, mask in enumerate(masks) if mask.any()]
        rles = [rle.encode(masks[index].numpy()) for index in seen]
        return InstanceResult(
            boxes=rle.measure(rles)[1].astype(np.float32).reshape(-1, 4),
            scores=np.array(scores, np.float32)[np.array(seen, np.intp)],
            class_ids=np.array(class_ids, np.int64)[np.array(seen, np.intp)],
            rles=rles,
            size=geometry.source_size,
            labels=self._labels,
        )


class _FrameworkPixels:
    """mmdetection's test pipeline: mmcv's imrescale (OpenCV's linear), normalised, padded with zeros."""

    def __init__(self, size: Size) -> None:
        self._size = size

    def __call__(self, picture: Picture) -> npt.NDArray[np.float32]:
        """Return the network input (3, h, w) that mmdetection makes of `picture`, uint8 BGR (H, W, 3)."""
        scale = min(self._size[0] / picture.shape[0], self._size[1] / picture.shape[1])
        height, width = (int(side * scale + 0.5) for side in picture.shape[:2])
        resized = cv2.resize(picture, (width, height), interpolation=cv2.INTER_LINEAR)[..., ::-1]
        canvas = np.zeros((3, *self._size), np.float32)
        canvas[:, :height, :width] = ((resized - np.array(_MEAN)) / np.array(_STD)).transpose(2, 0, 1)
        return canvas
