"""The entry of a semantic network of transformers that is not in the catalogue, as its own files describe it.

Read without torch: config.json says what the network is, preprocessor_config.json at which size it works.
"""

from collections.abc import Mapping
from typing import Any

from segrt.export.family import Model
from segrt.export.models.shared.hub_network import PREFIX, HubNetwork
from segrt.export.models.shared.query_entry import ARCHITECTURES
from segrt.export.weights import checkpoints
from segrt.export.weights.checkpoints import PROCESSOR_FILE
from segrt.runtime.errors import SegrtError

# transformers' model types that are known to export, and what both sides must be multiples of (None: the patch size).
MULTIPLES: Mapping[str, int | None] = {
    "beit": None,
    "data2vec-vision": None,
    "dpt": None,
    "mobilenet_v2": 16,
    "mobilevit": 32,
    "mobilevitv2": 32,
    "segformer": 32,
    "upernet": 32,
}
ONE_SIZE = ("beit", "data2vec-vision")  # relative positions: tables for one size alone


def entry(network: HubNetwork) -> Model:
    """Return the entry of `network`; raise SegrtError for those that are not known to export.

    Its options hold the network's configuration.
    """
    name, config = network.name, network.config
    kind = _checked_kind(name, config)
    if network.technique not in (None, "semantic"):
        raise SegrtError(
            f"{name}: is a semantic network ({kind}), which gives no {network.technique} results; leave "
            f"{network.technique}: out"
        )
    multiple = MULTIPLES[kind] or _patch_size(name, config)
    return Model(
        name=name,
        technique="semantic",
        family="auto_semantic",
        size=_size(name, kind, config, network.processor, multiple),
        labels="",
        options={"config": config},
        checkpoint=network.checkpoint,
        multiple=multiple,
        folder=network.folder,
    )


def _checked_kind(name: str, config: Mapping[str, Any]) -> str:
    """Return the model type; raise SegrtError unless it is a semantic network that is known to export."""
    kind = config.get("model_type") or "unknown"
    architectures = config.get("architectures") or ()
    if kind not in MULTIPLES or not any(
        architecture.endswith("ForSemanticSegmentation") for architecture in architectures
    ):
        what = ", ".join(architectures) or kind
        raise SegrtError(
            f"{name}: is {what}; {PREFIX} takes semantic networks of {', '.join(MULTIPLES)}, and "
            f"{', '.join(ARCHITECTURES)}; `segrt models` lists others"
        )
    return kind


def _size(
    name: str, kind: str, config: Mapping[str, Any], processor: Mapping[str, Any], multiple: int
) -> tuple[int, int]:
    """Return the size (h, w) that the checkpoint's processor makes, rounded down to the multiple."""
    if kind in ONE_SIZE:
        sides = config.get("image_size") or 224
        pair = sides if isinstance(sides, list) else [sides, sides]
        if len(pair) != 2 or not all(isinstance(side, int) and side > 0 for side in pair):
            raise SegrtError(
                f"{name}: {checkpoints.CONFIG} has the image size {sides!r}; it must be one or two numbers"
            )
        return pair[0], pair[1]
    candidates = [processor.get("size")]
    if processor.get("do_center_crop"):
        candidates.insert(0, processor.get("crop_size"))
    for size in candidates:
        if isinstance(size, int):
            size = {"shortest_edge": size}
        if isinstance(size, Mapping):
            edge = size.get("shortest_edge")
            sides = (size.get("height", edge), size.get("width", edge))
            if all(isinstance(side, int) and side >= multiple for side in sides):
                return sides[0] // multiple * multiple, sides[1] // multiple * multiple
    raise SegrtError(f"{name}: {PROCESSOR_FILE} names no size; give it with --size HxW")


def _patch_size(name: str, config: Mapping[str, Any]) -> int:
    size = config.get("patch_size", 16)
    if not isinstance(size, int) or not 1 <= size <= 64:
        raise SegrtError(f"{name}: {checkpoints.CONFIG} has the patch size {size!r}; segrt takes one number of 1 to 64")
    return size
