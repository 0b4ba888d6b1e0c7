"""A network by its files: hf:ORGANISATION/NAME on the Hugging Face hub, or hf:FOLDER that save_pretrained wrote.

Read without torch: config.json says what the network is, preprocessor_config.json how pictures are prepared for it.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast, get_args

from segrt.export.family import Checkpoint
from segrt.export.weights import checkpoints
from segrt.export.weights.config_file import read_config
from segrt.export.weights.user_paths import user_path
from segrt.runtime.errors import SegrtError
from segrt.runtime.results.technique import Technique

PREFIX = "hf:"
_VIDEO_PROCESSOR = "video_preprocessor_config.json"  # of networks that take videos
_REMEDY = "save network and image processor with save_pretrained"
_REPOSITORY = re.compile(r"[\w.-]+/[\w.-]+")


@dataclass(frozen=True)
class HubNetwork:
    """What a network's name and files say.

    `name` is what it is called in manifests and errors, `technique` the one that was asked for ("hf:instance:NAME"),
    None where the network's own is meant, `folder` where it lies, None on the hub.
    """

    name: str
    technique: Technique | None
    config: Mapping[str, Any]
    processor: Mapping[str, Any]
    checkpoint: Checkpoint
    folder: Path | None


def read_network(name: str) -> HubNetwork:
    """Return the network called `name`; raise SegrtError for a name that is none, and for files that cannot be read."""
    address = name.removeprefix(PREFIX)
    first, colon, rest = address.partition(":")
    technique = cast("Technique", first) if colon and first in get_args(Technique) else None
    address = rest if technique else address
    before = f"{PREFIX}{technique}:" if technique else PREFIX
    wanted = "a folder, or ORGANISATION/NAME on the Hugging Face hub"
    folder: Path | None = user_path(address, name, wanted)
    if folder is not None and folder.is_dir():
        folder = folder.resolve()
        files = [folder / file for file in (checkpoints.CONFIG, checkpoints.PROCESSOR_FILE)]
        if (folder / _VIDEO_PROCESSOR).is_file():
            files[1] = folder / _VIDEO_PROCESSOR
        name, checkpoint = before + folder.name, Checkpoint(str(folder), "unknown")
    elif _REPOSITORY.fullmatch(address):
        folder = None
        files = [
            checkpoints.fetch_hub(address, names)
            for names in ((checkpoints.CONFIG,), (checkpoints.PROCESSOR_FILE, _VIDEO_PROCESSOR))
        ]
        name, checkpoint = before + address, Checkpoint(address, f"see https://huggingface.co/{address}")
    else:
        raise SegrtError(f"{name}: is neither a folder nor ORGANISATION/NAME on the Hugging Face hub")
    config, processor = (read_config(file, _REMEDY) for file in files)
    if config.get("num_channels", 3) != 3:
        raise SegrtError(
            f"{name}: its {checkpoints.CONFIG} says num_channels {config['num_channels']}, but {PREFIX} takes colour "
            "pictures alone; export it to ONNX yourself, and let `segrt adopt` make a bundle of the file"
        )
    return HubNetwork(name, technique, config, processor, checkpoint, folder)
