"""The same networks in torch, eager and compiled, fp32 and fp16, with segrt's pre- and post-processing around them."""

import importlib.util
from typing import Any

import numpy as np
import trials

from segrt.runtime.bundle.bundle import Bundle
from segrt.runtime.errors import SegrtError
from segrt.runtime.inference.tensors import Head
from segrt.runtime.segmenter import open_segmenter


def run(bundle: Bundle, frames: int, failures: list[str], *, compiled: bool) -> list[dict[str, object]]:
    """Return a row each at fp32 and fp16, for eager torch or torch.compile; none without torch."""
    if importlib.util.find_spec("torch") is None:
        return []
    import torch

    if not torch.cuda.is_available():
        return [{"bundle": bundle.manifest.name, "runs in": "torch", "note": "this torch has no CUDA, left out"}]
    try:
        network = _network(bundle)
    except SegrtError as error:
        return [{"bundle": bundle.manifest.name, "runs in": "torch", "note": str(error)}]
    rows = []
    for precision in ("fp32", "fp16"):
        for name, made in [("torch.compile", torch.compile(network)) if compiled else ("torch eager", network)]:
            row: dict[str, object] = {
                "bundle": bundle.manifest.name,
                "technique": bundle.manifest.technique,
                "precision": precision,
                "runs in": name,
                "device": torch.cuda.get_device_name(0),
            }
            try:
                row |= _time(bundle, made, precision, frames)
            except Exception as error:  # torch.compile fails in many ways, and the others still count
                row["note"] = " ".join(str(error).split())[:200]
                if name == "torch eager":
                    failures.append(f"{bundle.manifest.name} {precision} {name}: {row['note']}")
            rows.append(row)
    return rows


def _network(bundle: Bundle) -> Any:
    """Build the bundle's network in torch with random weights: times do not depend on them."""
    from segrt.export.convert.exporting import build
    from segrt.export.family import Request, Weights
    from segrt.export.graph.tracing import ByteInput
    from segrt.export.models.catalogue import find_model

    model = find_model(bundle.manifest.name)
    size = bundle.manifest.image_input.size
    return ByteInput(build(Request(model, size, Weights("random")))).cuda()


def _time(bundle: Bundle, network: Any, precision: str, frames: int) -> dict[str, object]:
    import torch

    pictures = [trials.source_picture(number) for number in range(trials.PICTURES)]
    names = [head.name for head in bundle.manifest.heads]
    times: dict[str, list[float]] = {}
    half = precision == "fp16"
    with open_segmenter(bundle, backend="onnxruntime", device="cpu") as segmenter, torch.inference_mode():
        for number in range(frames + trials.WARMUP):
            slot = segmenter.backend.acquire()
            clock = trials.Clock()
            geometry = segmenter.preprocess_on_cpu(pictures[number % trials.PICTURES], slot)
            clock.lap("preprocess")
            inputs = [torch.from_numpy(view).cuda() for view in slot.inputs.values()]
            torch.cuda.synchronize()
            clock.lap("upload")
            with torch.autocast("cuda", torch.float16, enabled=half):
                outputs = network(*inputs)
            torch.cuda.synchronize()
            clock.lap("network")
            heads = {name: Head(name, output.cpu().numpy()) for name, output in zip(names, outputs, strict=True)}
            clock.lap("download")
            segmenter.postprocess(heads, geometry)
            clock.lap("decode")
            segmenter.backend.release(slot)
            if number >= trials.WARMUP:
                for stage, ms in (clock.laps | {"end to end": sum(clock.laps.values())}).items():
                    times.setdefault(stage, []).append(ms)
    return {stage: round(float(np.median(values)), 3) for stage, values in times.items()} | {
        "p99 end to end": round(float(np.percentile(times["end to end"], 99)), 3)
    }
