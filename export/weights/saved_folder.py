"""The weights in a folder that save_pretrained wrote."""

from dataclasses import replace
from pathlib import Path

from segrt.export.family import Request, Weights
from segrt.export.weights import checkpoints
from segrt.runtime.errors import SegrtError


def with_own_weights(request: Request) -> Request:
    """Return `request` with the weights in its model's folder where it has one, and asks for no others."""
    folder = request.model.folder
    if folder is None or request.weights.kind != "pretrained":
        return request
    return replace(request, weights=Weights("file", _weights_in(folder)))


def _weights_in(folder: Path) -> Path:
    """Return the file of weights in `folder`; raise SegrtError when there is none."""
    for name in checkpoints.WEIGHT_FILES:
        if (folder / name).is_file():
            return folder / name
    raise SegrtError(
        f"{folder}: has none of {', '.join(checkpoints.WEIGHT_FILES)}; save the network with save_pretrained"
    )
