"""The entry of a semantic network that is not in the catalogue: hf:ORGANISATION/NAME on the hub, or hf:FOLDER.

Read without torch: config.json says what the network is, preprocessor_config.json at which size it works.
"""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from segrt.export.family import Checkpoint, Model
from segrt.export.weights import checkpoints
from segrt.export.weights.checkpoints import PROCESSOR_FILE
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
_REPOSITORY = re.compile(r"[\w.-]+/[\w.-]+")


def describe(name: str) -> Model:
    """Return the entry of `name`, "hf:" before a repository or a folder; raise SegrtError for other networks.

    Its options hold the network's configuration, and the folder if it is one.
    """
    address = name.removeprefix(PREFIX)
    folder = Path(address).expanduser()
    if folder.is_dir():
        config = _read(folder / checkpoints.CONFIG)
        processor = _read(folder / PROCESSOR_FILE)
        options = {"config": config, "folder": str(folder.resolve())}
        checkpoint = Checkpoint(str(folder.resolve()), "unknown")
        name = PREFIX + folder.resolve().name
    elif _REPOSITORY.fullmatch(address):
        config = _read(checkpoints.fetch_hub(address, (checkpoints.CONFIG,)))
        processor = _read(checkpoints.fetch_hub(address, (PROCESSOR_FILE,)))
        options = {"config": config}
        checkpoint = Checkpoint(address, f"see https://huggingface.co/{address}")
    else:
        raise SegrtError(f"{name}: is neither a folder nor ORGANISATION/NAME on the Hugging Face hub")
    kind = _checked_kind(name, config)
    multiple = MULTIPLES[kind] or int(config.get("patch_size", 16))
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
    kind = str(config.get("model_type", "unknown"))
    architectures = [str(architecture) for architecture in config.get("architectures") or ()]
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
        side = config.get("image_size", 224)
        height, width = side if isinstance(side, list | tuple) else (side, side)
        return int(height), int(width)
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


def _read(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise SegrtError(f"{path}: is missing; save network and image processor with save_pretrained") from None
    except (OSError, ValueError) as error:
        raise SegrtError(f"{path}: cannot be read as JSON ({error}); save it again") from None
    if not isinstance(content, dict):
        raise SegrtError(f"{path}: must be a JSON object; save it again with save_pretrained")
    return content
