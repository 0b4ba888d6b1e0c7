"""Pictures brought to a network's input on the device against the CPU: all bits, and the time that it takes."""

import time
from typing import Any

import numpy as np
import numpy.typing as npt

from segrt.runtime.bundle.locating import read_bundle
from segrt.runtime.errors import SegrtError
from segrt.runtime.inference.cuda.interface import Cuda
from segrt.runtime.inference.cuda.kernels import kernels_on
from segrt.runtime.inference.cuda.slot_queue import SlotQueue
from segrt.runtime.inference.tensors import TensorSpec
from segrt.runtime.preprocess.cuda.picture_filler import PictureFiller
from segrt.runtime.preprocess.input_spec import InputSpec, Resize
from segrt.runtime.preprocess.picture import fill_inputs

SIZES = ((480, 640), (1080, 1920), (2160, 3840), (1920, 1080))
IMAGENET = {"scale": 1 / 255, "mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}


def _spec(height: int, width: int, resize: Resize, **changes: Any) -> InputSpec:
    wanted = {"name": "picture", "dtype": "float32", "shape": (1, 3, height, width), "layout": "NCHW"} | IMAGENET
    return InputSpec(**wanted | {"resize": resize} | changes)


def inputs() -> dict[str, tuple[InputSpec, ...]]:
    """Return what networks of each way of resizing take, name → inputs."""
    longest = Resize(
        rule="shortest_edge", shortest_edge=800, longest_edge=1066, antialias=True, rounding="longer_floor",
        pad_side="bottom_right",
    )  # fmt: skip
    return {
        "street-panoptic": read_bundle("street-panoptic").manifest.inputs,
        "DETR 800x1066": (
            _spec(800, 1066, longest),
            InputSpec(name="mask", dtype="int64", shape=(1, 800, 1066), role="valid_mask"),
        ),
        "SegFormer 1024x1024": (_spec(1024, 1024, Resize(antialias=True)),),
        "SegFormer 1024x1024 float16": (_spec(1024, 1024, Resize(antialias=True), dtype="float16"),),
        "YOLO 640x640": (_spec(640, 640, Resize(rule="letterbox", pad=(114, 114, 114)), scale=1 / 255),),
        "cubic 512x512": (_spec(512, 512, Resize(interpolation="cubic", antialias=True), layout="NCHW"),),
        "nearest bytes 512x1024": (
            InputSpec(name="picture", dtype="uint8", shape=(1, 512, 1024, 3), resize=Resize(interpolation="nearest")),
        ),
    }


def compare_all(cuda: Cuda, failures: list[str], *, repeat: int = 20) -> list[dict[str, object]]:
    """Return a row for each input and size of picture; what differs from the CPU is a failure."""
    rows = []
    for name, specs in inputs().items():
        for size in SIZES:
            row: dict[str, object] = {"rule": f"picture for {name}", "picture": f"{size[0]}x{size[1]}"}
            try:
                row |= compare(cuda, specs, size, repeat)
            except SegrtError as error:
                row["equal"] = str(error)
            if row["equal"] != "yes":
                failures.append(f"{row['rule']} {row['picture']}: {row['equal']}")
            rows.append(row)
    return rows


def compare(cuda: Cuda, specs: tuple[InputSpec, ...], size: tuple[int, int], repeat: int) -> dict[str, object]:
    """Fill a slot's inputs on the device and on the CPU."""
    tensors = [TensorSpec(spec.name, spec.dtype, (1, *(int(n) for n in spec.shape[1:]))) for spec in specs]
    want = {tensor.name: np.full(tensor.shape, 7, tensor.dtype) for tensor in tensors}
    pictures = [picture_of(size, seed) for seed in range(2)]
    with cuda.current():
        queue = SlotQueue("pictures", cuda, tensors, [], downloads=False)
    try:
        filler = queue.own(PictureFiller(specs, queue.inputs, kernels_on(cuda)))
        wall, device, cpu = [], [], []
        for number in range(2 + repeat):
            begin = time.perf_counter()
            filler.fill(pictures[number % 2])
            with cuda.current():
                queue.start(lambda: None)
            queue.synchronize()
            wall.append((time.perf_counter() - begin) * 1e3)
            device.append(queue.times().preprocess_ms)
            if number < 2:
                begin = time.perf_counter()
                fill_inputs(pictures[number % 2], specs, want)
                cpu.append((time.perf_counter() - begin) * 1e3)
                told = _difference({name: array.download() for name, array in queue.inputs.items()}, want)
                if told:
                    return {"equal": told}
    finally:
        with cuda.current():
            queue.close()
    return {
        "equal": "yes", "CPU": round(cpu[-1], 3), "GPU": round(float(np.median(device[2:])), 3),
        "result on the host": round(float(np.median(wall[2:])), 3),
    }  # fmt: skip


def picture_of(size: tuple[int, int], seed: int) -> npt.NDArray[np.uint8]:
    """Return a picture, uint8 BGR (H, W, 3), with flat and noisy parts."""
    random = np.random.default_rng(seed)
    image = random.integers(0, 256, (*size, 3), np.uint8)
    image[: size[0] // 3] = random.integers(0, 2, 3) * 255
    return image


def _difference(got: dict[str, npt.NDArray[Any]], want: dict[str, npt.NDArray[Any]]) -> str:
    for name, array in want.items():
        kind = f"u{array.itemsize}"
        wrong = int(np.count_nonzero(got[name].view(kind) != array.view(kind)))
        if wrong:
            return f"{wrong} of {array.size} values of {name} differ"
    return ""
