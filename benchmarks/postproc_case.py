"""What a comparison consists of, and how it is timed."""

import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from statistics import median
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Size = tuple[int, int]
FULL_HD: Size = (1080, 1920)
PEER_SIZES: tuple[Size, ...] = ((480, 640), (800, 1088), FULL_HD)
ULTRA_HD: Size = (2160, 3840)


class Peer(NamedTuple):
    """Whose code does the same work, and how many times as fast ours has to be at 1080x1920."""

    name: str
    call: Callable[[], Any]
    goal: float | None = None


@dataclass(frozen=True)
class Case:
    """One function at one size.

    `ours` takes the number of threads. `traffic` is the bytes that have to be read and written at least: the inputs
    once and the result once.
    """

    function: str
    detail: str
    size: Size
    ours: Callable[[int], Any]
    traffic: int
    peers: list[Peer] = field(default_factory=list)


class Times(NamedTuple):
    """Milliseconds: the median of process CPU time, and the least wall time."""

    cpu: float
    wall: float


def measure(functions: Mapping[str, Callable[[], Any]], repeats: int, seconds: float = 20.0) -> dict[str, Times]:
    """Time the functions in turn, so that a busy machine slows all of them.

    The first round only warms up. In each later one, in an order of its own, a quick function is called three times in
    a row and the first call does not count, for it finds the caches full of what the function before it read; a slow
    one is called once. It stops after `repeats` rounds, or after three when more would take longer than `seconds`.
    """
    times: dict[str, list[Times]] = {name: [] for name in functions}
    order = random.Random(0)
    begin = time.perf_counter()
    for round_ in range(repeats + 1):
        if round_ > 3 and time.perf_counter() - begin > seconds:
            break
        for name in order.sample(list(functions), len(functions)):
            function = functions[name]
            for call in range(3):
                cpu, wall = time.process_time(), time.perf_counter()
                function()
                cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
                is_slow = wall > 0.1
                if round_ > 0 and (call > 0 or is_slow):
                    times[name].append(Times(cpu * 1e3, wall * 1e3))
                if is_slow:
                    break
    return {name: Times(median(t.cpu for t in own), min(t.wall for t in own)) for name, own in times.items()}


def copy_bandwidth() -> float:
    """Gigabytes a second that memcpy moves on one thread, reading and writing counted, far beyond the caches."""
    source = np.ones(1 << 26, np.uint8)
    target = np.empty_like(source)
    milliseconds = measure({"copy": lambda: np.copyto(target, source)}, 9)["copy"].cpu
    return 2 * source.nbytes / milliseconds / 1e6


def smooth(rng: np.random.Generator, shape: tuple[int, int, int]) -> NDArray[Any]:
    """Grids that vary slowly, as logits do; float32."""
    import cv2

    coarse = rng.normal(size=(shape[0], shape[1] // 8 + 2, shape[2] // 8 + 2)).astype(np.float32) * 4
    return np.stack([cv2.resize(plane, shape[:0:-1]) for plane in coarse])


def random_boxes(rng: np.random.Generator, count: int, size: Size) -> NDArray[Any]:
    """Boxes of a twentieth to a half of the height, float32 xyxy; some reach beyond the picture."""
    corner = rng.uniform(0, 0.7, (count, 2)) * size[::-1]
    return np.concatenate([corner, corner + rng.uniform(0.046, 0.463, (count, 2)) * size[0]], 1).astype(np.float32)
