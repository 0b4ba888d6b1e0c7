"""Matterport's Mask R-CNN as PixelLib runs it, from picture and valid mask to boxes, scores, classes and masks."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from segrt.export.family import Size
from segrt.export.models.maskrcnn.roi_pooling import Atlas
from segrt.export.models.pixellib_maskrcnn.crop_pooling import CropPooling
from segrt.export.models.pixellib_maskrcnn.matterport_backbone import MatterportBackbone, MatterportHeads
from segrt.export.models.pixellib_maskrcnn.matterport_boxes import STRIDES, MatterportDetections, MatterportProposals

BOX_POOL, MASK_POOL = 7, 14
# Positions in pixels and scores that are compared: half floats would round them. TensorRT samples a map at positions
# of the map's own type alone, so that pooling is float32 as a whole.
FLOAT_MODULES = ("window", "proposals", "box_pooling", "detections", "mask_pooling")


@dataclass(frozen=True)
class MatterportOptions:
    """The network's sizes, and how many boxes each step keeps; the defaults are PixelLib's with ResNet-101.

    `before` anchors are suppressed to `after` proposals, and they to `detections`.
    """

    classes: int = 81
    blocks: Sequence[int] = (3, 4, 23, 3)
    width: int = 64
    channels: int = 256
    hidden: int = 1024
    proposal_hidden: int = 512
    before: int = 6000
    after: int = 1000
    detections: int = 100


class PictureWindow(nn.Module):
    """The picture's place in a valid mask: from the centre of its first pixel to that of its last, xyxy."""

    def forward(self, valid_mask: Tensor) -> Tensor:
        """Return (4,) float32 for `valid_mask`, bool (1, h, w)."""
        valid = valid_mask[0].float()
        edges = []
        for axis in (0, 1):
            there = valid.amax(dim=axis)
            count = there.shape[0]
            edges.append(count - (there * torch.arange(count, 0, -1, dtype=torch.float32)).amax(dim=0))
            edges.append((there * torch.arange(1, count + 1, dtype=torch.float32)).amax(dim=0) - 1.0)
        return torch.stack([edges[0], edges[2], edges[1], edges[3]])


class MatterportMaskRCNN(nn.Module):
    """The whole network for one picture in an input of a fixed size, both sides multiples of 64."""

    def __init__(self, size: Size, options: MatterportOptions) -> None:
        super().__init__()
        self.backbone = MatterportBackbone(options.blocks, options.width, options.channels)
        self.heads = MatterportHeads(
            options.classes, options.channels, options.hidden, options.proposal_hidden, BOX_POOL
        )
        self.window = PictureWindow()
        self.proposals = MatterportProposals(size, before=options.before, after=options.after)
        self.atlas = Atlas([(size[0] // stride, size[1] // stride) for stride in STRIDES[:-1]])
        self.box_pooling = CropPooling(self.atlas, size, BOX_POOL)
        self.detections = MatterportDetections(options.detections)
        self.mask_pooling = CropPooling(self.atlas, size, MASK_POOL)

    def forward(self, pixels: Tensor, valid_mask: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return boxes (1, D, 4), scores (1, D), class ids (1, D) int32 and mask probabilities (1, D, m, m).

        pixels: float32 (1, 3, h, w), the mean pixel subtracted; valid_mask: bool (1, h, w), true on the picture. Boxes
        are xyxy with both edges of the pixels that they cover. Rows by descending score; those that hold no detection
        are zeros with a score of -1.
        """
        levels = self.backbone(pixels)
        proposals, alive = self.proposals(*self.heads.proposals(levels))
        atlas = self.atlas(levels[:4])
        class_logits, moves = self.heads.boxes(self.box_pooling(atlas, proposals))
        window = self.window(valid_mask)
        boxes, scores, class_ids = self.detections(class_logits, moves, proposals, alive, window)
        masks = self.heads.own_masks(self.mask_pooling(atlas, boxes), class_ids)
        found = scores >= 0.0
        live = found.float()
        # From pixels' centres to their edges, which is how boxes are given everywhere else.
        edges = boxes + torch.tensor([0.0, 0.0, 1.0, 1.0])
        return (
            (edges * live[:, None])[None],
            scores[None],
            (class_ids * found).to(torch.int32)[None],
            (masks * live[:, None, None])[None],
        )
