"""Small pictures for golden frames: the user's own, reduced, or two synthetic ones; and what their results prove."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from segrt.export.synthetic_pictures import synthetic_picture
from segrt.runtime.bundle.bundle import Bundle
from segrt.runtime.bundle.golden import read_golden
from segrt.runtime.draw import fit
from segrt.runtime.files.images import read_image
from segrt.runtime.preprocess.channels import Raster, image_input, is_picture, read_input
from segrt.runtime.preprocess.input_spec import InputSpec
from segrt.runtime.results import PanopticResult, Result, SemanticResult

_LONGEST_SIDE = 320
_COLORS = 3


def golden_pictures(paths: Sequence[Path], inputs: Sequence[InputSpec] = ()) -> list[tuple[str, Raster]]:
    """Return golden pictures by name: those at `paths`, or else synthetic ones.

    They are uint8 BGR (H, W, 3), or the arrays that `inputs`, the network's, want instead.
    """
    if not paths:
        return [(f"synthetic-{seed}", _synthetic(seed, inputs)) for seed in (1, 2)]
    pictures = (read_input(path, inputs) if inputs else read_image(path) for path in paths)
    return [(f"picture-{number}", reduced(picture, _LONGEST_SIDE)) for number, picture in enumerate(pictures, 1)]


def reduced(image: Raster, longest: int) -> Raster:
    """Return `image` with no side above `longest` pixels; of an array that is no picture every n-th value is kept."""
    if is_picture(image):
        return fit(image, longest)
    step = -(-max(image.shape[:2]) // longest)
    return np.ascontiguousarray(image[::step, ::step])


def _synthetic(seed: int, inputs: Sequence[InputSpec]) -> Raster:
    picture = synthetic_picture(seed)
    spec = image_input(inputs) if inputs else None
    if spec is None or spec.takes_pictures:
        return picture
    channels = _COLORS if spec.color in ("rgb", "bgr", "grey") else spec.channels
    more = [synthetic_picture(seed + 100 * number) for number in range(1, -(-channels // _COLORS))]
    array = np.concatenate([picture, *more], axis=2)[..., :channels]
    if spec.value_dtype == "uint8":
        return np.ascontiguousarray(array)
    return array.astype(np.uint16) * 257 if spec.value_dtype == "uint16" else array.astype(np.float32) / 255


def trial_pictures(paths: Sequence[Path], inputs: Sequence[InputSpec] = ()) -> list[Raster]:
    """Return three pictures to try a network on, as `golden_pictures` has them: of those at `paths`, then synthetic."""
    own = [picture for _, picture in golden_pictures(paths[:3], inputs)] if paths else []
    return own + [_synthetic(seed, inputs) for seed in range(1, 4 - len(own))]


def prove_little(bundle: Bundle) -> bool:
    """Whether each golden result is empty or of one class: a device that computes nonsense may agree with that."""
    return all(_is_plain(read_golden(bundle, frame)[1].result) for frame in bundle.manifest.golden)


def _is_plain(result: Result) -> bool:
    if isinstance(result, SemanticResult):
        return len(np.unique(result.class_map)) < 2
    if isinstance(result, PanopticResult):
        return len({segment.class_id for segment in result.segments}) < 2
    return len(result.scores) == 0
