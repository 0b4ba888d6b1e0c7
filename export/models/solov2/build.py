"""SOLOv2, from the picture to the masks of the best grid cells; mmdetection's own way for comparison."""

from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from segrt.export.family import Exportable, Request, Size
from segrt.export.models.solov2.framework_result import MaskOf
from segrt.export.models.solov2.grid_exportable import grid_exportable, top_cells
from segrt.export.models.solov2.head import HeadOptions
from segrt.export.models.solov2.mmdetection_input import check_sides
from segrt.export.models.solov2.network import SOLOv2, SOLOv2Heads
from segrt.export.models.solov2.published_names import load_published
from segrt.export.weights import network_weights
from segrt.export.weights.checkpoint_labels import labels as labels_of
from segrt.export.weights.random_weights import Spread, calibrate, calm, photo_like_pixels, seeded


def build(request: Request) -> Exportable:
    """Return SOLOv2 for the request.

    Options of the model and overrides: `depth` of the ResNet and the fields of `HeadOptions`. `top_queries` is the
    number of (cell, class) pairs whose masks leave the graph, 500 by default: what mmdetection gives to Matrix NMS.
    """
    check_sides(request)
    labels = labels_of(request)
    options = {"depth": 50, **request.model.options, **request.overrides}
    depth = options.pop("depth")
    with seeded(request.weights.seed):
        network = SOLOv2(depth, HeadOptions(len(labels), **options)).eval()
    tensors = network_weights.tensors(request)
    load_published(network, tensors, network_weights.name_of(request))
    if tensors is None:
        _randomise(network, request.size, request.weights.seed)
    core = SOLOv2Heads(network, top_cells(request))
    return grid_exportable(request, labels, core, partial(_look, network), "SOLOv2")


def _look(network: SOLOv2, pixels: Tensor) -> tuple[list[Tensor], MaskOf]:
    """Return class logits of each grid, and what convolves the features with the kernel of one cell."""
    logits, kernels, features = network(pixels)

    def mask_of(level: int, y: int, x: int) -> Tensor:
        kernel = kernels[level][0, :, y, x]
        return torch.sigmoid(F.conv2d(features, kernel[None, :, None, None]))[0, 0]

    return logits, mask_of


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
