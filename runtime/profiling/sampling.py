"""One frame through one segmenter, stage by stage, against a clock."""

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from segrt.runtime.files.images import Picture
from segrt.runtime.preprocess.channels import Raster
from segrt.runtime.profiling.gpu_trace import stages_of
from segrt.runtime.results import Result

if TYPE_CHECKING:
    from segrt.runtime.segmenter import Segmenter

Clock = Callable[[], float]
Draw = Callable[[Raster, Result], Picture]


def sample(
    segmenter: "Segmenter", image: Raster, draw: Draw | None = None, clock: Clock = time.perf_counter
) -> dict[str, float]:
    """Segment `image`, as the network takes it; return stage → milliseconds by `clock` (seconds), and `total`.

    `total` is measured on its own, from the picture to the result (or the drawing of it), so it holds what lies
    between the stages too. `inference` is the execution alone; `upload` and `download` are the copies to and from a
    GPU, where there are any. Stages "gpu NAME" are those of the GPU by its own clock.
    """
    backend = segmenter.backend
    slot = backend.acquire()
    try:
        begin = clock()
        geometry = segmenter.preprocess(image, slot)
        preprocessed = clock()
        heads = backend.execute(slot)
        inferred = clock()
        result = segmenter.postprocess(heads, geometry)
        end = postprocessed = clock()
        slot.settle()
        if draw is not None:
            draw(image, result)
            end = clock()
        stages = {"preprocess": (preprocessed - begin) * 1e3, "inference": slot.inference_ms}
        if slot.upload_ms or slot.download_ms:
            stages |= {"upload": slot.upload_ms, "download": slot.download_ms}
        if slot.gpu is not None:
            stages |= {f"gpu {name}": ms for name, ms in stages_of(slot.gpu.times()).items()}
        stages["postprocess"] = slot.decoding_ms((postprocessed - inferred) * 1e3)
    finally:
        backend.release(slot)
    if draw is not None:
        stages["draw"] = (end - postprocessed) * 1e3
    return stages | {"total": (end - begin) * 1e3}
