"""transformers' usual way: its processor, its model on the GPU, its post-processing on the GPU, result on the host."""

import time
from typing import Any

import numpy as np
import trials

from segrt.runtime.bundle.bundle import Bundle
from segrt.runtime.errors import SegrtError

_PROCESSORS = {
    "DetrForSegmentation": "DetrImageProcessor",
    "Mask2FormerForUniversalSegmentation": "Mask2FormerImageProcessor",
    "EomtForUniversalSegmentation": "EomtImageProcessor",
    "SegformerForSemanticSegmentation": "SegformerImageProcessor",
}


def run(bundle: Bundle, frames: int) -> list[dict[str, object]]:
    """Return a row each for fp32 and fp16; none for what is not transformers'."""
    import torch

    try:
        found = _model_of(bundle)
    except SegrtError as error:
        return [{"bundle": bundle.manifest.name, "runs in": "transformers", "note": str(error)}]
    if found is None:
        return []
    model, processor = found
    rows = []
    for precision in ("fp32", "fp16"):
        row: dict[str, object] = {
            "bundle": bundle.manifest.name, "precision": precision, "runs in": "transformers' usual way",
        }  # fmt: skip
        try:
            row |= timed(model, processor, bundle.manifest.technique, frames, half=precision == "fp16", device="cuda")
        except Exception as error:  # whatever a release of transformers does not do is told, and the rest goes on
            row["note"] = " ".join(str(error).split())[:200]
        rows.append(row)
        torch.cuda.empty_cache()
    return rows


def timed(model: Any, processor: Any, technique: str, frames: int, *, half: bool, device: str) -> dict[str, object]:
    """Return median milliseconds of processor, network and post-processing, and p99 of all."""
    import torch

    pictures = [trials.source_picture(number)[..., ::-1].copy() for number in range(trials.PICTURES)]
    model = model.to(device).eval()
    times: dict[str, list[float]] = {"preprocess": [], "network": [], "decode": [], "end to end": []}

    def now() -> float:
        if device == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter()

    with torch.inference_mode(), torch.autocast(device, torch.float16, enabled=half):
        for number in range(frames + 3):
            picture = pictures[number % len(pictures)]
            marks = [now()]
            inputs = processor(images=picture, return_tensors="pt").to(device)
            marks.append(now())
            outputs = model(**{name: value for name, value in inputs.items() if name in ("pixel_values", "pixel_mask")})
            marks.append(now())
            _result(processor, outputs, technique, picture.shape[:2])
            marks.append(now())
            if number >= 3:
                for name, begin, end in zip(times, [*marks[:3], marks[0]], [*marks[1:], marks[3]], strict=True):
                    times[name].append((end - begin) * 1e3)
    return {name: round(float(np.median(values)), 3) for name, values in times.items()} | {
        "p99 end to end": round(float(np.percentile(times["end to end"], 99)), 3)
    }


def _result(processor: Any, outputs: Any, technique: str, size: tuple[int, int]) -> Any:
    if technique == "panoptic":
        (found,) = processor.post_process_panoptic_segmentation(outputs, target_sizes=[size])
        return found["segmentation"].cpu()
    if technique == "instance":
        (found,) = processor.post_process_instance_segmentation(outputs, target_sizes=[size])
        return found["segmentation"].cpu()
    (found,) = processor.post_process_semantic_segmentation(outputs, target_sizes=[size])
    return found.cpu()


def _model_of(bundle: Bundle) -> tuple[Any, Any] | None:
    """Return (model, processor) of transformers inside the network that the bundle was exported from, or None."""
    import transformers

    from segrt.export.convert.exporting import build
    from segrt.export.family import Request, Weights
    from segrt.export.models.catalogue import find_model

    model = find_model(bundle.manifest.name)
    core = build(Request(model, bundle.manifest.image_input.size, Weights("random"))).core
    for module in core.modules():
        name = _PROCESSORS.get(type(module).__name__)
        if name is not None:
            return module, getattr(transformers, name)()
    return None
