"""What a user's program writes, as `mypy --strict` sees it: a line that must be refused says so, and is then needed."""

from pathlib import Path

import numpy as np
from PIL import Image

from segrt.runtime import PanopticResult, SemanticResult, open_bundle


def embedded(path: Path) -> None:
    """A name that comes with segrt tells its technique."""
    with open_bundle("street-panoptic", threads=1) as segmenter:
        result = segmenter(path)
        print([segment.name for segment in result.segments])
        print(result.class_map)  # type: ignore[attr-defined]
        for frame, found in segmenter.stream(0):
            print(frame.index, found.segment_ids)


def one_of_ones_own(path: Path, image: Image.Image) -> None:
    """A bundle of one's own tells it with `technique`."""
    with open_bundle("my.bundle", technique="instance", precision="fp16") as segmenter:
        print(segmenter(image).boxes, segmenter(path.read_bytes()).counts())
        results = segmenter([path, image, np.zeros((4, 4, 3), np.uint8)])
        print([result.masks for result in results])
        print(results[0].segments)  # type: ignore[attr-defined]
        print(segmenter(3))  # type: ignore[call-overload]
    open_bundle("my.bundle", technique="panoptik")  # type: ignore[call-overload]
    open_bundle("my.bundle", technique="panoptic", precison="fp16")  # type: ignore[call-overload]


def any_technique(path: Path) -> None:
    """Without it, results are of any technique, and are asked for theirs."""
    with open_bundle(path) as segmenter:
        result = segmenter(path)
        print(result.segments)  # type: ignore[union-attr]
        print(result.plot(), result.size, len(result), result.found())
        if isinstance(result, PanopticResult):
            print(result.segments)
        elif isinstance(result, SemanticResult):
            print(result.filter(["road"]).class_map)
        print([type(found).__name__ for found in segmenter([path, path])])
