"""Random weights whose results vary as trained ones' do: drawn from a seed, then calibrated on synthetic pictures.

A network with plain random weights gives the same class everywhere, and a comparison of such results proves nothing.
So the running statistics of its BatchNorm layers are measured, and its last layers are moved and scaled so that
their outputs spread. One pass sets everything: each layer is corrected when data first reaches it, and what it gives
then goes on to the next.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from segrt.export.family import IMAGENET_MEAN, IMAGENET_STD, Size
from segrt.export.synthetic_pictures import synthetic_picture
from segrt.runtime.preprocess.input_spec import Channels

_PHOTO_SIZE = (256, 320)
_FEW = 32
_LEAST_SHARE = 0.01
_RESIDUAL_GAIN = 0.15
# The last norm of a residual block, by the block's class in torchvision (BasicBlock, Bottleneck), in Panoptic-DeepLab
# as it is written here, and in transformers.
_LAST_NORMS = {
    "BasicBlock": ("bn2",),
    "Bottleneck": ("bn3", "conv3.norm"),
    "ResNetBasicLayer": ("layer.1.normalization",),
    "ResNetBottleNeckLayer": ("layer.2.normalization",),
}


@dataclass(frozen=True)
class Spread:
    """How the outputs of a layer (Conv, Linear) with a weight (out, ...) and a bias are to be distributed.

    Each output channel gets mean `mean` and standard deviation `std` over all other axes; `axis` is the channel axis
    of the output, 1 for maps (N, C, h, w), -1 for rows (N, Q, C).

    `live` is the share of rows that are to be objects, for class heads: with `no_object` (the position of that class
    among the channels) rows whose best class beats it, without it rows whose best logit is above 0 (sigmoid heads).
    """

    std: float = 1.0
    mean: float = 0.0
    axis: int = 1
    live: float | None = None
    no_object: int | None = None


QUERY_CLASSES = Spread(std=4.0, axis=-1, live=0.4, no_object=-1)


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Draw torch's random numbers from `seed` inside the block; outside of it nothing changes."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield


def calibration_pixels(
    size: Size,
    mean: Channels = IMAGENET_MEAN,
    std: Channels = IMAGENET_STD,
    *,
    count: int = 4,
    seed: int = 0,
) -> torch.Tensor:
    """Return `count` synthetic pictures as normalised pixels, float32 (count, 3, h, w); the same for the same seed.

    Large networks are calibrated on fewer or smaller pictures as they see fit.
    """
    if torch.get_default_device().type == "meta":
        return torch.empty((count, 3, *size))
    pictures = np.stack([synthetic_picture(1000 + 100 * seed + index, size) for index in range(count)])
    pixels = torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 255
    return (pixels - torch.tensor(mean)[:, None, None]) / torch.tensor(std)[:, None, None]


def photo_like_pixels(
    size: Size, mean: Channels = IMAGENET_MEAN, std: Channels = IMAGENET_STD, *, seed: int = 0
) -> torch.Tensor:
    """Return a dark, a plain and a bright synthetic picture as normalised pixels, float32 (3, 3, h, w).

    Photos are smooth at the size of a large network and differ in brightness: what is calibrated on less lets one
    class win everywhere in one photo.
    """
    small = tuple(min(side, most) for side, most in zip(size, _PHOTO_SIZE, strict=True))
    pixels = calibration_pixels((small[0], small[1]), mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0), count=3, seed=seed)
    pixels = pixels * torch.tensor([0.5, 1.0, 0.5])[:, None, None, None]
    pixels = pixels + torch.tensor([0.0, 0.0, 0.5])[:, None, None, None]
    pixels = nn.functional.interpolate(pixels, size=size, mode="bilinear")
    return (pixels - torch.tensor(mean)[:, None, None]) / torch.tensor(std)[:, None, None]


def calibrate(network: nn.Module, run: Callable[[], object], spreads: Mapping[nn.Module, Spread] | None = None) -> None:
    """Call `run`, which passes pictures through `network`, and set its statistics from what flows.

    Every layer with running statistics (BatchNorm, frozen ones of any package) takes those of its input; the layers in
    `spreads` are moved and scaled in place as their `Spread` asks. A layer that is called several times keeps what
    its last call gave. A network on the meta device, which is only counted, is left as it is.
    """
    if any(parameter.is_meta for parameter in network.parameters()):
        return
    with ExitStack() as stack, torch.no_grad():
        for module in network.modules():
            if isinstance(getattr(module, "running_mean", None), torch.Tensor):
                stack.callback(module.register_forward_pre_hook(_take_statistics).remove)
        for module, spread in (spreads or {}).items():
            stack.callback(module.register_forward_hook(_spreader(spread)).remove)
        was_training = network.training
        network.eval()
        run()
        network.train(was_training)


def calm(network: nn.Module) -> None:
    """Let the residual blocks of `_LAST_NORMS` inside `network` change little, and its filters be smooth.

    A deep network of random weights is chaotic: half a grey level of rounding in its input becomes a quarter of its
    features. Trained ones are not. Rounding is noise from pixel to pixel, which smooth filters average away, while
    pictures are smooth themselves. To be called before `calibrate`.
    """
    with torch.no_grad():
        for module in network.modules():
            children = dict(module.named_modules())
            last = [children[name] for name in _LAST_NORMS.get(type(module).__name__, ()) if name in children]
            if last:
                norm: Any = last[0]
                norm.weight.fill_(_RESIDUAL_GAIN)
            elif isinstance(module, nn.Conv2d) and min(module.kernel_size) >= 3:
                smooth = nn.functional.avg_pool2d(module.weight, 3, stride=1, padding=1)
                module.weight.copy_(nn.functional.avg_pool2d(smooth, 3, stride=1, padding=1))


def standardise(outputs: torch.Tensor, axis: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return mean and standard deviation of `outputs` along `axis`, over all other axes, each (channels,).

    Where few values were seen the deviation is not trusted below that of all channels together.
    """
    values, count = outputs.detach().float(), outputs.numel() // outputs.shape[axis]
    others = [index for index in range(values.ndim) if index != axis % values.ndim]  # as it lies: a copy is 200 MB
    variance, mean = torch.var_mean(values, others, unbiased=False) if others else (torch.zeros_like(values), values)
    floor = values.var(unbiased=False) if count < _FEW else variance.mean()
    least = float(floor) * (1.0 if count < _FEW else _LEAST_SHARE)
    return mean, variance.clamp(min=max(least, 1e-12)).sqrt()


def _take_statistics(module: Any, inputs: tuple[torch.Tensor, ...]) -> None:
    if isinstance(module, nn.modules.batchnorm._BatchNorm):
        module.eval()
    mean, std = standardise(inputs[0], 1)
    module.running_mean.copy_(mean)
    module.running_var.copy_(std**2)


def _spreader(spread: Spread) -> Callable[[Any, Any, torch.Tensor], torch.Tensor]:
    def hook(module: Any, inputs: Any, output: torch.Tensor) -> torch.Tensor:  # noqa: ARG001 (torch's signature)
        if module.bias is None:
            raise ValueError(f"a layer without bias cannot be spread: {module}")
        axis = spread.axis % output.ndim
        mean, std = standardise(output, axis)
        gain = spread.std / std
        shift = spread.mean - mean * gain
        shape = [-1 if index == axis else 1 for index in range(output.ndim)]
        spreaded: torch.Tensor = output * gain.view(shape) + shift.view(shape)
        extra = _live_shift(spreaded.movedim(axis, -1).reshape(-1, output.shape[axis]), spread)
        module.weight.mul_(_along_output(module, gain))
        module.bias.mul_(gain).add_(shift + extra)
        return spreaded + extra.view(shape)

    return hook


def _along_output(module: Any, gain: torch.Tensor) -> torch.Tensor:
    """Return `gain` (out,) in a shape that scales the weight of `module` output by output."""
    transposed = isinstance(module, nn.ConvTranspose1d | nn.ConvTranspose2d | nn.ConvTranspose3d)
    if transposed and module.groups != 1:
        raise ValueError(f"a grouped transposed convolution cannot be spread: {module}")
    shape = [1] * module.weight.ndim
    shape[1 if transposed else 0] = -1
    return gain.view(shape)


def _live_shift(rows: torch.Tensor, spread: Spread) -> torch.Tensor:
    """Return what must be added to the channels so that `spread.live` of the `rows` (R, C) are objects."""
    shift = torch.zeros(rows.shape[1])
    if spread.live is None:
        return shift
    if spread.no_object is None:
        return shift - torch.quantile(rows.max(1).values, 1 - spread.live)
    index = spread.no_object % rows.shape[1]
    others = torch.cat([rows[:, :index], rows[:, index + 1 :]], 1)
    if others.shape[1] == 0 or not math.isfinite(float(rows.sum())):
        raise ValueError(f"class logits must be finite and have a class beside no object, but got {list(rows.shape)}")
    shift[index] = torch.quantile(others.max(1).values - rows[:, index], 1 - spread.live)
    return shift
