"""Bundles opened where they are compared: on the GPU, which must be used, and on the CPU."""

from typing import Any

from segrt.runtime.bundle.bundle import Bundle
from segrt.runtime.errors import SegrtError
from segrt.runtime.preprocess.tiling import Tiling
from segrt.runtime.segmenter import Segmenter, open_segmenter

GPU = "cuda"


def on_gpu(bundle: Bundle, **options: Any) -> Segmenter:
    """Open a bundle on the GPU; raise SegrtError where it would run elsewhere."""
    opened = open_segmenter(bundle, backend="onnxruntime", **_tiled(options))
    places = set(opened.backend.device.split("+"))
    if places != {GPU}:
        reason = opened.backend.remark
        opened.close()
        raise SegrtError(f"{bundle.manifest.name}: runs on {', '.join(sorted(places))}, not on the GPU ({reason})")
    return opened


def on_cpu(bundle: Bundle, **options: Any) -> Segmenter:
    """Open a bundle on the CPU, as what the GPU's results are compared with."""
    return open_segmenter(bundle, backend="onnxruntime", device="cpu", decode_on="cpu", **_tiled(options))


def _tiled(options: dict[str, Any]) -> dict[str, Any]:
    tile = options.get("tile")
    return options if tile is None else options | {"tile": Tiling.of(tile)}
