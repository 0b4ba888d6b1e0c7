"""What SOLO and SOLOv2 hand on: cells of grids with their masks, decoded by Matrix NMS, judged by the final result."""

from collections.abc import Callable

from torch import Tensor, nn

from segrt.export.family import Exportable, HeadParityLimit, ParityLimits, Request
from segrt.export.models.solov2.framework_result import FrameworkResult, MaskOf
from segrt.export.models.solov2.head import MASK_STRIDE
from segrt.export.models.solov2.mmdetection_input import FrameworkPixels, kept_shape
from segrt.export.weights import network_weights
from segrt.runtime.decode.matrix_nms import MatrixNms
from segrt.runtime.results import Label

_TOP_CELLS = 500
_ROLES = ("scores", "class_ids", "least_areas", "mask_probabilities")


def top_cells(request: Request) -> int:
    """Return how many (cell, class) pairs leave the graph with their masks."""
    return request.top_queries or _TOP_CELLS


def grid_exportable(
    request: Request,
    labels: tuple[Label, ...],
    core: nn.Module,
    look: Callable[[Tensor], tuple[list[Tensor], MaskOf]],
    name: str,
) -> Exportable:
    """Return what is exported of a network by its `core`, which gives the heads of `matrix_nms`.

    `look` gives class logits and masks to the slow post-processing, `name` is what the articles call the network.
    """
    rule = MatrixNms(stride=MASK_STRIDE)
    return Exportable(
        core=core.eval(),
        heads=tuple((role, role) for role in _ROLES),
        labels=labels,
        decode=rule,
        source=network_weights.source(request, "torchvision", notes=f"{name} as in mmdetection, written anew"),
        resize=kept_shape(request),
        framework_result=FrameworkResult(look, labels, rule),
        framework_pixels=FrameworkPixels(request),
        valid_mask=True,
        keep=("selection",),
        limits=ParityLimits(
            # Cells of nearly equal score may change places, so that rows are compared through the final result alone.
            head=HeadParityLimit(2e-3, 2e-3),
            heads={"class_ids": None, "least_areas": None, "mask_probabilities": None},
            agreement=0.99,
        ),
    )
