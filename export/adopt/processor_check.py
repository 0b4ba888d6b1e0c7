"""What a bundle feeds its network beside what transformers' own image processor feeds it, where that is installed."""

import importlib.util
import logging
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from segrt.export.adopt.conventions.convention import Problem
from segrt.export.adopt.conventions.side_files import find
from segrt.runtime.errors import SegrtError
from segrt.runtime.files.images import Picture
from segrt.runtime.preprocess.input_spec import InputSpec
from segrt.runtime.preprocess.picture import network_inputs

# Grey levels of the picture: another implementation of the same filter rounds otherwise.
_MOST_APART, _MEAN_APART = 3.0, 0.5


def compare_with_processor(network: Path, inputs: Sequence[InputSpec], pictures: Sequence[Picture]) -> str:
    """Return in one line how far apart the inputs of `pictures` are, or why they were not compared.

    Raises SegrtError where transformers feeds something else.
    """
    folder = find(network, "preprocessor_config.json")
    if folder is None or any(
        importlib.util.find_spec(name) is None for name in ("torch", "torchvision", "transformers")
    ):
        return "not compared with transformers' own processor, which is not installed"
    try:
        version, processor = _processor(folder.parent)
    except Exception as error:  # whatever it says of a file that it does not take
        return f"not compared with transformers' own processor, which does not take the file ({type(error).__name__})"
    image, apart, smaller = inputs[0], 0.0, 0
    for index, picture in enumerate(pictures):
        if index == 1:
            picture = np.ascontiguousarray(np.rot90(picture))  # an upright one among them
        theirs = _theirs(processor, picture)
        arrays, geometry = network_inputs(inputs, picture)
        ours = arrays[image.name][0]
        ours = ours.transpose(2, 0, 1) if image.layout == "NHWC" else ours
        top, left, bottom, right = (int(edge) for edge in geometry.window)
        shown = ours if theirs.shape == ours.shape else ours[:, top:bottom, left:right]
        if theirs.shape != shown.shape:
            smaller += 1
            continue
        levels = np.abs(shown - theirs) * np.array(image.std)[:, None, None] / image.scale
        if levels.max() > _MOST_APART or levels.mean() > _MEAN_APART:
            text = f"{folder.name}: transformers {version} feeds pictures up to {levels.max():.0f} grey levels apart"
            raise SegrtError(str(Problem("everything", text)))
        apart = max(apart, float(levels.max()))
    if smaller == len(pictures):
        return f"warning: transformers {version} feeds {len(pictures)} of {len(pictures)} pictures at another size"
    other = f"; {smaller} of {len(pictures)} have another size there" if smaller else ""
    return f"pictures are fed as by transformers {version}, at most {apart:.1f} grey levels apart{other}"


def _processor(folder: Path) -> tuple[str, Any]:
    """Return transformers' version and the image processor of `folder`; no code of the folder runs."""
    logging.getLogger("transformers").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import transformers

        processor: Any = transformers.AutoImageProcessor
        return transformers.__version__, processor.from_pretrained(folder, local_files_only=True)


def _theirs(processor: Any, picture: Picture) -> np.ndarray[Any, Any]:
    """Return the input (3, h, w) that the processor makes of a picture (uint8 BGR)."""
    import torch

    rgb = torch.from_numpy(np.ascontiguousarray(picture[..., ::-1])).permute(2, 0, 1)
    pixels: np.ndarray[Any, Any] = processor(images=[rgb], return_tensors="pt")["pixel_values"][0].numpy()
    return pixels
