"""The choice of what decodes video: the CPU, or the GPU's own decoder."""

import logging
from collections.abc import Sequence
from typing import Any

from segrt.runtime.errors import VideoError
from segrt.runtime.stream.sources.cpu_decoder import CpuDecoder, VideoDecoder, WantedDecoder
from segrt.runtime.stream.sources.source import Source

log = logging.getLogger("segrt.stream")


def choose_decoder(sources: Sequence[Source], wanted: WantedDecoder, preprocess_device: str) -> None:
    """Tell sources what decodes their video: with "auto" the GPU's decoder where pictures are prepared there anyway.

    Raises VideoError where the GPU is wanted and cannot be had, or none of the sources is video that could use it.
    """
    if wanted == "cuda":
        reasons = {source.info.source_id: source.why_not_on_gpu() for source in sources}
        if all(reasons.values()):
            name, reason = next(iter(reasons.items()))
            raise VideoError(f"decode_video cuda: {name}: {reason}; leave it out, or take cpu")
    chosen: WantedDecoder = "cpu" if wanted == "auto" and preprocess_device != "cuda" else wanted
    for source in sources:
        source.wanted_decoder = chosen


def open_decoder(
    stream: Any, wanted: WantedDecoder, name: str, *, threads: int = 1, low_delay: bool = False
) -> VideoDecoder:
    """Return what decodes `stream` of the source `name`.

    With "cuda" it is the GPU's video decoder or a VideoError with the reason; with "auto" that, or the CPU, which is
    said once.
    """
    if wanted == "cpu":
        return CpuDecoder(stream, threads=threads, low_delay=low_delay)
    from segrt.runtime.stream.sources.gpu_decoder import GpuDecoder, why_not_on_gpu

    reason = why_not_on_gpu(stream)
    if reason is None:
        try:
            return GpuDecoder(stream, strict=wanted == "cuda", name=name, threads=threads, low_delay=low_delay)
        except VideoError as error:
            reason = str(error)
    if wanted == "cuda":
        raise VideoError(f"cannot be decoded on the GPU: {reason}; take --decode-video cpu")
    log.info("%s: decoded on the CPU: %s", name, reason)
    return CpuDecoder(stream, threads=threads, low_delay=low_delay)
