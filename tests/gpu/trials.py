"""One variant of one bundle on one of segrt's backends: golden frames, heads against the CPU, times by stage."""

import numpy as np
import numpy.typing as npt

from segrt.runtime.authoring.two_pictures import check_two_pictures
from segrt.runtime.authoring.verification import verify
from segrt.runtime.bundle.bundle import Bundle
from segrt.runtime.bundle.manifest import Variant
from segrt.runtime.errors import SegrtError
from segrt.runtime.inference.onnxruntime import run_file
from segrt.runtime.segmenter import Segmenter, open_segmenter
from segrt.runtime.streetworld.moments import scattered

PICTURES = 3
WARMUP = 10


def source_picture(number: int) -> npt.NDArray[np.uint8]:
    """Return a 1080p picture, uint8 BGR (1080, 1920, 3): a rendered street, the same on every machine."""
    return next(iter(scattered(number, 1, (1080, 1920)))).image


def run(bundle: Bundle, variant: Variant, backend: str, frames: int, failures: list[str]) -> list[dict[str, object]]:
    """Return the row of the table; what is wrong goes into `failures`."""
    name = f"{bundle.manifest.name} {variant.precision} {backend}"
    row: dict[str, object] = {
        "bundle": bundle.manifest.name,
        "technique": bundle.manifest.technique,
        "precision": variant.precision,
        "runs in": backend,
    }
    try:
        with open_segmenter(bundle, backend=backend, precision=variant.precision) as segmenter:
            row["device"] = segmenter.backend.device
            if backend == "onnxruntime" and segmenter.backend.device != "cuda":
                return [row | {"note": "ONNX Runtime has no CUDA here, left out"}]
            wrong = [check for check in verify(segmenter) if not check.passed]
            row["golden frames"] = "ok" if not wrong else f"{len(wrong)} differ"
            stale = [check for check in check_two_pictures(segmenter) if not check.passed]
            row["two pictures"] = "ok" if not stale else "stale"
            failures += [f"{name}: {check.frame} {check.what} {check.value}" for check in wrong + stale]
            row["largest head error"] = compare_heads(segmenter, bundle, variant)
            row |= time_stages(segmenter, frames)
            row["note"] = "; ".join(filter(None, (segmenter.backend.why_no_graph, segmenter.backend.remark)))
    except SegrtError as error:
        failures.append(f"{name}: {error}")
        return [row | {"note": str(error)}]
    return [row]


def compare_heads(segmenter: Segmenter, bundle: Bundle, variant: Variant) -> str:
    """Return the largest difference of any head from ONNX Runtime on the CPU, relative to the head's own range."""
    worst, where = 0.0, ""
    for number in range(PICTURES):
        slot = segmenter.backend.acquire()
        segmenter.preprocess(source_picture(number), slot)
        inputs = {name: view.copy() for name, view in slot.inputs.items()}
        segmenter.backend.release(slot)
        heads = segmenter.backend.run(inputs)
        reference = run_file(bundle.network(variant), inputs)
        for name, head in heads.items():
            want = reference[name].astype(np.float64)
            spread = float(np.abs(want).max()) or 1.0
            error = float(np.abs(head.astype(np.float64) - want).max()) / spread
            if not error <= worst:  # also when it is not a number
                worst, where = error, name
    return f"{worst:.2e} ({where})"


def time_stages(segmenter: Segmenter, frames: int) -> dict[str, object]:
    """Return median milliseconds of each stage on 1080p pictures, and of the whole way of a frame."""
    pictures = [source_picture(number) for number in range(PICTURES)]
    times: dict[str, list[float]] = {}
    for number in range(frames + WARMUP):
        picture = pictures[number % PICTURES]
        slot = segmenter.backend.acquire()
        clock = Clock()
        geometry = segmenter.preprocess(picture, slot)
        clock.lap("preprocess")
        segmenter.backend.submit(slot)
        heads = segmenter.backend.wait(slot)
        clock.lap("network")
        segmenter.postprocess(heads, geometry)
        clock.lap("postprocess")
        laps = clock.laps | {"upload": slot.upload_ms, "inference": slot.inference_ms, "download": slot.download_ms}
        segmenter.backend.release(slot)
        if number >= WARMUP:
            for stage, ms in (laps | {"end to end": sum(clock.laps.values())}).items():
                times.setdefault(stage, []).append(ms)
    return {stage: round(float(np.median(values)), 3) for stage, values in times.items()} | {
        "p99 end to end": round(float(np.percentile(times["end to end"], 99)), 3)
    }


class Clock:
    """Milliseconds between one `lap` and the next."""

    def __init__(self) -> None:
        import time

        self._now = time.perf_counter
        self._last = self._now()
        self.laps: dict[str, float] = {}

    def lap(self, name: str) -> None:
        """End a lap."""
        now = self._now()
        self.laps[name] = (now - self._last) * 1e3
        self._last = now
