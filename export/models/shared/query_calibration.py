"""Random weights for query networks whose results look like a trained one's: several segments of several classes.

With plain random weights all queries are alike: attention over hundreds of cells averages everything away. So
attention is sharpened first, then classes are spread over the queries, and masks are cut to a size.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from segrt.export.family import Request, Size
from segrt.export.models.shared.early_masks import (
    EARLY_AREA,
    MARKED,
    inputs_of,
    lift_early_thresholds,
    linear_layers,
    mark_the_last,
)
from segrt.export.models.shared.query_core import QueryCore
from segrt.export.weights.random_weights import Spread, calibrate, calibration_pixels, calm, standardise
from segrt.runtime.results import Label

_QUERY, _KEY = Spread(std=3.0, axis=-1), Spread(std=1.0, axis=-1)
_UNNAMED = 30.0
_LIVE = 0.3
MASK_AREA = 0.06  # of a picture
_LONGEST_SIDE = 416
# How far mask embeddings are spread: objects have sharp edges; scores that are added up for a class map are soft.
# Logits stay far above -88, where a float32 sigmoid is 0 for every query, and the first wins where none sees anything.
_MASKS = {"panoptic": 0.25, "instance": 0.25, "semantic": 0.04}
_CLASS_SPREAD, _MARGIN, _DISCRIMINANTS = 8.0, 2.0, 24


def sharp_attention(network: nn.Module) -> dict[nn.Module, Spread]:
    """Return how queries and keys of every attention in `network` are spread: logits of standard deviation 3."""
    kinds = {"q_proj": _QUERY, "k_proj": _KEY}
    return {
        module: kinds[name.rpartition(".")[2]]
        for name, module in network.named_modules()
        if name.rpartition(".")[2] in kinds and module.bias is not None
    }


@torch.no_grad()
def spread_classes(layer: nn.Linear, hidden: torch.Tensor, labels: Sequence[Label], *, live: float, seed: int) -> None:
    """Make `layer` (D → C+1) find classes in the share `live` of the queries `hidden` (N, Q, D), far apart.

    It looks at what tells queries apart in all pictures, so that pictures of another kind are neither empty nor full.
    Classes without a name ("unused 12") are never found.
    """
    classes = layer.out_features - 1
    weight, bias = random_rows(hidden, classes, _CLASS_SPREAD, seed)
    layer.weight.copy_(torch.cat([weight, torch.zeros(1, layer.in_features)]))  # "no object" is a level to be reached
    unnamed = torch.tensor([label.name.startswith("unused ") for label in labels])
    bias -= _UNNAMED * unnamed
    best = (hidden.reshape(-1, hidden.shape[-1]) @ weight.T + bias).amax(1)
    layer.bias.copy_(torch.cat([bias, torch.tensor([quantile(best, 1 - live) - _MARGIN])]))


def random_rows(hidden: torch.Tensor, count: int, std: float, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return weight (count, D) and bias (count,) whose outputs for `hidden` (N, Q, D) have mean 0 and deviation `std`.

    The rows look at what tells queries apart in all pictures.
    """
    directions = _discriminants(hidden)
    weight = torch.randn(count, directions.shape[1], generator=torch.Generator().manual_seed(seed)) @ directions.T
    outputs = hidden.reshape(-1, hidden.shape[-1]) @ weight.T
    gain = std / outputs.std(0)
    return weight * gain[:, None], -outputs.mean(0) * gain


def _discriminants(hidden: torch.Tensor) -> torch.Tensor:
    """Return the directions (D, K) in which queries (N, Q, D) differ most, measured by their change over pictures.

    These are Fisher's linear discriminants.
    """
    means = hidden.mean(0)
    change = (hidden - means).reshape(-1, hidden.shape[-1])
    means = means - means.mean(0)
    within = change.T @ change / len(change)
    within += 0.1 * within.diagonal().mean() * torch.eye(len(within))
    factor = torch.linalg.cholesky(within)
    whitened = torch.linalg.solve_triangular(factor, means.T, upper=False)
    _, vectors = torch.linalg.eigh(whitened @ whitened.T)
    directions: torch.Tensor = torch.linalg.solve_triangular(factor.T, vectors[:, -_DISCRIMINANTS:], upper=True)
    return directions


def calibrate_queries(core: QueryCore, project: nn.Module, request: Request, labels: Sequence[Label]) -> None:
    """Set the statistics of a random network of MaskFormer's kind; `project` makes its pixel embeddings.

    The first pixel embedding becomes a constant 1, so that the first mask embedding is a threshold, by which masks
    get a size; those of early layers, which steer attention, another (see `early_masks`).
    """
    if is_meta(core):
        return
    top_queries, core.top_queries = core.top_queries, None  # the choice follows the classes, which are set last
    size, count = (calibration_size(request.size), 4) if core.takes_any_size else (request.size, 2)
    pixels = calibration_pixels(size, count=count, seed=request.weights.seed)
    pixels[1::2] = nn.functional.avg_pool2d(pixels[1::2], 7, stride=1, padding=3)  # photos are smooth, and noisy too
    for module in core.model.modules():
        if type(module).__name__ == "ResNetBackbone":
            calm(module)
    last = linear_layers(core.mask_layers())[-1]
    spreads = {**sharp_attention(core.model), project: Spread(), last: Spread(axis=-1)}
    hooks = [
        module.register_forward_pre_hook(_sharpen, with_kwargs=True)
        for module in core.model.modules()
        if isinstance(module, nn.MultiheadAttention)
    ]
    calibrate(core.model, lambda: core(pixels), spreads)
    for hook in hooks:
        hook.remove()
    with torch.no_grad():
        layers = linear_layers(core.mask_layers())
        marked = mark_the_last(core, layers, pixels)
        embedded = inputs_of(last, lambda: core(pixels))
        hidden = embedded[-1].clone()
        hidden[..., : MARKED if marked else 0] = 0  # what marks the last layer must not shape its masks
        weight, bias = random_rows(hidden, last.out_features, _MASKS[request.model.technique], request.weights.seed)
        last.weight.copy_(weight)
        last.bias.copy_(bias)
        for layer, level in ((project, 1.0), (last, 0.0)):
            _set_first_output(layer, level)
        threshold = quantile(core(pixels)[1], 1 - MASK_AREA)
        _set_first_output(last, -threshold)
        queries, pixel_embeddings = core.embeddings(pixels)
        if marked:
            early = [torch.einsum("bqc,bchw->bqhw", last(hidden), pixel_embeddings) for hidden in embedded[:-1]]
            lift_early_thresholds(last, max(max(quantile(logits, 1 - EARLY_AREA) for logits in early), 0.0))
            queries, _ = core.embeddings(pixels)
        spread_classes(core.class_layer(), queries, labels, live=_LIVE, seed=request.weights.seed)
    core.top_queries = top_queries


@torch.no_grad()
def _sharpen(module: nn.MultiheadAttention, args: Any, kwargs: Any) -> None:
    """Spread the queries and keys of torch's own attention, whose projections are one matrix."""
    given = dict(zip(("query", "key"), args, strict=False)) | kwargs
    width = module.embed_dim
    for part, name, std in ((0, "query", 3.0), (1, "key", 1.0)):
        rows = slice(part * width, (part + 1) * width)
        weight, bias = module.in_proj_weight[rows], module.in_proj_bias[rows]
        mean, deviation = standardise(nn.functional.linear(given[name], weight, bias), -1)
        gain = std / deviation
        weight.mul_(gain[:, None])
        bias.sub_(mean).mul_(gain)


def calibration_size(size: Size) -> Size:
    """Return the size to calibrate at: `size` (h, w), or less where that is enough to measure statistics."""
    return min(size[0], _LONGEST_SIDE), min(size[1], _LONGEST_SIDE)


def is_meta(core: nn.Module) -> bool:
    """Tell whether the network has shapes alone, no values."""
    return next(core.parameters()).is_meta


def _set_first_output(layer: Any, bias: float) -> None:
    """Make the first output of `layer` the constant `bias`."""
    layer.weight[0] = 0
    layer.bias[0] = bias


def quantile(values: torch.Tensor, share: float) -> float:
    """Return the quantile of a sample of `values` (torch refuses more than 16 million)."""
    return float(torch.quantile(values.flatten()[:: 1 + values.numel() // 1_000_000], share))
