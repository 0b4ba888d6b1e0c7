"""CUDA through segrt's own interface, on a real device: do copies, streams, graphs and mapped memory work, how fast?"""

import time
from collections.abc import Callable

import numpy as np

from segrt.runtime.inference.cuda.cuda_errors import CudaError
from segrt.runtime.inference.cuda.interface import Cuda, Stream

SIZES = (64 << 10, 1080 * 1920 * 3, 32 << 20)
REPEAT = 50


def check_and_time(cuda: Cuda, failures: list[str]) -> dict[str, object]:
    """Return what was measured; what is wrong goes into `failures`."""
    found: dict[str, object] = {"through": cuda.name, "has_graphs": cuda.has_graphs}
    stream = cuda.stream()
    for name, part in (
        ("round trip", lambda: _round_trip(cuda, stream, failures)),
        ("pinned against pageable", lambda: _pinned_and_pageable(cuda, stream)),
        ("mapped memory", lambda: _mapped(cuda)),
        ("graph of copies", lambda: _graph(cuda, stream, failures)),
        ("two streams", lambda: _two_streams(cuda)),
        ("out of memory", lambda: _out_of_memory(cuda, failures)),
    ):
        try:
            found[name] = part()
        except CudaError as error:  # noqa: PERF203 (each part is told by itself)
            found[name] = str(error)
            if name != "graph of copies" or cuda.has_graphs:
                failures.append(f"cuda, {name}: {error}")
    stream.free()
    return found


def _round_trip(cuda: Cuda, stream: Stream, failures: list[str]) -> str:
    host, back, device = cuda.alloc_pinned(SIZES[1]), cuda.alloc_pinned(SIZES[1]), cuda.alloc(SIZES[1])
    host.array[:] = np.random.default_rng(0).integers(0, 256, SIZES[1], np.uint8)
    cuda.upload(device.address, host.array, stream)
    cuda.download(back.array, device.address, stream)
    stream.synchronize()
    same = bool(np.array_equal(host.array, back.array))
    if not same:
        failures.append("cuda: what came back is not what was sent")
    for thing in (host, back, device):
        thing.free()
    return "equal" if same else "DIFFERS"


def _pinned_and_pageable(cuda: Cuda, stream: Stream) -> dict[str, dict[str, float]]:
    times = {}
    for size in SIZES:
        device, pinned, pageable = cuda.alloc(size), cuda.alloc_pinned(size), np.zeros(size, np.uint8)
        times[f"{size} bytes"] = {
            "pinned up ms": _wall(lambda: cuda.upload(device.address, pinned.array, stream), stream),  # noqa: B023
            "pageable up ms": _wall(lambda: cuda.upload(device.address, pageable, stream), stream),  # noqa: B023
            "pinned down ms": _wall(lambda: cuda.download(pinned.array, device.address, stream), stream),  # noqa: B023
            "pageable down ms": _wall(lambda: cuda.download(pageable, device.address, stream), stream),  # noqa: B023
        }
        device.free()
        pinned.free()
    return times


def _mapped(cuda: Cuda) -> str:
    if not cuda.device.can_map_host_memory:
        return "the device cannot map host memory"
    buffer = cuda.alloc_mapped(1 << 20)
    address = buffer.address
    buffer.free()
    return "has an address" if address else "HAS NO ADDRESS"


def _graph(cuda: Cuda, stream: Stream, failures: list[str]) -> dict[str, float | str]:
    size = 64 << 10
    host, back, device = cuda.alloc_pinned(size), cuda.alloc_pinned(size), cuda.alloc(size)

    def work() -> None:
        for _ in range(10):
            cuda.upload(device.address, host.array, stream)
            cuda.download(back.array, device.address, stream)

    graph = cuda.capture(stream, work)
    host.array[:] = 7
    graph.launch(stream)
    stream.synchronize()
    if not (back.array == 7).all():
        failures.append("cuda: a recorded graph did not do what was recorded")
    times: dict[str, float | str] = {
        "launched as graph ms": _wall(lambda: graph.launch(stream), stream),
        "call by call ms": _wall(work, stream),
    }
    for thing in (graph, host, back, device):
        thing.free()
    return times


def _two_streams(cuda: Cuda) -> dict[str, float]:
    size = SIZES[2]
    streams = [cuda.stream(), cuda.stream()]
    hosts = [cuda.alloc_pinned(size) for _ in streams]
    devices = [cuda.alloc(size) for _ in streams]

    def both(first: Stream, second: Stream) -> float:
        start = time.perf_counter()
        for _ in range(REPEAT):
            cuda.upload(devices[0].address, hosts[0].array, first)
            cuda.download(hosts[1].array, devices[1].address, second)
        first.synchronize()
        second.synchronize()
        return (time.perf_counter() - start) / REPEAT * 1e3

    times = {"one stream ms": both(streams[0], streams[0]), "up and down in two ms": both(*streams)}
    for thing in (*streams, *hosts, *devices):
        thing.free()
    return times


def _out_of_memory(cuda: Cuda, failures: list[str]) -> str:
    _, total = cuda.memory()
    try:
        cuda.alloc(total * 2).free()
    except CudaError as error:
        if not error.is_out_of_memory:
            failures.append(f"cuda: {error} is not known as out of memory")
        cuda.alloc(1 << 20).free()  # and the device is still there
        return str(error)
    failures.append("cuda: twice the memory was given")
    return "DID NOT FAIL"


def _wall(work: Callable[[], None], stream: Stream) -> float:
    """Return the median milliseconds of `work` until the stream is done."""
    times = []
    for _ in range(REPEAT):
        start = time.perf_counter()
        work()
        stream.synchronize()
        times.append((time.perf_counter() - start) * 1e3)
    return round(float(np.median(times)), 4)
