"""Measures a bundle's layers on the backend that it is open on."""

from typing import TYPE_CHECKING

from segrt.runtime.files.images import Picture
from segrt.runtime.inference.layers.attribution import LayerTime, layer_table
from segrt.runtime.inference.layers.module_names import read_nodes

if TYPE_CHECKING:
    from segrt.runtime.segmenter import Segmenter


def measure_layers(segmenter: "Segmenter", image: Picture, runs: int = 10) -> list[LayerTime]:
    """Run `image`, uint8 BGR (H, W, 3), `runs` times with the backend's profiler on; return the layers in order.

    Raises BackendError for a backend that has no profiler.
    """
    slot = segmenter.backend.acquire()
    try:
        segmenter.preprocess_on_cpu(image, slot)
        inputs = {name: view.copy() for name, view in slot.inputs.items()}
    finally:
        segmenter.backend.release(slot)
    raw = segmenter.backend.layer_times(inputs, runs)
    return layer_table(raw, read_nodes(segmenter.bundle.network(segmenter.variant)))
