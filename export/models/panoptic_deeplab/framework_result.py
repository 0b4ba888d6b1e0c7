"""detectron2's way from Panoptic-DeepLab's heads to segments, in torch, as the reference for the bundle's own.

Written from the description of `projects/Panoptic-DeepLab` (`PanopticDeepLab.forward`, `sem_seg_postprocess`,
`get_panoptic_segmentation`). One thing differs: offsets are scaled when the picture is brought to the source's size.
detectron2 leaves that out, for it evaluates pictures at the network's own size, where the factor is 1.
"""

import numpy as np
import torch
from torch.nn import functional

from segrt.export.models.panoptic_deeplab.network import HEAD_STRIDE
from segrt.runtime.decode.group_centers import GroupCenters
from segrt.runtime.preprocess.geometry import Geometry
from segrt.runtime.results import Label, PanopticResult, Segment

_PIXELS = 1 << 14
Heads = tuple[torch.Tensor, torch.Tensor, torch.Tensor]


def panoptic_result(heads: Heads, geometry: Geometry, rule: GroupCenters, labels: tuple[Label, ...]) -> PanopticResult:
    """Return the segments of one picture's heads: (1, C, h, w) logits, (1, 1, h, w) heat, (1, 2, h, w) offsets."""
    logits, heat, cells = (_at_source(head, geometry) for head in heads)
    top, left, bottom, right = geometry.window
    height, width = geometry.source_size
    scale = torch.tensor([height / (bottom - top), width / (right - left)]) * HEAD_STRIDE
    classes = logits.argmax(dim=0)
    centers = find_centers(heat[0], rule)
    things = torch.tensor([label.isthing for label in labels])[classes]
    owner = torch.zeros_like(classes)
    if len(centers):
        owner[things] = nearest_center(centers, cells * scale[:, None, None], things) + 1
    ids = torch.zeros(height, width, dtype=torch.int32)
    segments: list[Segment] = []

    def add(mask: torch.Tensor, class_id: int, score: float) -> None:
        number = len(segments) + 1
        ids[mask] = number
        rows, columns = mask.any(1).nonzero(), mask.any(0).nonzero()
        box = (int(columns[0]), int(rows[0]), int(columns[-1] - columns[0]) + 1, int(rows[-1] - rows[0]) + 1)
        segments.append(Segment(number, class_id, labels[class_id].isthing, score, int(mask.sum()), box))

    for number in np.unique(owner.numpy()).tolist():
        if number:
            mask = owner == number
            row, column = centers[number - 1].tolist()
            add(mask, int(torch.mode(classes[mask]).values), min(float(heat[0, row, column]), 1.0))
    for class_id in np.unique(classes.numpy()).tolist():
        mask = (classes == class_id) & (owner == 0)
        if not labels[class_id].isthing and mask.any() and int(mask.sum()) >= rule.stuff_area_limit:
            add(mask, class_id, 1.0)
    return PanopticResult(ids.numpy(), segments, labels)


def find_centers(heat: torch.Tensor, rule: GroupCenters) -> torch.Tensor:
    """Return the centres, (K, 2) rows and columns, in a heatmap (H, W)."""
    heat = functional.threshold(heat, rule.score_threshold, -1)
    highest = functional.max_pool2d(heat[None], rule.nms_kernel, stride=1, padding=rule.nms_kernel // 2)[0]
    heat = torch.where(heat == highest, heat, -1)
    least = heat.flatten().topk(min(rule.top_k, heat.numel())).values[-1]
    return torch.nonzero(heat > least.clamp(min=0))


def nearest_center(centers: torch.Tensor, offsets: torch.Tensor, things: torch.Tensor) -> torch.Tensor:
    """Return for each pixel of `things` (H, W) the number of the centre (K, 2) nearest to where its offset points.

    `offsets` is (2, H, W); the numbers stand in the order of the pixels, row after row.
    """
    rows, columns = torch.nonzero(things, as_tuple=True)
    points = torch.stack([rows, columns], dim=1) + offsets[:, rows, columns].T
    # A part of the pixels at a time: all distances at once take gigabytes for a large picture.
    nearest = [(centers[:, None] - part[None]).norm(dim=-1).argmin(dim=0) for part in torch.split(points, _PIXELS)]
    return torch.cat(nearest) if nearest else torch.zeros(0, dtype=torch.int64)


def _at_source(head: torch.Tensor, geometry: Geometry) -> torch.Tensor:
    """Return one picture's head (K, H, W): bilinear to the network's size, the padding cut away, bilinear again."""
    top, left, bottom, right = (round(edge) for edge in geometry.window)
    head = functional.interpolate(head, size=geometry.network_size, mode="bilinear", align_corners=False)
    shown = head[:, :, top:bottom, left:right]
    return functional.interpolate(shown, size=geometry.source_size, mode="bilinear", align_corners=False)[0]
