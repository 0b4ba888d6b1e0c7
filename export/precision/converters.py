"""A converter for each precision: how a variant is built with layers kept in float32, and run to be compared."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

from segrt.export.bundling import Network
from segrt.export.precision import int8_cpu
from segrt.export.precision.calibration import Histogram, collect
from segrt.export.precision.float32_reference import Heads, session_runner
from segrt.export.precision.fp16 import half_nodes, to_fp16
from segrt.export.precision.indexed_graph import IndexedGraph
from segrt.export.precision.int8 import check_opset, quantisable, to_int8
from segrt.export.precision.layer_costs import Layer
from segrt.export.precision.switchable_network import SwitchableNetwork, switchable_fp16, switchable_int8
from segrt.runtime.errors import SegrtError
from segrt.runtime.files.images import Picture
from segrt.runtime.inference.tensors import Array
from segrt.runtime.preprocess.picture import network_inputs

if TYPE_CHECKING:
    import onnx

# Chosen by measurement on the embedded models, see docs/precision.md.
INT8_METHOD = "entropy"
INT8_CPU_METHOD = "minmax"


class Converter(Protocol):
    """One precision for one network. `kept` are positions of layers that stay in float32."""

    @property
    def candidates(self) -> Sequence[int]:
        """The layers that can be at the precision at all."""

    def build(self, kept: Collection[str]) -> "onnx.ModelProto":
        """Return the variant with the nodes `kept` in float32, beside those that always are."""

    def run(self, feeds: Sequence[Heads], kept: Collection[int]) -> list[dict[str, Array]]:
        """Return the heads that the variant gives on a device that computes at the precision."""

    def probe(self, feeds: Sequence[Heads], kept: Collection[int]) -> list[dict[str, Array]]:
        """Return about the same, quickly."""


class _Fp16Converter:
    """Run as the switchable network: ONNX Runtime's own float16 would hide an overflow."""

    def __init__(self, net: IndexedGraph, layers: Sequence[Layer], keep: Collection[str], threads: int) -> None:
        self._net, self._keep = net, frozenset(keep)
        self._count = len(layers)
        halves = half_nodes(net, keep)
        self.candidates = [place for place, layer in enumerate(layers) if halves.intersection(layer.nodes)]
        self._switchable = switchable_fp16(net, layers, keep, threads)

    def build(self, kept: Collection[str]) -> "onnx.ModelProto":
        return to_fp16(self._net, self._keep | set(kept))

    def run(self, feeds: Sequence[Heads], kept: Collection[int]) -> list[dict[str, Array]]:
        return _run_switched(self._switchable, feeds, self._count, kept)

    probe = run


class _Int8Converter:
    """Run as the network with its Q/DQ nodes, which ONNX Runtime executes as they are written."""

    def __init__(
        self,
        net: IndexedGraph,
        layers: Sequence[Layer],
        keep: Collection[str],
        network: Network,
        ranges: Mapping[str, Histogram],
        threads: int,
    ) -> None:
        self._net, self._layers, self._keep, self._network = net, layers, frozenset(keep), network
        self._threads = threads
        self._thresholds = {name: histogram.threshold(INT8_METHOD) for name, histogram in ranges.items()}
        names = {node.name for node in quantisable(net)} - self._keep
        self.candidates = [place for place, layer in enumerate(layers) if names.intersection(layer.nodes)]
        self._switchable: SwitchableNetwork | None = None

    def build(self, kept: Collection[str]) -> "onnx.ModelProto":
        return to_int8(self._net, self._thresholds, self._keep | set(kept))

    def run(self, feeds: Sequence[Heads], kept: Collection[int]) -> list[dict[str, Array]]:
        nodes = {name for place in kept for name in self._layers[place].nodes}
        run = session_runner(self.build(nodes), self._network, self._threads)
        return [run(feed) for feed in feeds]

    def probe(self, feeds: Sequence[Heads], kept: Collection[int]) -> list[dict[str, Array]]:
        if self._switchable is None:
            self._switchable = switchable_int8(self._net, self._layers, self._thresholds, self._keep, self._threads)
        return _run_switched(self._switchable, feeds, len(self._layers), kept)


class _Int8CpuConverter(_Int8Converter):
    """As `_Int8Converter`, with the codes of ONNX Runtime's integer kernels."""

    def __init__(
        self,
        net: IndexedGraph,
        layers: Sequence[Layer],
        keep: Collection[str],
        network: Network,
        ranges: Mapping[str, Histogram],
        threads: int,
    ) -> None:
        super().__init__(net, layers, keep, network, ranges, threads)
        self._ranges = {name: histogram.range(INT8_CPU_METHOD) for name, histogram in ranges.items()}
        planned = int8_cpu.plan(net, keep).layers
        self.candidates = [place for place, layer in enumerate(layers) if planned.intersection(layer.nodes)]

    def build(self, kept: Collection[str]) -> "onnx.ModelProto":
        return int8_cpu.to_int8_cpu(self._net, self._ranges, self._keep | set(kept))


def make_converter(
    precision: str,
    net: IndexedGraph,
    layers: Sequence[Layer],
    keep: Collection[str],
    network: Network,
    calibration: Callable[[], Iterable[Picture]],
    threads: int,
    where: str,
) -> Converter:
    """Return the converter to a precision, calibrated where it needs it; `where` names the network in errors."""
    if precision == "fp16":
        return _Fp16Converter(net, layers, keep, threads)
    check_opset(net, where)
    if not quantisable(net):
        raise SegrtError(f"{where}: has no layer with constant weights that could be {precision}; leave it out")
    return _CONVERTERS[precision](
        net, layers, keep, network, _calibrated(precision, net, keep, network, calibration, threads), threads
    )


def _calibrated(
    precision: str,
    net: IndexedGraph,
    keep: Collection[str],
    network: Network,
    calibration: Callable[[], Iterable[Picture]],
    threads: int,
) -> dict[str, Histogram]:
    names = dict.fromkeys(node.input[0] for node in quantisable(net))
    if precision == "int8-cpu":
        planned = int8_cpu.plan(net, keep)
        made = [node.output[0] for node in net.nodes if node.name in planned.outputs]
        names |= dict.fromkeys(name for name in (*planned.coded, *made) if name not in net.constants)

    def feeds() -> Iterable[Mapping[str, Array]]:
        return (network_inputs(network.inputs, picture)[0] for picture in calibration())

    return collect(net, list(names), feeds, threads=threads)


def _run_switched(
    network: SwitchableNetwork, feeds: Sequence[Heads], count: int, kept: Collection[int]
) -> list[dict[str, Array]]:
    low = [place for place in range(count) if place not in kept]
    return [network.run(feed, low) for feed in feeds]


_CONVERTERS: dict[str, Callable[..., Converter]] = {"int8": _Int8Converter, "int8-cpu": _Int8CpuConverter}
PRECISIONS = ("fp16", *_CONVERTERS)
