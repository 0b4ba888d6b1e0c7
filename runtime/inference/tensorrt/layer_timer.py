"""Per-layer times from TensorRT's own profiler."""

from typing import Any

from segrt.runtime.inference.tensorrt.flavor import Flavor
from segrt.runtime.inference.tensorrt.gpu_slot import GpuSlot


def profiled(flavor: Flavor, context: Any, gpu_slot: GpuSlot, runs: int) -> list[tuple[str, float]]:
    """Run `gpu_slot` on `context` `runs` times after one that does not count; return (layer, mean ms), in order.

    Layers are timed one by one, without a recorded graph, so that their sum is more than a frame really takes.
    """
    api: Any = flavor.api
    times: dict[str, float] = {}
    counting = False

    class Profiler(api.IProfiler):  # type: ignore[misc]
        def __init__(self) -> None:
            api.IProfiler.__init__(self)

        def report_layer_time(self, layer_name: str, ms: float) -> None:
            if counting:
                times[layer_name] = times.get(layer_name, 0.0) + ms

    profiler = context.profiler = Profiler()
    for run in range(runs + 1):
        counting = run > 0
        gpu_slot.start()
        gpu_slot.queue.synchronize()
    del profiler
    return [(name, total / runs) for name, total in times.items()]
