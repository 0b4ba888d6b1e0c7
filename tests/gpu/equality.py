"""segrt's kernels on the device against the C++ core: results must be equal to the bit, for every rule and size."""

import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from gpu_scenes import NAMES, SIZES, Scene, scene_of

from segrt.runtime.decode.decoders import PROGRAMS, find_decoder
from segrt.runtime.errors import SegrtError
from segrt.runtime.inference.cuda.device_array import DeviceArray
from segrt.runtime.inference.cuda.interface import Cuda
from segrt.runtime.inference.cuda.slot_queue import SlotQueue
from segrt.runtime.inference.tensors import TensorSpec

REPEAT = 20


def compare_all(
    cuda: Cuda, failures: list[str], sizes: Sequence[tuple[int, int]] = SIZES, *, repeat: int = REPEAT
) -> list[dict[str, object]]:
    """Return a row for each scene: equal or not, milliseconds on the GPU and on the CPU; what differs is a failure."""
    rows = []
    for size in sizes:
        for dtype in ("float32", "float16"):
            for name in (name for name, rule in NAMES.items() if rule in PROGRAMS):
                scene = scene_of(name, size, dtype)
                try:
                    row = compare(cuda, scene, repeat)
                except SegrtError as error:
                    row = {"rule": scene.name, "equal": str(error)}
                row["picture"] = f"{size[0]}x{size[1]}"
                if row["equal"] != "yes":
                    failures.append(f"{scene.name} {row['picture']}: {row['equal']}")
                rows.append(row)
    return rows


def compare(cuda: Cuda, scene: Scene, repeat: int) -> dict[str, object]:
    """Decode a scene on both: call by call, then as a graph, then `repeat` times for the clock."""
    begin = time.perf_counter()
    want = find_decoder(scene.context.decode, "cpu")(scene.heads, scene.geometry, scene.context)
    cpu_ms = (time.perf_counter() - begin) * 1e3
    with Queues(cuda, scene) as queues:
        differs = next(filter(None, (difference(queues.decoded(), want) for _ in range(3))), "yes")
        wall, kernels = [], []
        for _ in range(repeat):
            begin = time.perf_counter()
            queues.decoded()
            wall.append((time.perf_counter() - begin) * 1e3)
            kernels.append(queues.decode_ms())
    row: dict[str, object] = {"rule": scene.name, "equal": differs, "CPU": round(cpu_ms, 3)}
    if repeat:
        row |= {"result on the host": round(float(np.median(wall)), 3), "GPU": round(float(np.median(kernels)), 3)}
    return row


def difference(got: Any, want: Any) -> str:
    """Return what of two results differs, "" for nothing."""
    if type(got) is not type(want):
        return f"{type(got).__name__} is no {type(want).__name__}"
    for name, value in vars(want).items():
        if name in ("timings", "image") or name.startswith("_"):  # which say nothing of what was decoded
            continue
        other = getattr(got, name)
        if isinstance(value, np.ndarray):
            if other.dtype != value.dtype or other.shape != value.shape:
                return f"{name} is {other.dtype} {other.shape}, not {value.dtype} {value.shape}"
            wrong = np.count_nonzero(other != value) if value.dtype.kind in "iub" else _unequal_bits(other, value)
            if wrong:
                return f"{wrong} of {value.size} values of {name} differ"
        elif other != value:
            return f"{name} differs"
    return ""


class Queues:
    """The queues of a scene's heads on the device, one for each member; the heads are uploaded once."""

    def __init__(self, cuda: Cuda, scene: Scene) -> None:
        self._cuda, self._scene = cuda, scene
        self._queues: dict[str, SlotQueue] = {}
        self._decoder = find_decoder(scene.context.decode, "cuda")

    def __enter__(self) -> "Queues":
        members: dict[str, dict[str, Any]] = {}
        for role, head in self._scene.heads.items():
            members.setdefault(role.rpartition(".")[0], {})[role] = head
        with self._cuda.current():
            for member, heads in members.items():
                specs = [TensorSpec(role, head.dtype.name, head.shape) for role, head in heads.items()]
                queue = SlotQueue("kernels", self._cuda, [], specs, downloads=False)
                self._queues[member] = queue
                for role, head in heads.items():
                    self._cuda.upload(queue.device_heads[role].address, head, queue.stream)
                queue.stream.synchronize()
        return self

    def __exit__(self, *_: object) -> None:
        with self._cuda.current():
            for queue in self._queues.values():
                queue.close()

    @property
    def heads(self) -> Mapping[str, DeviceArray]:
        """Role → head on the device."""
        return {role: head for queue in self._queues.values() for role, head in queue.device_heads.items()}

    def decoded(self) -> Any:
        """Decode the frame once more, behind a network that does nothing."""
        with self._cuda.current():
            for queue in self._queues.values():
                queue.start(lambda: None)
        return self._decoder(self.heads, self._scene.geometry, self._scene.context)

    def decode_ms(self) -> float:
        """Return the GPU's time for the last frame, by its own clock."""
        return sum(queue.times().decode_ms for queue in self._queues.values())


def _unequal_bits(one: Any, other: Any) -> int:
    kind = f"u{other.dtype.itemsize}"
    return int(np.count_nonzero(np.ascontiguousarray(one).view(kind) != np.ascontiguousarray(other).view(kind)))
