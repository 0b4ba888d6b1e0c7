"""SOLO, from the picture to the masks of the best grid cells; mmdetection's own way for comparison."""

from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from segrt.export.family import Exportable, Request, Size
from segrt.export.models.solo.location_heads import LocationHead, LocationOptions, WholeHead
from segrt.export.models.solo.network import SOLO, SOLOHeads
from segrt.export.models.solov2.framework_result import MaskOf
from segrt.export.models.solov2.grid_exportable import grid_exportable, top_cells
from segrt.export.models.solov2.head import grid_maps
from segrt.export.models.solov2.mmdetection_input import check_sides
from segrt.export.models.solov2.published_names import load_published
from segrt.export.weights import network_weights
from segrt.export.weights.checkpoint_labels import labels as labels_of
from segrt.export.weights.random_weights import Spread, calibrate, calm, photo_like_pixels, seeded

_SOME = 4  # every fourth pixel stands for all where random weights are calibrated


def build(request: Request) -> Exportable:
    """Return SOLO for the request.

    Options of the model and overrides: `depth` of the ResNet, `head` ("solo", "decoupled", "light") and the fields of
    `LocationOptions`. `top_queries` is the number of (cell, class) pairs whose masks leave the graph, 500 by default:
    what mmdetection gives to Matrix NMS.
    """
    check_sides(request)
    labels = labels_of(request)
    options = {**request.model.options, **request.overrides}
    depth, head = options.pop("depth"), options.pop("head")
    with seeded(request.weights.seed):
        network = SOLO(depth, head, LocationOptions(len(labels), **options)).eval()
    tensors = network_weights.tensors(request)
    load_published(network, tensors, network_weights.name_of(request))
    if tensors is None:
        _randomise(network, request.size, request.weights.seed)
    core = SOLOHeads(network, top_cells(request))
    return grid_exportable(request, labels, core, partial(_look, network), "SOLO")


def _look(network: SOLO, pixels: Tensor) -> tuple[list[Tensor], MaskOf]:
    """Return class logits of each grid, and what makes the mask of one cell."""
    logits, maps = network(pixels)
    return logits, partial(network.mask_head.mask_of, maps)


def _randomise(network: SOLO, size: Size, seed: int) -> None:
    """Set the statistics of random weights so that photos give objects of many classes and sizes."""
    pixels = photo_like_pixels(size, seed=seed)
    head = network.mask_head
    calm(network)
    convolutions: list[Any] = [block.conv for block in network.neck.fpn_convs]
    spreads: dict[nn.Module, Spread] = dict.fromkeys(convolutions, Spread())
    calibrate(network, lambda: network.neck(network.backbone(pixels)), spreads)
    with torch.no_grad():
        maps = grid_maps(network.neck(network.backbone(pixels)))
    # The finest grid stands for all: they share the layers, whose normalisation makes their features alike.
    calibrate(head, lambda: head.classify(maps[0], head.grids[0]), {head.conv_cls: Spread(2.0, live=0.04)})
    calibrate(head, lambda: _locate(head, maps), dict.fromkeys(head.last_mask_layers(), Spread(3.0, 0.5)))


def _locate(head: LocationHead, maps: list[Tensor]) -> None:
    """Call the layers that masks are made with, the filters of all cells at every fourth pixel alone."""
    for level, features in enumerate(maps):
        located = head.locate(features, level)
        if isinstance(head, WholeHead):
            head.conv_mask_list[level](located[0][:, :, ::_SOME, ::_SOME])
