"""`segrt demo --photo`: the three techniques on a photo, by real networks."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from segrt.runtime.bundle.kept_bundles import is_kept
from segrt.runtime.cli.latencies import latency_cells
from segrt.runtime.draw import overlay, side_by_side
from segrt.runtime.files.atomic import make_folder
from segrt.runtime.files.images import read_image, write_image
from segrt.runtime.segmenter import open_bundle

if TYPE_CHECKING:
    from segrt.runtime.inference.execution import Execution

MODELS = ("deeplabv3_resnet101", "maskrcnn_resnet50_fpn", "detr-resnet101-panoptic")
"""One model of each technique, with published weights: VOC's classes, COCO's things, COCO's things and stuff."""

_REPEATS = 3

Say = Callable[[str], None]


def run_photo_demo(
    photo: Path, out: Path, execution: "Execution", *, get: Callable[[tuple[str, ...], Say], None], say: Say
) -> tuple[Path, list[list[str]]]:
    """Segment `photo` with `MODELS`, those that are not kept yet being fetched by `get`; write OUT/comparison.png.

    Returns the picture's path and a row for each model: its name, technique, median latencies, and what it found.
    """
    picture = read_image(photo)
    make_folder(out)
    missing = tuple(name for name in MODELS if not is_kept(name))
    if missing:
        say(f"{len(missing)} of {len(MODELS)} models are fetched, once: {', '.join(missing)}")
        get(missing, say)
    panels = [("input", picture, [f"{picture.shape[1]} × {picture.shape[0]} pixels"])]
    rows = []
    for name in MODELS:
        say(f"segmenting with {name}")
        with open_bundle(
            name,
            backend=execution.backend,
            threads=execution.threads,
            engines=execution.engines,
            decode_on=execution.decode_on,
        ) as segmenter:
            segmenter(picture)  # the first run allocates
            results = [segmenter(picture) for _ in range(_REPEATS)]
            medians = latency_cells(result.timings for result in results)
            found = results[-1].found()
            drawn = overlay(picture, results[-1], text_scale=1.5)  # the sheet shows it reduced
            panels.append((segmenter.technique, drawn, [name, medians[-1], found]))
            rows.append([name, segmenter.technique, *medians, found])
    write_image(out / "comparison.png", side_by_side(panels))
    return out / "comparison.png", rows
