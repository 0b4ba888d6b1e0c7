"""The losses of the street networks: pixel classes, heat of object centres, masks."""

import torch
import torch.nn.functional as F
from torch import Tensor

from segrt.export.street.samples import VOID, Batch
from segrt.export.street.street_networks import (
    CLASSES,
    GRID_STRIDE,
    SIZE,
    STUFF_CLASSES,
    THING_CLASSES,
    QueryNetwork,
    SemanticNetwork,
)


def semantic_loss(network: SemanticNetwork, batch: Batch) -> dict[str, Tensor]:
    """Return cross-entropy and dice of the class logits."""
    (logits,) = network(batch.images)
    return _pixel_losses(logits.float(), batch)


def query_loss(network: QueryNetwork, batch: Batch) -> dict[str, Tensor]:
    """Return the losses of class heat, thing masks, stuff masks and the auxiliary pixel classifier."""
    features, heat, weights = network.grids(batch.images)
    things = batch.things
    count = max(len(things.image), 1)
    losses = {"heat": _heat_loss(heat.float(), batch) / count}
    pixel_logits = network.classify(F.relu(features)).float()
    losses |= {f"pixel_{name}": 0.5 * loss for name, loss in _pixel_losses(pixel_logits, batch).items()}
    if network.stuff:
        truth = torch.stack([batch.semantic == index for index in range(STUFF_CLASSES)], 1).float()
        present = truth.flatten(2).sum(2) > 0
        valid = batch.valid[:, None].expand_as(truth)
        entropy, dice = _mask_losses(
            pixel_logits[:, :STUFF_CLASSES].flatten(0, 1), truth.flatten(0, 1), valid.flatten(0, 1)
        )
        losses["stuff"] = 4 * entropy.mean() + (dice * present.flatten()).sum() / present.sum()
    if len(things.image):
        image, cell = _training_cells(batch)
        mask_truth = batch.thing_masks()
        entropies, dices = [], []
        # unbind, not indexing: the gradient of an index is a whole tensor of zeros for every image
        for index, (image_features, image_weights) in enumerate(zip(features.unbind(), weights.unbind(), strict=True)):
            cells = cell[image == index]
            if len(cells) == 0:
                continue
            logits = network.masks(image_features[None], image_weights[None, cells], network.cells[:, cells])[0]
            truth = mask_truth[things.image == index].repeat(2, 1, 1)
            entropy, dice = _mask_losses(logits, truth, batch.valid[index].expand_as(truth))
            entropies.append(entropy)
            dices.append(dice)
        losses["mask_entropy"] = 8 * torch.cat(entropies).mean()
        losses["mask_dice"] = 2 * torch.cat(dices).mean()
    return losses


def _pixel_losses(logits: Tensor, batch: Batch) -> dict[str, Tensor]:
    """Return cross-entropy and soft dice of (B, CLASSES, h, w) against the semantic truth."""
    entropy = F.cross_entropy(logits, batch.semantic, ignore_index=VOID)
    probability = logits.softmax(1) * batch.valid[:, None]
    truth = F.one_hot(batch.semantic.clamp(max=CLASSES), CLASSES + 1)[..., :CLASSES].permute(0, 3, 1, 2).float()
    overlap = (probability * truth).sum((0, 2, 3))
    total = probability.sum((0, 2, 3)) + truth.sum((0, 2, 3))
    return {"entropy": entropy, "dice": (1 - (2 * overlap + 1) / (total + 1)).mean()}


def _mask_losses(logits: Tensor, truth: Tensor, valid: Tensor) -> tuple[Tensor, Tensor]:
    """Return binary cross-entropy and dice per mask of (N, h, w), without void."""
    entropy = (F.binary_cross_entropy_with_logits(logits, truth, reduction="none") * valid).mean((1, 2))
    probability = logits.sigmoid() * valid
    dice = 1 - (2 * (probability * truth).sum((1, 2)) + 1) / (probability.sum((1, 2)) + truth.sum((1, 2)) + 1)
    return entropy, dice


def _spread(batch: Batch) -> Tensor:
    """Return the radius in cells within which a thing may be found, float32 (T,)."""
    return (0.2 * batch.things.area.sqrt() / GRID_STRIDE).clamp(0.45, 1.6)


def _grid_size() -> tuple[int, int]:
    return SIZE[0] // GRID_STRIDE, SIZE[1] // GRID_STRIDE


def _heat_loss(heat: Tensor, batch: Batch) -> Tensor:
    """Return the focal loss of CornerNet and CenterNet: a Gaussian around each centre softens the negatives."""
    rows, columns = _grid_size()
    things = batch.things
    target = torch.zeros(len(heat), THING_CLASSES, rows, columns)
    positive = torch.zeros_like(target)
    peak = things.center.round()
    peak_x, peak_y = peak[:, 0].clamp(0, columns - 1).long(), peak[:, 1].clamp(0, rows - 1).long()
    spread = _spread(batch)[:, None, None]
    dx = torch.arange(columns)[None, None, :] - peak_x[:, None, None]
    dy = torch.arange(rows)[None, :, None] - peak_y[:, None, None]
    bumps = torch.exp(-(dx**2 + dy**2) / (2 * spread**2))
    for index, bump in enumerate(bumps):
        plane = target[things.image[index], things.class_id[index]]
        torch.maximum(plane, bump, out=plane)
    positive[things.image, things.class_id, peak_y, peak_x] = 1
    probability = heat.sigmoid().clamp(1e-4, 1 - 1e-4)
    positives = positive * (1 - probability) ** 2 * probability.log()
    negatives = (1 - positive) * (1 - target) ** 4 * probability**2 * (1 - probability).log()
    return -(positives + negatives).sum()


def _training_cells(batch: Batch) -> tuple[Tensor, Tensor]:
    """Return image and cell of the queries that are trained: each thing's centre, then a cell near it."""
    rows, columns = _grid_size()
    center = batch.things.center
    near = center + torch.randn_like(center) * _spread(batch)[:, None]
    places = torch.stack([center, near]).round()
    x, y = places[..., 0].clamp(0, columns - 1).long(), places[..., 1].clamp(0, rows - 1).long()
    return batch.things.image.repeat(2), (y * columns + x).flatten()
