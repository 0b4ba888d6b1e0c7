"""Puts weights of Keras into a network of torch whose layers bear the names that they have in Keras.

A layer's name is the last part of its module's: "pyramid.fpn_c5p5" takes the arrays "fpn_c5p5/kernel" and
"fpn_c5p5/bias".
"""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from segrt.export.weights.keras_file import LayerArray, Layers, open_layers
from segrt.export.weights.network_weights import report_misfits
from segrt.runtime.errors import SegrtError

Array = npt.NDArray[np.float32]
_NORM = {"weight": "gamma", "bias": "beta", "running_mean": "moving_mean", "running_var": "moving_variance"}
_PARAMETERS = ("kernel", "depthwise_kernel", "bias", "gamma", "beta", "moving_mean", "moving_variance")


def load_keras(network: nn.Module, path: Path, *, other_names: Mapping[str, str] | None = None) -> None:
    """Put the weights in the HDF5 file `path` into `network`; `other_names` are further names of layers there.

    Raises SegrtError that counts missing, unexpected and misshapen arrays, before anything is loaded.
    """
    wanted = keras_arrays(network)
    with open_layers(path) as found:
        given = _renamed(found, other_names or {})
        misshapen = [
            (name, given[name].shape, array.shape)
            for name, array in wanted.items()
            if name in given and given[name].shape != array.shape
        ]
        report_misfits(
            str(path),
            missing=[name for name in wanted if name not in given],
            unexpected=[name for name in given if name not in wanted and name.rpartition("/")[2] in _PARAMETERS],
            misshapen=misshapen,
        )
        for name, array in wanted.items():
            try:
                values = given[name].values()
            except OSError:
                raise SegrtError(f"{path}: is cut off or damaged at {name}; fetch it again") from None
            array.put(values)


class KerasArray:
    """An array as Keras keeps it, and the tensor of the network that holds the same numbers."""

    def __init__(self, tensor: torch.Tensor, order: tuple[int, ...]) -> None:
        """`order` are the axes of `tensor` in the order of Keras's array."""
        self._tensor, self._order = tensor, order
        self.shape = tuple(tensor.shape[axis] for axis in order)

    def get(self) -> Array:
        """Return the tensor's numbers as Keras keeps them."""
        values: Array = self._tensor.detach().permute(self._order).contiguous().numpy()
        return values

    def put(self, values: Array) -> None:
        """Give the tensor the numbers of `values`."""
        back = [self._order.index(axis) for axis in range(len(self._order))]
        with torch.no_grad():
            self._tensor.copy_(torch.from_numpy(np.ascontiguousarray(values)).permute(back))


def keras_arrays(network: nn.Module) -> dict[str, KerasArray]:
    """Return the arrays that Keras has for `network`, "LAYER/kind" → array, in the order of the modules."""
    arrays: dict[str, KerasArray] = {}
    for path, module in network.named_modules():
        layer = path.rpartition(".")[2]
        for name, tensor in (*module.named_parameters(recurse=False), *module.named_buffers(recurse=False)):
            described = _KERNELS.get(type(module))
            if name == "num_batches_tracked" or described is None:
                continue
            kind, order = described(module, name)
            arrays[f"{layer}/{kind}"] = KerasArray(tensor, order)
    return arrays


def _renamed(found: Layers, other_names: Mapping[str, str]) -> dict[str, LayerArray]:
    """Return the arrays under this network's names of layers."""
    given = {}
    for name, array in found.items():
        layer, _, kind = name.rpartition("/")
        given[f"{other_names.get(layer, layer)}/{kind}"] = array
    return given


def _of_convolution(module: nn.Module, name: str) -> tuple[str, tuple[int, ...]]:
    if name == "bias":
        return "bias", (0,)
    if isinstance(module, nn.Conv2d) and module.groups == module.in_channels > 1:
        return "depthwise_kernel", (2, 3, 0, 1)
    return "kernel", (2, 3, 1, 0)


def _of_linear(module: nn.Module, name: str) -> tuple[str, tuple[int, ...]]:  # noqa: ARG001
    return ("bias", (0,)) if name == "bias" else ("kernel", (1, 0))


def _of_norm(module: nn.Module, name: str) -> tuple[str, tuple[int, ...]]:  # noqa: ARG001
    return _NORM[name], (0,)


_Kernel = Callable[[nn.Module, str], tuple[str, tuple[int, ...]]]
# torch keeps (out, in, h, w), a transposed convolution (in, out, h, w), Keras (h, w, in, out), transposed (h, w, out,
# in): the same permutation.
_KERNELS: Mapping[type[nn.Module], _Kernel] = {
    nn.Conv2d: _of_convolution,
    nn.ConvTranspose2d: _of_convolution,
    nn.Linear: _of_linear,
    nn.BatchNorm2d: _of_norm,
    nn.BatchNorm1d: _of_norm,
}
