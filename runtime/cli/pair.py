"""`segrt pair`: a semantic and an instance bundle become a panoptic one."""

from pathlib import Path

import click

from segrt.runtime.cli.options import THREADS_OPTION
from segrt.runtime.console.printable import say
from segrt.runtime.console.quantities import SHARE


@click.command()
@click.argument("semantic")
@click.argument("instance")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Folder of the new bundle.")
@click.option("--name", help="The bundle's name; the folder's by default.")
@click.option("--score-threshold", type=SHARE, default=0.5, show_default=True, help="The least score of a thing.")
@click.option(
    "--overlap-threshold",
    type=SHARE,
    default=0.5,
    show_default=True,
    help="A thing is left out when a greater share of it is taken by better ones.",
)
@click.option(
    "--stuff-area-limit",
    type=click.IntRange(0, 2**31 - 1),
    default=4096,
    show_default=True,
    metavar="PIXELS",
    help="Of the source picture: smaller segments of stuff are left out.",
)
@THREADS_OPTION
@click.option("--overwrite", is_flag=True, help="Replace a bundle that is already there.")
def pair(
    semantic: str,
    instance: str,
    out: Path,
    name: str | None,
    score_threshold: float,
    overlap_threshold: float,
    stuff_area_limit: int,
    threads: int,
    overwrite: bool,
) -> None:
    """Join the bundles SEMANTIC and INSTANCE (folders, or names of embedded bundles) into a panoptic one.

    Both networks see every picture. Things are the instance network's objects, best first; the semantic network's
    stuff fills what they leave free; where it sees a thing that the other does not, there is nothing. This is the
    heuristic of Panoptic FPN (Kirillov et al., 2019), with detectron2's thresholds.
    """
    from segrt.runtime.authoring.pairing import PairOptions, pair_bundles
    from segrt.runtime.bundle.locating import read_bundle
    from segrt.runtime.decode.merge_members import MergeMembers

    rule = MergeMembers(score_threshold, overlap_threshold, stuff_area_limit)
    options = PairOptions(name, rule, overwrite, threads)
    for line in pair_bundles(read_bundle(semantic), read_bundle(instance), out, options):
        say(line)
    say(f"{out}: written and verified; `segrt run {out} PICTURE --out DIR` segments pictures with it")
