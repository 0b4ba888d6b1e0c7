"""Where PixelLib's Mask R-CNN in Keras and segrt's part: stage by stage, each fed with what Keras's own gave before it.

Called by `original_pixellib.py`, which says on what. Boxes are compared in the input's pixels.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from segrt.export.models.pixellib_maskrcnn.matterport_network import MatterportMaskRCNN
from segrt.export.weights.random_weights import Spread, calibrate

LIVE = 0.04  # of the proposals are objects: some tens, below the 100 that are kept at most
SAME_PIXELS = 0.01
Inputs = Sequence[tuple[Tensor, Tensor]]  # pixels (1, 3, h, w) and valid mask (1, h, w) of each photo


def spread_on_photos(network: MatterportMaskRCNN, inputs: Inputs) -> None:
    """Set what random weights give on photos themselves, so that no score is 1 to its last bits.

    On photos the maps of a network that was calibrated on synthetic pictures spread four times as far, and scores
    that are all 1 leave the order of suppression to rounding.
    """
    heads = network.heads
    pixels = torch.cat([own for own, _ in inputs])
    outputs = {conv: Spread() for conv in network.backbone.pyramid.output}
    calibrate(network.backbone, lambda: network.backbone(pixels), outputs)
    with torch.no_grad():
        level = network.backbone(pixels)[1]
    level = level.transpose(0, 1).flatten(1, 2)[None]  # one photo below the other
    proposing: dict[torch.nn.Module, Spread] = {
        heads.proposal_scores[0]: Spread(1.0),
        heads.proposal_moves[0]: Spread(1.0),
    }
    calibrate(heads, lambda: heads.proposals([level]), proposing)
    classes: dict[torch.nn.Module, Spread] = {
        heads.box_classes[0]: Spread(2.5, axis=-1, live=LIVE, no_object=0),
        heads.box_moves[0]: Spread(1.0, axis=-1),
    }
    calibrate(heads, lambda: network(*inputs[0]), classes)


def compare_stages(network: MatterportMaskRCNN, theirs: Mapping[str, Any], inputs: tuple[Tensor, Tensor]) -> list[str]:
    """Return a line for each stage; `theirs` holds Keras's results by stage, without batch axes."""
    pixels, mask = inputs
    height, width = pixels.shape[2:]
    scale = torch.tensor([width - 1.0, height - 1.0, width - 1.0, height - 1.0])
    own = {
        name: torch.from_numpy(np.asarray(theirs[name])) for name in ("rpn", "rpn_moves", "rois", "classes", "moves")
    }
    detections = torch.from_numpy(theirs["detections"])
    found = int((detections[:, 4] > 0).sum())
    rois = own["rois"][:, [1, 0, 3, 2]] * scale
    lines = []
    with torch.no_grad():
        levels = network.backbone(pixels)
        logits, moves = network.heads.proposals(levels)
        odds = torch.log(own["rpn"])
        wanted = odds[:, 1] - odds[:, 0]
        lines.append(f"maps, RPN: log odds {_most(logits[:, 1] - logits[:, 0], wanted)}, deviation {wanted.std():.2f}")
        lines.append(f"maps, RPN: moves {_most(moves, own['rpn_moves'])}, deviation {moves.std():.2f}")
        ours, alive = network.proposals(odds, own["rpn_moves"])
        lines.append(f"proposals of Keras's scores and moves: {_same_rows(ours[alive], rois)}")
        ours, alive = network.proposals(logits, moves)
        lines.append(f"proposals of our own: {_same_rows(ours[alive], rois)}")
        atlas = network.atlas(levels[:4])
        class_logits, class_moves = network.heads.boxes(network.box_pooling(atlas, rois))
        lines.append(f"classes of Keras's proposals: {_most(torch.softmax(class_logits, 1), own['classes'])} of scores")
        lines.append(f"moves of Keras's proposals: {_most(class_moves, own['moves'])}")
        real = (rois[:, 2] > rois[:, 0]) | (rois[:, 3] > rois[:, 1])
        window = network.window(mask)
        boxes, scores, ids = network.detections(torch.log(own["classes"]), own["moves"], rois, real, window)
        kept = (scores >= float(detections[:found, 5].min())) if found else scores > 1
        same = "same classes" if ids[kept].tolist() == detections[:found, 4].long().tolist() else "other classes"
        wanted = detections[:found, [1, 0, 3, 2]] * scale
        lines.append(f"detections of Keras's scores: {same}, {_same_rows(boxes[kept], wanted)}")
        own_masks = network.heads.own_masks(network.mask_pooling(atlas, wanted), detections[:found, 4].long())
        off = (own_masks - torch.from_numpy(theirs["masks"])[:found]).abs().flatten(1).amax(1)
        lines.append(f"masks of Keras's detections: {float(off.max()):.1e}, median {float(off.median()):.1e}")
        scores = detections[:found, 5]
        lines.append(
            f"scores {float(scores.min()):.3f} to {float(scores.max()):.5f}, {len(scores.unique())} of {found}"
        )
    return lines


def _most(ours: Tensor, theirs: Tensor) -> str:
    return f"{float((ours - theirs).abs().max()):.1e}"


def _same_rows(ours: Tensor, theirs: Tensor) -> str:
    """Return how many rows stand at the same place, and how many of theirs are anywhere among ours."""
    count = min(len(ours), len(theirs))
    placed = int(((ours[:count] - theirs[:count]).abs().amax(1) < SAME_PIXELS).sum())
    there = int(((theirs[:, None] - ours[None]).abs().amax(2) < SAME_PIXELS).any(1).sum()) if len(ours) else 0
    return f"{placed} of {len(theirs)} boxes at the same place, {there} anywhere ({len(ours)} ours)"
