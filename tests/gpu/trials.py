"""One variant of one bundle on one of segrt's backends: golden frames, heads against the CPU, times by stage."""

import numpy as np
import numpy.typing as npt
from equality import difference

from segrt.runtime.authoring.two_pictures import check_two_pictures
from segrt.runtime.authoring.verification import verify
from segrt.runtime.bundle.bundle import Bundle
from segrt.runtime.bundle.manifest import Variant
from segrt.runtime.errors import DeviceLostError, SegrtError
from segrt.runtime.inference.onnxruntime import run_file
from segrt.runtime.profiling.gpu_trace import stages_of
from segrt.runtime.segmenter import Segmenter, open_segmenter
from segrt.runtime.streetworld.moments import scattered

PICTURES = 3
WARMUP = 10


def source_picture(number: int) -> npt.NDArray[np.uint8]:
    """Return a 1080p picture, uint8 BGR (1080, 1920, 3): a rendered street, the same on every machine."""
    return next(iter(scattered(number, 1, (1080, 1920)))).image


def check(bundle: Bundle, precision: str, backend: str, failures: list[str]) -> dict[str, object] | None:
    """Return what is right: golden frames, two pictures, heads; None where the backend is not to be had here."""
    name = f"{bundle.manifest.name} {precision} {backend}"
    row: dict[str, object] = {"bundle": bundle.manifest.name, "precision": precision, "runs in": backend}
    try:
        with open_segmenter(bundle, backend=backend, precision=precision) as segmenter:
            if backend == "onnxruntime" and segmenter.backend.device != "cuda":
                failures.append(f"{name}: ONNX Runtime does not use the GPU ({segmenter.backend.remark})")
                return None
            wrong = [each for each in verify(segmenter) if not each.passed]
            row["golden frames"] = "ok" if not wrong else f"{len(wrong)} differ"
            stale = [each for each in check_two_pictures(segmenter) if not each.passed]
            row["two pictures"] = "ok" if not stale else "stale"
            failures += [f"{name}: {each.frame} {each.what} {each.value}" for each in wrong + stale]
            row["largest head error"] = compare_heads(segmenter, bundle, bundle.variant(precision))
            row["decoded on"] = segmenter.placement.device
            if segmenter.placement.device == "cuda":
                row["GPU and CPU decode"] = same = _decoded_alike(segmenter)
                failures += [f"{name}: decoding on the GPU and on the CPU: {same}"] if same != "equal" else []
    except SegrtError as error:
        if backend == "tensorrt" and not isinstance(error, DeviceLostError):
            return row | {"note": f"unverified: {error}"}
        failures.append(f"{name}: {error}")
        row["note"] = str(error)
    return row


def _decoded_alike(segmenter: Segmenter) -> str:
    """Compare the results of the same network's heads, decoded on the GPU and on the CPU."""
    for number in range(PICTURES):
        result, heads, geometry = segmenter.detailed(source_picture(number))
        told = difference(result, segmenter.decoded(heads, geometry))
        if told:
            return told
    return "equal"


def time_one(bundle: Bundle, precision: str, backend: str, frames: int) -> dict[str, object]:
    """Return a row of the table."""
    row: dict[str, object] = {"bundle": bundle.manifest.name, "precision": precision, "runs in": f"segrt, {backend}"}
    try:
        with open_segmenter(bundle, backend=backend, precision=precision) as segmenter:
            row |= time_stages(segmenter, frames)
            places = f"decoded on {segmenter.placement.device}, {segmenter.placement.reason}"
            row["note"] = "; ".join(filter(None, (segmenter.backend.why_no_graph, segmenter.backend.remark, places)))
    except SegrtError as error:
        row["note"] = str(error)
    return row


def compare_heads(segmenter: Segmenter, bundle: Bundle, variant: Variant) -> str:
    """Return the largest difference of any head from ONNX Runtime on the CPU, relative to the head's own range."""
    worst, where = 0.0, ""
    for number in range(PICTURES):
        slot = segmenter.backend.acquire()
        segmenter.preprocess_on_cpu(source_picture(number), slot)
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
    """Return median milliseconds on 1080p pictures: the GPU's stages by its own clock, wall time from end to end."""
    pictures = [source_picture(number) for number in range(PICTURES)]
    times: dict[str, list[float]] = {}
    for number in range(frames + WARMUP):
        slot = segmenter.backend.acquire()
        clock = Clock()
        geometry = segmenter.preprocess(pictures[number % PICTURES], slot)
        clock.lap("host: preprocess")
        heads = segmenter.backend.execute(slot)
        clock.lap("host: network")
        segmenter.postprocess(heads, geometry)
        clock.lap("host: decode")
        laps = clock.laps | {"end to end": sum(clock.laps.values())}
        slot.settle()
        laps |= stages_of(slot.gpu.times()) if slot.gpu is not None else {"network": slot.inference_ms}
        segmenter.backend.release(slot)
        if number >= WARMUP:
            for stage, ms in laps.items():
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
