"""A converter for each precision: how a variant is built with layers kept in float32, and run to be compared."""

from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING, Protocol

from segrt.export.graph.own_heap import in_own_heap
from segrt.export.precision.float32_reference import Heads, session_runner
from segrt.export.precision.fp16 import half_nodes, to_fp16
from segrt.export.precision.int8 import check_opset, quantisable
from segrt.export.precision.int8_recipes import Int8, Int8Cpu, Recipe, Task, calibrate, thresholds_of
from segrt.export.precision.switchable_network import (
    SwitchableNetwork,
    rounded_fp16,
    switchable_fp16,
    switchable_int8,
)
from segrt.runtime.errors import SegrtError
from segrt.runtime.inference.tensors import Array

if TYPE_CHECKING:
    import onnx


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

    def __init__(self, task: Task) -> None:
        self._task, self._net, self._keep = task, task.net, task.keep
        halves = half_nodes(task.net, task.keep)
        self.candidates = [place for place, layer in enumerate(task.layers) if halves.intersection(layer.nodes)]
        self._switchable: SwitchableNetwork | None = None

    def build(self, kept: Collection[str]) -> "onnx.ModelProto":
        return to_fp16(self._net, self._keep | set(kept))

    def run(self, feeds: Sequence[Heads], kept: Collection[int]) -> list[dict[str, Array]]:
        if not kept and self._switchable is None:  # most networks need no search
            rounded = rounded_fp16(self._net, self._keep, self._task.threads)
            return in_own_heap(lambda: [rounded.run(feed, ()) for feed in feeds])
        if self._switchable is None:
            self._switchable = switchable_fp16(self._net, self._task.layers, self._keep, self._task.threads)
        return _run_switched(self._switchable, feeds, len(self._task.layers), kept)

    probe = run


class _Int8Converter:
    """Run as the network with its Q/DQ nodes, which ONNX Runtime executes as they are written."""

    def __init__(self, task: Task, recipe: Recipe) -> None:
        self._task, self._recipe = task, recipe
        names = set(recipe.layers(task.net, task.keep))
        self.candidates = [place for place, layer in enumerate(task.layers) if names.intersection(layer.nodes)]
        self._calibrated = calibrate(task, recipe)
        self._switchable: SwitchableNetwork | None = None

    def build(self, kept: Collection[str]) -> "onnx.ModelProto":
        return self._recipe.build(self._calibrated, self._task.keep | set(kept))

    def run(self, feeds: Sequence[Heads], kept: Collection[int]) -> list[dict[str, Array]]:
        nodes = {name for place in kept for name in self._task.layers[place].nodes}
        run = session_runner(self.build(nodes), self._task.network, self._task.threads)
        return [run(feed) for feed in feeds]

    def probe(self, feeds: Sequence[Heads], kept: Collection[int]) -> list[dict[str, Array]]:
        task = self._task
        if self._switchable is None:
            thresholds = thresholds_of(self._calibrated.ranges)
            self._switchable = switchable_int8(
                self._calibrated.net,
                task.layers,
                thresholds,
                task.keep,
                errors=self._calibrated.errors,
                threads=task.threads,
            )
        return _run_switched(self._switchable, feeds, len(task.layers), kept)


def make_converter(precision: str, task: Task) -> Converter:
    """Return the converter to a precision, calibrated where it needs it."""
    if precision == "fp16":
        return _Fp16Converter(task)
    check_opset(task.net, task.where)
    if not quantisable(task.net):
        raise SegrtError(f"{task.where}: has no layer with constant weights that could be {precision}; leave it out")
    return _Int8Converter(task, _RECIPES[precision]())


def _run_switched(
    network: SwitchableNetwork, feeds: Sequence[Heads], count: int, kept: Collection[int]
) -> list[dict[str, Array]]:
    low = [place for place in range(count) if place not in kept]
    return [network.run(feed, low) for feed in feeds]


_RECIPES: dict[str, Callable[[], Recipe]] = {Int8.precision: Int8, Int8Cpu.precision: Int8Cpu}
PRECISIONS = ("fp16", *_RECIPES)
