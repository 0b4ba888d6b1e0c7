"""The whole network with static shapes, made of a torchvision Mask R-CNN."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.models.detection.image_list import ImageList

from segrt.export.family import Size
from segrt.export.models.maskrcnn.roi_pooling import Atlas, RoIPooling
from segrt.export.models.maskrcnn.selection import DetectionSelection, ProposalSelection

MULTIPLE = 32
STRIDE = 4


class PictureExtent(nn.Module):
    """Height and width of the picture at the top left of a valid mask, in pixels."""

    def forward(self, valid_mask: Tensor) -> tuple[Tensor, Tensor]:
        """Return two scalars, float32, for `valid_mask`, bool (1, h, w)."""
        return valid_mask[0, :, 0].float().sum(), valid_mask[0, 0, :].float().sum()


class ClassMasks(nn.Module):
    """torchvision's mask predictor, computed for each detection's own class alone."""

    def __init__(self, predictor: Any) -> None:
        super().__init__()
        self.enlarge = predictor.conv5_mask
        self.classes = predictor.mask_fcn_logits

    def forward(self, features: Tensor, class_ids: Tensor) -> Tensor:
        """Return mask probabilities (D, 2 m, 2 m) of `features` (D, C, m, m) for `class_ids` (D,)."""
        enlarged = torch.relu(self.enlarge(features))
        kernels = self.classes.weight.flatten(1).index_select(0, class_ids)
        biases = self.classes.bias.index_select(0, class_ids)
        logits = torch.matmul(kernels[:, None], enlarged.flatten(2))[:, 0] + biases[:, None]
        return torch.sigmoid(logits).reshape(-1, *enlarged.shape[2:])


# Positions in pixels and scores that are compared: half floats would round them. TensorRT samples a map at positions
# of the map's own type alone, so that pooling is float32 as a whole.
FLOAT_MODULES = ("extent", "proposals", "box_pooling", "detections", "mask_pooling")


class StaticMaskRCNN(nn.Module):
    """Mask R-CNN for one picture of a fixed size.

    The picture lies at the top left, the rest is padding: boxes are clipped to the picture, and the padding counts as
    zeros after normalisation, as in torchvision's own transform.
    """

    def __init__(self, network: Any, size: Size, candidates: int = 1000) -> None:
        super().__init__()
        padded = (-(-size[0] // MULTIPLE) * MULTIPLE, -(-size[1] // MULTIPLE) * MULTIPLE)
        self.padding = (padded[0] - size[0], padded[1] - size[1])
        self.extent = PictureExtent()
        self.backbone = network.backbone
        self.rpn_head = network.rpn.head
        heads = network.roi_heads
        sizes = [(padded[0] // stride, padded[1] // stride) for stride in (4, 8, 16, 32)]
        sizes.append((-(-sizes[-1][0] // 2), -(-sizes[-1][1] // 2)))
        self.proposals = ProposalSelection(
            _anchors(network.rpn.anchor_generator, padded, sizes),
            before=network.rpn.pre_nms_top_n(),
            after=network.rpn.post_nms_top_n(),
            threshold=network.rpn.nms_thresh,
            least_score=network.rpn.score_thresh,
            least=network.rpn.min_size,
        )
        self.atlas = Atlas(sizes[:-1])
        self.box_pooling = RoIPooling(self.atlas, STRIDE, heads.box_roi_pool.output_size[0])
        self.box_head = heads.box_head
        self.box_predictor = heads.box_predictor
        self.detections = DetectionSelection(
            candidates=candidates,
            detections=heads.detections_per_img,
            least_score=heads.score_thresh,
            threshold=heads.nms_thresh,
            weights=heads.box_coder.weights,
        )
        self.mask_pooling = RoIPooling(self.atlas, STRIDE, heads.mask_roi_pool.output_size[0])
        self.mask_head = heads.mask_head
        self.class_masks = ClassMasks(heads.mask_predictor)

    def forward(self, pixels: Tensor, valid_mask: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return boxes (1, D, 4), scores (1, D), class ids (1, D) int32 and mask probabilities (1, D, m, m).

        pixels: float32 (1, 3, h, w), normalised; valid_mask: bool (1, h, w), true on the picture. Rows by descending
        score; those that hold no detection are zeros with a score of -1.
        """
        height, width = self.extent(valid_mask)
        pixels = pixels * valid_mask[:, None].float()
        pixels = F.pad(pixels, (0, self.padding[1], 0, self.padding[0]))
        levels = list(self.backbone(pixels).values())
        objectness, deltas = self.rpn_head(levels)
        proposals, objectness_scores = self.proposals(objectness, deltas, height, width)
        atlas = self.atlas(levels[:4])
        class_logits, moves = self.box_predictor(self.box_head(self.box_pooling(atlas, proposals)))
        boxes, scores, class_ids = self.detections(
            class_logits, moves, proposals, objectness_scores >= 0.0, height, width
        )
        masks = self.class_masks(self.mask_head(self.mask_pooling(atlas, boxes)), class_ids)
        alive = scores >= 0.0
        live = alive.float()
        return (
            (boxes * live[:, None])[None],
            scores[None],
            (class_ids * alive).to(torch.int32)[None],
            (masks * live[:, None, None])[None],
        )


def _anchors(generator: Any, padded: Size, sizes: list[Size]) -> list[Tensor]:
    """Return the anchors (n, 4) of each level for a padded picture."""
    image = ImageList(torch.empty(1, 3, *padded), [padded])
    maps = [torch.empty(1, 1, *size) for size in sizes]
    counts = [
        height * width * per_cell
        for (height, width), per_cell in zip(sizes, generator.num_anchors_per_location(), strict=True)
    ]
    return list(generator(image, maps)[0].split(counts))
