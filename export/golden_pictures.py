"""Small pictures for golden frames: the user's own, reduced, or two synthetic ones; and what their results prove."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from segrt.export.synthetic_pictures import synthetic_picture
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


def trial_pictures(paths: Sequence[Path]) -> list[Picture]:
    """Return three pictures to try a network on: the first of those at `paths`, the rest synthetic."""
    own = [fit(read_image(path), _LONGEST_SIDE) for path in paths[:3]]
    return own + [synthetic_picture(seed) for seed in range(1, 4 - len(own))]


def prove_little(bundle: Bundle) -> bool:
    """Whether each golden result is empty or of one class: a device that computes nonsense may agree with that."""
    return all(_is_plain(read_golden(bundle, frame)[1].result) for frame in bundle.manifest.golden)


def _is_plain(result: Result) -> bool:
    if isinstance(result, SemanticResult):
        return len(np.unique(result.class_map)) < 2
    if isinstance(result, PanopticResult):
        return len({segment.class_id for segment in result.segments}) < 2
    return len(result.scores) == 0
