"""The entry of a semantic network that is not in the catalogue: hf:ORGANISATION/NAME on the hub, or hf:FOLDER.

Read without torch: config.json says what the network is, preprocessor_config.json at which size it works.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from segrt.export.family import Checkpoint, Model
from segrt.export.weights import checkpoints
from segrt.export.weights.checkpoints import PROCESSOR_FILE
from segrt.export.weights.config_file import read_config
from segrt.runtime.errors import SegrtError

PREFIX = "hf:"
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
_REMEDY = "save network and image processor with save_pretrained"
_REPOSITORY = re.compile(r"[\w.-]+/[\w.-]+")


def describe(name: str) -> Model:
    """Return the entry of `name`, "hf:" before a repository or a folder; raise SegrtError for other networks.

    Its options hold the network's configuration, and the folder if it is one.
    """
    address = name.removeprefix(PREFIX)
    folder = Path(address).expanduser()
    if folder.is_dir():
        config = read_config(folder / checkpoints.CONFIG, _REMEDY)
        processor = read_config(folder / PROCESSOR_FILE, _REMEDY)
        options = {"config": config, "folder": str(folder.resolve())}
        checkpoint = Checkpoint(str(folder.resolve()), "unknown")
        name = PREFIX + folder.resolve().name
    elif _REPOSITORY.fullmatch(address):
        config = read_config(checkpoints.fetch_hub(address, (checkpoints.CONFIG,)), _REMEDY)
        processor = read_config(checkpoints.fetch_hub(address, (PROCESSOR_FILE,)), _REMEDY)
        options = {"config": config}
        checkpoint = Checkpoint(address, f"see https://huggingface.co/{address}")
    else:
        raise SegrtError(f"{name}: is neither a folder nor ORGANISATION/NAME on the Hugging Face hub")
    kind = _checked_kind(name, config)
    if config.get("num_channels", 3) != 3:
        raise SegrtError(
            f"{name}: its {checkpoints.CONFIG} says num_channels {config['num_channels']}, but {PREFIX} takes colour "
            "pictures alone; export it to ONNX yourself, and let `segrt adopt` make a bundle of the file"
        )
    multiple = MULTIPLES[kind] or _patch_size(name, config)
    return Model(
        name=name,
        technique="semantic",
        family="auto_semantic",
        size=_size(name, kind, config, processor, multiple),
        labels="",
        options=options,
        checkpoint=checkpoint,
        multiple=multiple,
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
            f"{name}: is {what}; {PREFIX} takes semantic networks of {', '.join(MULTIPLES)}; "
            "`segrt models` lists others"
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
