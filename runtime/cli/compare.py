"""`segrt compare`: several bundles on one picture, side by side."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from segrt.runtime.cli.domain_remark import remark_on_domain
from segrt.runtime.cli.drawing_options import STYLE
from segrt.runtime.cli.kept_classes import CLASSES, class_ids
from segrt.runtime.cli.latencies import LATENCIES, latency_cells
from segrt.runtime.cli.options import TILE, execution_options, rule_options
from segrt.runtime.console.tables import print_table
from segrt.runtime.console.words import counted

if TYPE_CHECKING:
    from segrt.runtime.decode.rule_changes import RuleChanges
    from segrt.runtime.draw.style import Style
    from segrt.runtime.files.images import Picture
    from segrt.runtime.inference.execution import Execution
    from segrt.runtime.preprocess.tiling import Tiling
    from segrt.runtime.results import Result
    from segrt.runtime.segmenter import Segmenter


@click.command()
@click.argument("image")
@click.argument("bundles", nargs=-1, required=True, metavar="BUNDLE...")
@click.option("--out", required=True, type=click.Path(path_type=Path, dir_okay=False), help="Picture to write (.png).")
@click.option(
    "--repeat", type=click.IntRange(1, 1000), default=5, show_default=True, help="Runs per bundle that are timed."
)
@CLASSES
@TILE
@STYLE
@rule_options
@execution_options
def compare(
    image: str,
    bundles: tuple[str, ...],
    out: Path,
    repeat: int,
    classes: tuple[str, ...],
    tile: "Tiling | None",
    style: "Style | None",
    changes: "RuleChanges",
    execution: "Execution",
) -> None:
    """Segment IMAGE with each BUNDLE and write one picture that shows the results side by side.

    Under each stands the median time of --repeat runs, after one that is not counted. A threshold replaces those of the
    bundles that have it.
    """
    from segrt.runtime.bundle.prompt_members import refuse_prompts
    from segrt.runtime.draw import side_by_side
    from segrt.runtime.errors import SegrtError
    from segrt.runtime.files.atomic import make_folder
    from segrt.runtime.files.collisions import refuse_same
    from segrt.runtime.files.images import check_suffix, read_image, write_image
    from segrt.runtime.segmenter import batch_for, find_bundle, open_segmenter

    check_suffix(out)
    refuse_same("--out", out, {"the picture": image})
    picture = read_image(image)
    make_folder(out.absolute().parent)
    opened = [find_bundle(name) for name in bundles]
    for name, bundle in zip(bundles, opened, strict=True):
        refuse_prompts(bundle.manifest, name, "compare")
    rules = [bundle.manifest.decode for bundle in opened]
    for name, value in changes.given.items():
        if all(name not in rule.options for rule in rules):
            option = name.replace("_", "-")
            raise SegrtError(f"--{option} {value}: no rule of {', '.join(bundles)} has one; leave it out")
    everything = [label for bundle in opened for label in bundle.manifest.labels]
    chosen = class_ids(classes, everything, " and ".join(bundles))
    wanted = None if chosen is None else {everything[index].name.casefold() for index in chosen}
    panels = [("input", picture, [f"{picture.shape[1]} × {picture.shape[0]} pixels"])]
    rows = []
    for bundle, rule in zip(opened, rules, strict=True):
        labels = bundle.manifest.labels
        with open_segmenter(
            bundle,
            backend=execution.backend,
            precision=execution.precision,
            threads=execution.threads,
            engines=execution.engines,
            decode_on=execution.decode_on,
            changes=changes.fitting(rule),
            batch=1 if tile is None else batch_for(bundle, 1, tile),
            tile=tile,
        ) as segmenter:
            segmenter(picture)
            results = [segmenter(picture) for _ in range(repeat)]
            if wanted is not None:
                kept = frozenset(index for index, label in enumerate(labels) if label.name.casefold() in wanted)
                results = [result.filter(kept) for result in results]
            rows.append(_row(segmenter, results))
            panels.append(_panel(segmenter, picture, results, style or "segrt"))
    remark_on_domain([bundle.manifest for bundle in opened], [image])
    write_image(out, side_by_side(panels))
    print_table(f"{out}", ["bundle", "technique", *LATENCIES, "found"], rows)


def _row(segmenter: "Segmenter", results: "Sequence[Result]") -> list[str]:
    medians = latency_cells(result.timings for result in results)
    return [segmenter.manifest.name, segmenter.technique, *medians, _contents(results[-1])]


def _panel(
    segmenter: "Segmenter", picture: "Picture", results: "Sequence[Result]", style: "Style"
) -> "tuple[str, Picture, list[str]]":
    from segrt.runtime.draw import overlay

    *_, total = latency_cells(result.timings for result in results)
    where = f"{segmenter.backend.name} {segmenter.backend.device}, {segmenter.variant.precision}"
    drawn = overlay(picture, results[-1], style=style, text_scale=1.5)  # the sheet shows it reduced
    caption = [f"{total} ({where})", _contents(results[-1])]
    return f"{segmenter.technique}: {segmenter.manifest.name}", drawn, caption


def _contents(result: "Result") -> str:
    """Return what is in a result: "3 segments", "2 objects", "5 classes"."""
    from segrt.runtime.results import InstanceResult, PanopticResult

    if isinstance(result, PanopticResult):
        return counted(len(result.segments), "segment")
    if isinstance(result, InstanceResult):
        return counted(len(result), "object")
    present = set(result.class_map.flat) - {result.void_id}
    return f"{len(present)} class" + ("" if len(present) == 1 else "es")
