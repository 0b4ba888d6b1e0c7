"""Gives the channels of each activation the same range, so that one int8 step fits all of them.

A layer by channel may give one channel a range of 0.003 and another one of 8; with one step for the tensor nothing is
left of the first, though the next layer may multiply it by 400. The scale of a channel is moved from the layer that
makes it into the one that reads it, whose weights have a step for each output channel anyway ("Data-Free Quantization
Through Weight Equalization and Bias Correction", Nagel et al., ICCV 2019, with measured ranges). The network computes
the same in float32.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from segrt.export.graph.editing import require_onnx
from segrt.export.precision.calibration import run_for
from segrt.export.precision.channel_groups import ChannelGroups, attribute
from segrt.export.precision.indexed_graph import IndexedGraph
from segrt.runtime.inference.tensors import Array

if TYPE_CHECKING:
    import onnx

_MOST = 1e4
_DEAD = 1e-6  # of the tensor's range: a channel that is 0 but for rounding


def equalise(
    net: IndexedGraph,
    tensors: Iterable[str],
    feeds: Callable[[], Iterable[Mapping[str, Array]]],
    *,
    threads: int = 0,
) -> IndexedGraph:
    """Return a network that computes as `net` does, with the ranges of the channels of `tensors` as equal as may be.

    `tensors` are those that become int8; the ranges are those over `feeds`.
    """
    groups = ChannelGroups(net)
    names = [
        name
        for name in dict.fromkeys(tensors)
        if name in groups.numbers and not groups.fixed[groups.numbers[name]].all()
    ]
    if not names:
        return net
    return _scaled(net, groups, _scales(groups, _ranges(net, names, feeds, threads)))


def _ranges(
    net: IndexedGraph, tensors: list[str], feeds: Callable[[], Iterable[Mapping[str, Array]]], threads: int
) -> dict[str, npt.NDArray[np.float64]]:
    """Return the largest absolute value of each channel of `tensors`."""
    largest: dict[str, npt.NDArray[np.float64]] = {}
    for name, values in run_for(net, tensors, feeds, threads):
        others = tuple(axis for axis in range(values.ndim) if axis != 1)
        here = np.nan_to_num(np.abs(values).max(axis=others).astype(np.float64), posinf=0.0)
        largest[name] = np.maximum(largest[name], here) if name in largest else here
    return largest


def _scales(groups: ChannelGroups, ranges: Mapping[str, npt.NDArray[np.float64]]) -> npt.NDArray[np.float64]:
    """Return the scale of every group: what brings its range to that of the widest tensor it occurs in."""
    own = np.zeros(len(groups.fixed))
    widest = np.zeros(len(groups.fixed))
    for name, largest in ranges.items():
        numbers = groups.numbers[name]
        if len(numbers) == len(largest):
            np.maximum.at(own, numbers, largest)
            np.maximum.at(widest, numbers, largest.max())
    scales = np.ones(len(groups.fixed))
    free = ~groups.fixed & (own > _DEAD * widest)
    scales[free] = np.minimum(widest[free] / own[free], _MOST)
    return scales


def _scaled(net: IndexedGraph, groups: ChannelGroups, scales: npt.NDArray[np.float64]) -> IndexedGraph:
    model = net.copy()
    added: list[onnx.TensorProto] = []
    for node in model.graph.node:
        if node.op_type not in ("Conv", "ConvTranspose", "BatchNormalization"):
            continue
        if not all(name in groups.numbers for name in (node.input[0], node.output[0])):
            continue
        read, made = (scales[groups.numbers[name]] for name in (node.input[0], node.output[0]))
        if (read == 1.0).all() and (made == 1.0).all():
            continue
        arrays = [net.array(name).astype(np.float64) for name in list(node.input)[1:] if name]
        if node.op_type == "BatchNormalization":
            gain, offset, mean, _ = arrays
            changed = [gain / read * made, offset * made, mean * read]
        else:
            changed = [_weights(node, arrays[0], read, made), *(bias * made for bias in arrays[1:2])]
        for place, values in enumerate(changed, 1):
            name = f"{node.input[place]}__equalised_for_{node.name}"
            added.append(require_onnx().numpy_helper.from_array(values.astype(np.float32), name))
            node.input[place] = name
    model.graph.initializer.extend(added)
    read_names = {name for node in model.graph.node for name in node.input} | _read_in_subgraphs(net)
    kept = [tensor for tensor in model.graph.initializer if tensor.name in read_names]
    del model.graph.initializer[:]
    model.graph.initializer.extend(kept)
    return net.with_model(model)


def _read_in_subgraphs(net: IndexedGraph) -> set[str]:
    """Return the constants that subgraphs read, or that are outputs."""
    return {
        name for name in net.constants if any(name not in reader.input for reader in net.consumers.get(name, ()))
    } | set(net.outputs)


def _weights(
    node: "onnx.NodeProto",
    weights: npt.NDArray[np.float64],
    read: npt.NDArray[np.float64],
    made: npt.NDArray[np.float64],
) -> npt.NDArray[np.float64]:
    """Return the weights of a convolution that reads channels scaled by `read` and gives them scaled by `made`."""
    count = int(attribute(node, "group", 1))
    kernel = [1] * (weights.ndim - 2)
    first, second = weights.shape[:2]
    if node.op_type == "Conv":  # (out, in of the group, ...)
        inputs = np.repeat(read.reshape(count, second), first // count, axis=0)
        return np.asarray(weights / inputs.reshape(first, second, *kernel) * made.reshape(-1, 1, *kernel))
    outputs = np.repeat(made.reshape(count, second), first // count, axis=0)  # (in, out of the group, ...)
    return np.asarray(weights / read.reshape(-1, 1, *kernel) * outputs.reshape(first, second, *kernel))
