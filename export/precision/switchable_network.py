"""A float32 network in which every layer can be switched to a lower precision while it runs.

One session then answers for any choice of layers. It computes in float32 and rounds what the lower precision would
round, explicitly: ONNX Runtime has no float16 kernels on most CPUs, casts around each node and drops the rounding
between two, so a float16 network that overflows on a GPU looks healthy there.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from segrt.export.graph.editing import require_onnx
from segrt.export.precision.bias_correction import corrected_bias
from segrt.export.precision.fp16 import FLOAT, HALF, drop_unread, half_nodes, round_weights
from segrt.export.precision.indexed_graph import IndexedGraph, open_session, read_names, rename_inputs
from segrt.export.precision.int8 import channel_axis, quantisable, quantise_weight, scale_of
from segrt.export.precision.layer_costs import Layer
from segrt.runtime.inference.tensors import Array

if TYPE_CHECKING:
    import onnx

SWITCHES = "segrt_switches"


class SwitchableNetwork:
    """Runs a network with chosen layers at the lower precision; the functions below make it.

    That of `rounded_fp16` has no switches.
    """

    def __init__(self, model: "onnx.ModelProto", heads: Sequence[str], count: int, threads: int = 0) -> None:
        self._session = open_session(model, threads=threads, layouts=count > 0)
        self._heads = list(heads)
        self._count = count

    def run(self, feed: Mapping[str, Array], low: Collection[int]) -> dict[str, Array]:
        """Return the heads for network inputs, the layers at the positions `low` being at the lower precision."""
        given = dict(feed)
        if self._count:
            given[SWITCHES] = switches = np.zeros(self._count, np.bool_)
            switches[list(low)] = True
        values = self._session.run(self._heads, given)
        return dict(zip(self._heads, values, strict=True))


def switchable_fp16(
    net: IndexedGraph, layers: Sequence[Layer], keep: Collection[str], threads: int = 0
) -> SwitchableNetwork:
    """Return `net` with switches for float16; the nodes in `keep` never round."""
    halves = half_nodes(net, keep)
    owner = {name: place for place, layer in enumerate(layers) for name in layer.nodes}
    writer = _Writer(net, len(layers))
    made_in: dict[str, int] = {}
    for node in net.nodes:
        place = owner[node.name]
        copy = _copy(node)
        if node.name not in halves:
            writer.nodes.append(copy)
            continue
        names = {}
        for name in read_names(node):
            if net.is_float(name) and made_in.get(name) != place and not _is_size(name, node):
                names[name] = writer.rounded(name, place)
        rename_inputs(copy, names)
        writer.nodes.append(copy)
        for index, name in enumerate(node.output):
            if name and net.is_float(name):
                copy.output[index] = raw = f"{name}__raw"
                writer.choose(place, writer.half(raw), raw, name)
                made_in[name] = place
    return SwitchableNetwork(writer.model(), net.outputs, len(layers), threads)


def rounded_fp16(net: IndexedGraph, keep: Collection[str], threads: int = 0) -> SwitchableNetwork:
    """Return `net` with every layer at float16, without switches: what `switchable_fp16` gives with all of them low.

    Each tensor is rounded once, where it is made, which takes half the time.
    """
    halves = half_nodes(net, keep)
    writer = _Writer(net, 0)
    rounded: set[str] = set()
    for node in net.nodes:
        copy = _copy(node)
        if node.name not in halves:
            writer.nodes.append(copy)
            continue
        names = [name for name in read_names(node) if net.is_float(name) and not _is_size(name, node)]
        new = {name: writer.half(name) for name in names if name not in rounded}
        rename_inputs(copy, new)
        writer.nodes.append(copy)
        for index, name in enumerate(node.output):
            if name and net.is_float(name):
                copy.output[index] = raw = f"{name}__raw"
                writer.half(raw, name)
                rounded.add(name)
    return SwitchableNetwork(writer.model(), net.outputs, 0, threads)


def switchable_int8(
    net: IndexedGraph,
    layers: Sequence[Layer],
    thresholds: Mapping[str, float],
    keep: Collection[str],
    *,
    errors: Mapping[str, Array] | None = None,
    threads: int = 0,
) -> SwitchableNetwork:
    """Return `net` with switches for int8 weights and inputs of the layers that can be quantised.

    `errors` are those that `bias_correction.mean_errors` found; a layer that is switched has a corrected bias.
    """
    owner = {name: place for place, layer in enumerate(layers) for name in layer.nodes}
    chosen = {node.name for node in quantisable(net)} - set(keep)
    writer = _Writer(net, len(layers))
    for node in net.nodes:
        copy = _copy(node)
        if node.name in chosen:
            place = owner[node.name]
            copy.input[0] = writer.quantised(node.input[0], thresholds[node.input[0]], place)
            copy.input[1] = writer.quantised_weight(node, place)
            if errors and node.name in errors:
                bias = writer.corrected_bias(node, errors[node.name], place)
                del copy.input[2:]
                copy.input.append(bias)
        writer.nodes.append(copy)
    return SwitchableNetwork(writer.model(), net.outputs, len(layers), threads)


class _Writer:
    """Gathers the nodes of the switched network."""

    def __init__(self, net: IndexedGraph, count: int) -> None:
        self._net = net
        self._count = count
        self._done: set[str] = set()
        self._constants: list[onnx.TensorProto] = []
        self.nodes: list[onnx.NodeProto] = []
        for place in range(count):
            index = self._constant(f"segrt_place_{place}", np.int64(place))
            self._node("Gather", [SWITCHES, index], f"segrt_switch_{place}")

    def model(self) -> "onnx.ModelProto":
        """Return the network."""
        onnx = require_onnx()
        model = self._net.copy()
        del model.graph.node[:]
        model.graph.node.extend(self.nodes)
        model.graph.initializer.extend(self._constants)
        drop_unread(model)
        if not self._count:
            return model
        switches = onnx.helper.make_tensor_value_info(SWITCHES, onnx.TensorProto.BOOL, [self._count])
        model.graph.input.append(switches)
        return model

    def choose(self, place: int, low: str, high: str, out: str) -> str:
        """Append the choice between two tensors by the switch of a layer; return its name `out`."""
        return self._node("Where", [f"segrt_switch_{place}", low, high], out)

    def half(self, name: str, out: str = "") -> str:
        """Return the name, `out` where given, of a tensor rounded to float16; weights are clipped as in the variant."""
        if name in self._net.constants:
            values = round_weights(self._net.array(name)).astype(np.float32)
            return self._constant(f"{name}__rounded", values)
        self._node("Cast", [name], f"{name}__half", to=HALF)
        return self._node("Cast", [f"{name}__half"], out or f"{name}__rounded", to=FLOAT)

    def rounded(self, name: str, place: int) -> str:
        """Return the name of a tensor as a layer reads it: rounded where the layer is switched."""
        return self.choose(place, self.half(name), name, f"{name}__in_{place}")

    def quantised(self, name: str, threshold: float, place: int) -> str:
        """Return the name of an activation as a layer reads it: quantised where the layer is switched."""
        scale = self._constant(f"{name}__scale", np.float32(scale_of(threshold)))
        zero = self._constant(f"{name}__zero", np.int8(0))
        self._node("QuantizeLinear", [name, scale, zero], f"{name}__int8")
        self._node("DequantizeLinear", [f"{name}__int8", scale, zero], f"{name}__dequantised")
        return self.choose(place, f"{name}__dequantised", name, f"{name}__in_{place}")

    def quantised_weight(self, node: "onnx.NodeProto", place: int) -> str:
        """Return the name of a layer's weights: quantised where it is switched."""
        name, axis = node.input[1], channel_axis(node)
        values = self._net.array(name)
        quantised, scales = quantise_weight(values, axis)
        others = None if axis is None else tuple(i for i in range(values.ndim) if i != axis % values.ndim)
        shaped = scales if others is None else np.expand_dims(scales, others)
        low = self._constant(f"{name}__dequantised_{axis}", (quantised * shaped).astype(np.float32))
        return self.choose(place, low, name, f"{name}__in_{place}_{axis}")

    def corrected_bias(self, node: "onnx.NodeProto", error: Array, place: int) -> str:
        """Return the name of a layer's bias: corrected where it is switched."""
        values = corrected_bias(node, self._net, error)
        low = self._constant(f"{node.name}__corrected_bias", values)
        has_bias = len(node.input) > 2 and node.input[2]
        high = node.input[2] if has_bias else self._constant(f"{node.name}__no_bias", np.zeros_like(values))
        return self.choose(place, low, high, f"{node.name}__bias_in_{place}")

    def _node(self, kind: str, inputs: list[str], out: str, **options: int) -> str:
        if out not in self._done:
            self._done.add(out)
            self.nodes.append(require_onnx().helper.make_node(kind, inputs, [out], name=f"segrt_{out}", **options))
        return out

    def _constant(self, name: str, values: Array) -> str:
        if name not in self._done:
            self._done.add(name)
            self._constants.append(require_onnx().numpy_helper.from_array(np.asarray(values), name))
        return name


def _copy(node: "onnx.NodeProto") -> "onnx.NodeProto":
    copy: onnx.NodeProto = require_onnx().NodeProto.FromString(node.SerializeToString())
    return copy


def _is_size(name: str, node: "onnx.NodeProto") -> bool:
    """Whether a node reads a tensor as the scales of a resize."""
    return node.op_type == "Resize" and name in list(node.input)[1:]
