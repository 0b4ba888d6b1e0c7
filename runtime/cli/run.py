"""`segrt run`: pictures in, results in a folder out."""

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, cast

import click

from segrt.runtime.cli.domain_remark import remark_on_domain
from segrt.runtime.cli.drawing_options import DrawingOptions, drawing_options, edits_of
from segrt.runtime.cli.kept_classes import CLASSES, class_ids
from segrt.runtime.cli.latencies import LATENCIES, latency_cells
from segrt.runtime.cli.options import TILE, execution_options, rule_options
from segrt.runtime.cli.prompt_options import PROMPT, PromptPlan, prompt_plan
from segrt.runtime.console.printable import say
from segrt.runtime.console.progress import with_progress
from segrt.runtime.console.tables import print_table
from segrt.runtime.console.words import comma_separated, counted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from segrt.runtime.decode.rule_changes import RuleChanges
    from segrt.runtime.draw.picture_edits import PictureEdits
    from segrt.runtime.inference.execution import Execution
    from segrt.runtime.outputs.run_savers import Savers
    from segrt.runtime.outputs.saver import Segmented
    from segrt.runtime.preprocess.tiling import Tiling
    from segrt.runtime.results import InstanceResult, Label, Result
    from segrt.runtime.segmenter import Segmenter


@click.command()
@click.argument("bundle")
@click.argument("sources", nargs=-1, required=True, metavar="SOURCE...")
@click.option(
    "--out",
    default="results",
    show_default=True,
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Folder for the results; those of the same name that lie there are replaced.",
)
@click.option(
    "--save",
    default="overlay",
    show_default=True,
    metavar="KINDS",
    help="What to save, comma-separated: overlay, panoptic, coco, labels, queries, cutouts, masks.",
)
@click.option(
    "--skip-bad",
    is_flag=True,
    help="Report pictures that cannot be read, or that a prompt does not fit, and go on with the next.",
)
@PROMPT
@CLASSES
@TILE
@drawing_options
@rule_options
@execution_options
def run(
    bundle: str,
    sources: tuple[str, ...],
    out: Path,
    save: str,
    skip_bad: bool,
    prompts: tuple[str, ...],
    classes: tuple[str, ...],
    tile: "Tiling | None",
    drawing: DrawingOptions,
    changes: "RuleChanges",
    execution: "Execution",
) -> None:
    """Segment pictures with BUNDLE (a folder, or the name of an embedded bundle) and save the results.

    Says what was found in each: "photo.jpg: 3 person, 1 dog → results/overlay/photo.png".

    A SOURCE is a picture, a folder of pictures or a pattern such as "photos/*.jpg"; networks of 16-bit values or many
    bands take .npy files and TIFFs of many pages, too. A picture that cannot be read, or that a
    --prompt does not fit, ends the command after what was done so far has been saved, unless --skip-bad is given.
    """
    from segrt.runtime.errors import ImageError
    from segrt.runtime.files.finding import find_pictures, image_ids, unique_names
    from segrt.runtime.outputs.run_savers import Savers
    from segrt.runtime.outputs.saver import Origin
    from segrt.runtime.segmenter import find_bundle, open_bundle

    manifest = find_bundle(bundle).manifest
    paths = find_pictures(sources, arrays=not manifest.image_input.takes_pictures)
    names = unique_names(paths)
    ids = image_ids(names)
    kinds = comma_separated(save)
    plan = prompt_plan(prompts, manifest, bundle, paths)
    _refuse_sources_in(out, paths)
    if plan is not None and "coco" in kinds:
        plan.refuse_replacing(out / "coco.json")
    kept, edits = _choices(classes, drawing, manifest.labels, bundle, plan)
    times, skipped = [], 0
    with (
        open_bundle(
            bundle,
            backend=execution.backend,
            precision=execution.precision,
            threads=execution.threads,
            engines=execution.engines,
            decode_on=execution.decode_on,
            **changes.given,
            batch=1 if tile is None else None,
            tile=tile,
        ) as segmenter,
        Savers(kinds, out, Origin(segmenter.manifest, segmenter.decode, drawing.chosen_style)) as savers,
    ):
        remark_on_domain([manifest], sources)
        items = list(zip(paths, names, ids, strict=True))
        for path, name, image_id in with_progress(items, "segmenting"):
            try:
                if plan is None:
                    item = _segment(segmenter, savers, path, name, image_id, edited=edits is not None)
                    meant = item.result
                else:
                    item, meant = _prompted(segmenter, plan, path, name, image_id)
                if kept is not None:
                    item, meant = replace(item, result=item.result.filter(kept)), meant.filter(kept)
                if edits is not None:
                    item = replace(item, image=edits(item.image, meant))
                    if plan is not None and (bare := plan.bare_text(cast("InstanceResult", meant), edits.blur)):
                        say(f"segrt: {path}: {bare}", err=True)
            except ImageError as error:
                if not skip_bad:
                    raise
                skipped += 1
                say(f"segrt: skipped: {error}", err=True)
                continue
            written = savers.add(item)
            found = item.result.found() if plan is None else plan.found_text(item.result.found(), path)
            say(f"{path}: {found} → {written[0] if written else out}")
            times.append(item.result.timings)
    if not times:
        raise ImageError(f"{out}: nothing was saved, none of the {len(paths)} pictures could be segmented")
    print_table(
        f"{counted(len(times), 'picture')} saved in {out}" + (f", {skipped} skipped" if skipped else ""),
        ["median of", *LATENCIES],
        [[f"{segmenter.manifest.name} {segmenter.variant.precision}", *latency_cells(times)]],
    )
    sys.stdout.flush()


def _choices(
    classes: tuple[str, ...],
    drawing: DrawingOptions,
    labels: "Sequence[Label]",
    bundle: str,
    plan: PromptPlan | None,
) -> "tuple[frozenset[int] | None, PictureEdits | None]":
    """Return the positions of --classes and what is done to pictures: in the plan's labels where objects are prompted.

    `labels` are the bundle's.
    """
    if plan is None:
        kept = class_ids(classes, labels, bundle)
        return kept, edits_of(drawing, labels, kept, bundle)
    named = class_ids(classes, plan.labels, bundle)
    kept = None if named is None else plan.meant(named)
    edits = edits_of(drawing, plan.labels, kept, bundle)
    return kept, None if edits is None else replace(edits, blur=plan.meant(edits.blur))


def _refuse_sources_in(out: Path, paths: list[Path]) -> None:
    """Raise SegrtError when a source lies where results would be written."""
    from segrt.runtime.errors import SegrtError
    from segrt.runtime.outputs.run_savers import SAVERS

    folders = {out.resolve(), *((out / kind).resolve() for kind in SAVERS)}
    for path in paths:
        if path.resolve().parent in folders:
            raise SegrtError(f"--out {out}: {path} lies there, a source; write to another folder")


def _prompted(
    segmenter: "Segmenter", plan: PromptPlan, path: Path, name: str, image_id: int | str
) -> "tuple[Segmented, Result]":
    """Segment what the plan's prompts point at in the picture at `path`.

    And return the result with the boxes that were asked for instead of the masks' extents: what is to be blurred is
    where a prompt says that it is, also where the network has hardly a mask for it.
    """
    import numpy as np

    from segrt.runtime.errors import ImageError, SegrtError
    from segrt.runtime.outputs.saver import Segmented
    from segrt.runtime.preprocess.channels import shown
    from segrt.runtime.segmenter import PromptSegmenter

    prompted = cast("PromptSegmenter", segmenter)
    image = prompted.read(path)
    try:
        given = plan.of_picture(path, (image.shape[0], image.shape[1]), prompted.tokens)
    except SegrtError as error:  # others may fit: to --skip-bad it is the picture that is bad
        raise ImageError(str(error)) from None
    result = prompted.segmented(image, given)
    pairs = zip(given.prompts, result.boxes, strict=True)
    asked = [extent if one is None or one.box is None else one.box for one, extent in pairs]
    meant = replace(result, boxes=np.array(asked, np.float32).reshape(-1, 4))
    return Segmented(path, name, image_id, shown(image), result, {}, None), meant


def _segment(
    segmenter: "Segmenter", savers: "Savers", path: Path, name: str, image_id: int | str, *, edited: bool
) -> "Segmented":
    import numpy as np

    from segrt.runtime.errors import ImageError
    from segrt.runtime.outputs.saver import Segmented
    from segrt.runtime.preprocess.channels import shown

    image: object = segmenter.read(path)  # of a huge file with tiles, what reads its windows
    if not isinstance(image, np.ndarray):
        if savers.wants_picture is not None or edited:
            what = "--background and --blur" if edited else f"--save {savers.wants_picture}"
            raise ImageError(
                f"{path}: is read by windows, it is too large for {what}; give --save coco or labels alone"
            )
        return Segmented(path, name, image_id, np.zeros((1, 1, 3), np.uint8), segmenter(path), {}, None)
    if not savers.wants_heads:
        return Segmented(path, name, image_id, shown(image), segmenter(image), {}, None)
    result, heads, geometry = segmenter.detailed(image)
    return Segmented(path, name, image_id, shown(image), result, heads, geometry)
