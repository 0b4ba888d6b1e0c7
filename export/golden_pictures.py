"""Small pictures for golden frames: the user's own, reduced, or two made from a seed; what their results prove."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from segrt.runtime.bundle.bundle import Bundle
from segrt.runtime.bundle.golden import read_golden
from segrt.runtime.draw import fit
from segrt.runtime.files.images import Picture, read_image
from segrt.runtime.results import PanopticResult, Result, SemanticResult

_LONGEST_SIDE = 320


def golden_pictures(paths: Sequence[Path]) -> list[tuple[str, Picture]]:
    """Return golden pictures, uint8 BGR (H, W, 3), by name: those at `paths`, or else synthetic ones."""
    if not paths:
        return [(f"synthetic-{seed}", synthetic_picture(seed)) for seed in (1, 2)]
    return [(f"picture-{number}", fit(read_image(path), _LONGEST_SIDE)) for number, path in enumerate(paths, 1)]


def prove_little(bundle: Bundle) -> bool:
    """Whether each golden result is empty or of one class: a device that computes nonsense may agree with that."""
    return all(_is_plain(read_golden(bundle, frame)[1].result) for frame in bundle.manifest.golden)


def _is_plain(result: Result) -> bool:
    if isinstance(result, SemanticResult):
        return len(np.unique(result.class_map)) < 2
    if isinstance(result, PanopticResult):
        return len({segment.class_id for segment in result.segments}) < 2
    return len(result.scores) == 0


def synthetic_picture(seed: int, size: tuple[int, int] = (192, 256)) -> Picture:
    """Return a picture of colour gradients, ellipses and noise, uint8 BGR (H, W, 3), the same for the same seed."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[0 : size[0], 0 : size[1]].astype(np.float64)
    picture = np.stack([rows * rng.uniform(-0.4, 0.4) + columns * rng.uniform(-0.4, 0.4) for _ in range(3)], axis=-1)
    picture += rng.uniform(90, 160, 3)
    for _ in range(8):
        top, left = rng.uniform(0, size[0]), rng.uniform(0, size[1])
        inside = ((rows - top) / rng.uniform(10, 50)) ** 2 + ((columns - left) / rng.uniform(10, 50)) ** 2 < 1
        picture[inside] = rng.uniform(0, 255, 3)
    picture += rng.normal(0, 12, picture.shape)
    clipped: Picture = np.clip(picture, 0, 255).astype(np.uint8)
    return clipped
