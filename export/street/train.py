"""Trains one street network: AdamW, a cosine schedule, bfloat16 arithmetic, a moving average of the weights."""

import copy
import math
import time
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from segrt.export.street.losses import query_loss, semantic_loss
from segrt.export.street.samples import Batch, Frames, draw_batch
from segrt.export.street.street_networks import QueryNetwork, SemanticNetwork

WARM_UP = 150
AVERAGE = 0.998


def make_network(technique: str) -> nn.Module:
    """Return the untrained network of a technique."""
    return SemanticNetwork() if technique == "semantic" else QueryNetwork(stuff=technique == "panoptic")


def loss_of(network: nn.Module, batch: Batch) -> dict[str, Tensor]:
    """Return the losses that train this network."""
    if isinstance(network, SemanticNetwork):
        return semantic_loss(network, batch)
    if isinstance(network, QueryNetwork):
        return query_loss(network, batch)
    raise TypeError(f"no loss for {type(network).__name__}")


def train(
    network: nn.Module,
    frames: Frames,
    *,
    steps: int,
    batch_size: int,
    learning_rate: float,
    seed: int,
    checkpoint: Path,
    report_every: int = 200,
) -> nn.Module:
    """Train `network` for `steps` and return the moving average of its weights, ready for inference.

    `checkpoint` is written now and then; a run that finds it there goes on from it.
    """
    torch.manual_seed(seed)
    random = np.random.default_rng(seed)
    network = network.to(memory_format=torch.channels_last)
    average = copy.deepcopy(network).eval()
    optimizer = _make_optimizer(network, learning_rate)
    first = 0
    if checkpoint.exists():
        state = torch.load(checkpoint, weights_only=True)
        network.load_state_dict(state["network"])
        average.load_state_dict(state["average"])
        optimizer.load_state_dict(state["optimizer"])
        first = state["step"]
        random = np.random.default_rng([seed, first])
    started = time.monotonic()
    recent: dict[str, float] = {}
    network.train()
    for step in range(first, steps):
        rate = _learning_rate(step, steps, learning_rate)
        for group in optimizer.param_groups:
            group["lr"] = rate
        batch = draw_batch(frames, batch_size, random)
        with torch.autocast("cpu", torch.bfloat16):
            losses = loss_of(network, batch)
            total = torch.stack(list(losses.values())).sum()
        optimizer.zero_grad()
        total.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(network.parameters(), 5.0)
        optimizer.step()
        _move_average(average, network, min(AVERAGE, (1 + step) / (20 + step)))
        for name, loss in losses.items():
            recent[name] = 0.98 * recent.get(name, float(loss.detach())) + 0.02 * float(loss.detach())
        if (step + 1) % report_every == 0 or step + 1 == steps:
            minutes = (time.monotonic() - started) / 60
            figures = " ".join(f"{name} {loss:.3f}" for name, loss in recent.items())
            print(f"step {step + 1}/{steps}, {minutes:.1f} min, rate {rate:.1e}: {figures}", flush=True)
            _save(checkpoint, network, average, optimizer, step + 1)
    return average


def _make_optimizer(network: nn.Module, learning_rate: float) -> torch.optim.Optimizer:
    """Return AdamW that decays weights, but neither biases nor what scales and shifts normalised features."""
    decayed = [weight for weight in network.parameters() if weight.ndim > 1]
    plain = [weight for weight in network.parameters() if weight.ndim <= 1]
    return torch.optim.AdamW(
        [{"params": decayed, "weight_decay": 0.02}, {"params": plain, "weight_decay": 0.0}],
        lr=learning_rate,
        betas=(0.9, 0.98),
    )


def _learning_rate(step: int, steps: int, highest: float) -> float:
    """Return the learning rate of a step: a linear warm-up to `highest`, then a cosine down to 2 % of it."""
    return highest * min(1.0, (step + 1) / WARM_UP) * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * step / steps)))


@torch.no_grad()
def _move_average(average: nn.Module, network: nn.Module, keep: float) -> None:
    for old, new in zip(average.state_dict().values(), network.state_dict().values(), strict=True):
        if old.is_floating_point():
            old.mul_(keep).add_(new, alpha=1 - keep)
        else:
            old.copy_(new)


def _save(
    checkpoint: Path, network: nn.Module, average: nn.Module, optimizer: torch.optim.Optimizer, step: int
) -> None:
    state = {
        "network": network.state_dict(),
        "average": average.state_dict(),
        "optimizer": optimizer.state_dict(),
        "step": step,
    }
    part = checkpoint.with_suffix(".part")
    torch.save(state, part)
    part.replace(checkpoint)
