"""How a float32 network becomes int8: equalised, calibrated, its biases corrected, the way to clip chosen by trial.

No way to clip is the best for every network: on one that is nearly linear the largest value is, on one whose channels
have long tails it leaves nothing. All are tried on some of the calibration pictures; the one whose heads are nearest to
float32's is taken.
"""

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from segrt.export.bundling import Network
from segrt.export.precision import int8_cpu
from segrt.export.precision.bias_correction import Coder, mean_errors, with_corrected_biases
from segrt.export.precision.calibration import METHODS, Histogram, collect
from segrt.export.precision.equalisation import equalise
from segrt.export.precision.float32_reference import Float32Reference, session_runner
from segrt.export.precision.indexed_graph import IndexedGraph
from segrt.export.precision.int8 import Int8Coder, quantisable, to_int8
from segrt.export.precision.layer_costs import Layer
from segrt.export.precision.variant_options import Progress
from segrt.runtime.files.images import Picture
from segrt.runtime.inference.tensors import Array
from segrt.runtime.preprocess.picture import network_inputs

if TYPE_CHECKING:
    import onnx

Ranges = Mapping[str, tuple[float, float]]
_TRIED_ON = 6
_CORRECTED_ON = 16


@dataclass(frozen=True)
class Task:
    """A network to convert.

    net, layers, network: the float32 network as a graph, its layers, and what the manifest says of it. keep: the nodes
    that stay in float32. calibration, progress: pictures for int8, and what shows how many of them were seen.
    where: names the network in errors.
    """

    net: IndexedGraph
    layers: Sequence[Layer]
    network: Network
    keep: frozenset[str]
    calibration: Sequence[Picture]
    progress: Progress
    threads: int
    where: str


@dataclass(frozen=True)
class Calibrated:
    """A float32 network made ready for int8.

    ranges: the lowest and highest value of each tensor to be told apart, by the way to clip `method`. errors: by layer,
    the mean of each output channel that quantising it takes away.
    """

    net: IndexedGraph
    ranges: Ranges
    method: str
    errors: Mapping[str, Array]

    def without_errors(self, keep: Collection[str]) -> IndexedGraph:
        """Return the network in which the layers that become int8, all but `keep`, have corrected biases."""
        return with_corrected_biases(self.net, self.errors, keep)


class Recipe(ABC):
    """How a calibrated network is quantised."""

    precision: str

    @abstractmethod
    def layers(self, net: IndexedGraph, keep: Collection[str]) -> Collection[str]:
        """Return the names of the nodes with weights that become int8 when those named in `keep` do not."""

    @abstractmethod
    def tensors(self, net: IndexedGraph, keep: Collection[str]) -> Iterable[str]:
        """Return the tensors whose ranges `build` needs."""

    @abstractmethod
    def ranges(self, histograms: Mapping[str, Histogram], method: str) -> Ranges:
        """Return the ranges by a way to clip."""

    @abstractmethod
    def coder(self, net: IndexedGraph, ranges: Ranges) -> Coder:
        """Return what quantises single layers."""

    @abstractmethod
    def build(self, calibrated: Calibrated, keep: Collection[str]) -> "onnx.ModelProto":
        """Return the network in int8, but for the nodes named in `keep`."""


class Int8(Recipe):
    """As TensorRT wants it."""

    precision = "int8"

    def layers(self, net: IndexedGraph, keep: Collection[str]) -> Collection[str]:  # noqa: D102
        return {node.name for node in quantisable(net)} - set(keep)

    def tensors(self, net: IndexedGraph, keep: Collection[str]) -> Iterable[str]:  # noqa: ARG002, D102
        return (node.input[0] for node in quantisable(net))

    def ranges(self, histograms: Mapping[str, Histogram], method: str) -> Ranges:  # noqa: D102
        thresholds = {name: histogram.threshold(method) for name, histogram in histograms.items()}
        return {name: (-threshold, threshold) for name, threshold in thresholds.items()}

    def coder(self, net: IndexedGraph, ranges: Ranges) -> Coder:  # noqa: D102
        return Int8Coder(net, thresholds_of(ranges))

    def build(self, calibrated: Calibrated, keep: Collection[str]) -> "onnx.ModelProto":  # noqa: D102
        return to_int8(calibrated.without_errors(keep), thresholds_of(calibrated.ranges), keep)


class Int8Cpu(Recipe):
    """As ONNX Runtime's integer kernels for CPUs want it."""

    precision = "int8-cpu"

    def layers(self, net: IndexedGraph, keep: Collection[str]) -> Collection[str]:  # noqa: D102
        return int8_cpu.plan(net, keep).layers

    def tensors(self, net: IndexedGraph, keep: Collection[str]) -> Iterable[str]:  # noqa: D102
        planned = int8_cpu.plan(net, keep)
        yield from (node.input[0] for node in quantisable(net))
        yield from planned.coded
        yield from (node.output[0] for node in net.nodes if node.name in planned.outputs)

    def ranges(self, histograms: Mapping[str, Histogram], method: str) -> Ranges:  # noqa: D102
        return {name: histogram.range(method) for name, histogram in histograms.items()}

    def coder(self, net: IndexedGraph, ranges: Ranges) -> Coder:  # noqa: D102
        return int8_cpu.Int8CpuCoder(net, ranges)

    def build(self, calibrated: Calibrated, keep: Collection[str]) -> "onnx.ModelProto":  # noqa: D102
        return int8_cpu.to_int8_cpu(calibrated.without_errors(keep), calibrated.ranges, keep)


def thresholds_of(ranges: Ranges) -> dict[str, float]:
    """Return the largest absolute value of each range."""
    return {name: max(-low, high) for name, (low, high) in ranges.items()}


def calibrate(task: Task, recipe: Recipe) -> Calibrated:
    """Return the network of `task` made ready for `recipe`."""
    what = recipe.precision

    def watched(text: str) -> Iterable[Mapping[str, Array]]:
        pictures = task.progress(list(task.calibration), text)
        return (network_inputs(task.network.inputs, picture)[0] for picture in pictures)

    names = [name for name in dict.fromkeys(recipe.tensors(task.net, task.keep)) if name not in task.net.constants]
    net = equalise(task.net, names, lambda: watched(f"equalising {what}"), threads=task.threads)
    histograms = collect(net, names, lambda: watched(f"calibrating {what}"), threads=task.threads)
    sample = Float32Reference(
        task.network, _spread(task.calibration, _TRIED_ON), session_runner(task.net.model, task.network, task.threads)
    )
    correcting = [
        network_inputs(task.network.inputs, picture)[0] for picture in _spread(task.calibration, _CORRECTED_ON)
    ]
    best, least = None, np.inf
    for method in METHODS:
        ranges = recipe.ranges(histograms, method)
        errors = mean_errors(net, recipe.coder(net, ranges), correcting, keep=task.keep, threads=task.threads)
        candidate = Calibrated(net, ranges, method, errors)
        run = session_runner(recipe.build(candidate, task.keep), task.network, task.threads)
        error = sample.error([run(feed) for feed in sample.feeds])
        if best is None or error < least:
            best, least = candidate, error
    assert best is not None
    return best


def _spread(pictures: Sequence[Picture], most: int) -> list[Picture]:
    """Return at most `most` pictures, evenly spread."""
    places = np.linspace(0, len(pictures) - 1, min(most, len(pictures))).round().astype(int)
    return [pictures[place] for place in places]
