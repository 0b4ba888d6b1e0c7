"""`python -m segrt.runtime.streetworld OUT`: writes a data set or clips (a folder), or a video (an mp4), of streets."""

import re
from pathlib import Path

import click

from segrt.runtime.console.exits import run_command
from segrt.runtime.console.words import counted
from segrt.runtime.streetworld.clips import StreetClip
from segrt.runtime.streetworld.moments import EDGES, Clip, scattered
from segrt.runtime.streetworld.weather import CONDITIONS
from segrt.runtime.streetworld.writing import write_clips, write_dataset, write_video


def parse_size(_context: click.Context, _parameter: click.Parameter, value: str) -> tuple[int, int]:
    """Parse "HEIGHTxWIDTH"."""
    match = re.fullmatch(r"([0-9]{1,9})x([0-9]{1,9})", value)
    size = (int(match[1]), int(match[2])) if match else (0, 0)
    if not all(EDGES[0] <= edge <= EDGES[1] for edge in size):
        raise click.BadParameter(
            f"{value!r} is not HEIGHTxWIDTH of {EDGES[0]} to {EDGES[1]} pixels each, such as 360x640"
        )
    return size


@click.command()
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--seed", type=click.IntRange(0), default=900_000, show_default=True, help="The (first) world.")
@click.option("--frames", type=click.IntRange(1), default=200, show_default=True)
@click.option("--size", default="192x320", show_default=True, callback=parse_size, metavar="HEIGHTxWIDTH")
@click.option("--moving", is_flag=True, help="One street as it moves, instead of one street per picture.")
@click.option(
    "--clip",
    "as_clips",
    is_flag=True,
    help="Clips in which things keep their ids, with occlusions.",
)
@click.option("--clips", type=click.IntRange(1), metavar="N", help="How many clips; with --clip.")
@click.option("--meetings", type=click.IntRange(0, 60), metavar="N", help="Crossings in each, 4 if not given.")
@click.option("--fps", type=click.FloatRange(1, 240), default=25.0, show_default=True, help="Of a moving street.")
@click.option("--weather", type=click.Choice(CONDITIONS), help="Of a moving street; its seed decides otherwise.")
def main(
    out: Path,
    seed: int,
    frames: int,
    size: tuple[int, int],
    moving: bool,
    as_clips: bool,
    clips: int | None,
    meetings: int | None,
    fps: float,
    weather: str | None,
) -> None:
    """Render the street world to OUT: a COCO panoptic data set if a folder, a moving street if an .mp4 file.

    With --clip OUT is a folder of clips of so many frames each: images/CLIP, panoptic/CLIP and panoptic.json (COCO
    panoptic video, as VIPSeg has it), and objects.json (as YouTube-VIS has it).
    """
    video = out.suffix == ".mp4"
    _check_clip_options(video, moving, as_clips, clips, meetings)
    clip = Clip(seed=seed, frames=frames, size=size, fps=fps, weather=weather)
    if as_clips:
        count = clips or 1
        each = 4 if meetings is None else meetings
        write_clips(out, (StreetClip(seed + place, frames, size, fps, each, weather) for place in range(count)))
        _say_written(out, f"{counted(count, 'clip')} of {counted(frames, 'frame')}", size)
        return
    if video:
        write_video(out, clip, fps)
    else:
        write_dataset(out, clip if moving else scattered(seed, frames, size))
    _say_written(out, counted(frames, "frame"), size)


def _check_clip_options(video: bool, moving: bool, as_clips: bool, clips: int | None, meetings: int | None) -> None:
    """Raise UsageError for options that do not go together."""
    if as_clips and video:
        raise click.UsageError("--clip writes a folder with pictures and truth; give OUT without .mp4")
    if as_clips and moving:
        raise click.UsageError("--clip and --moving exclude each other; leave one out")
    for name, given in (("--clips", clips), ("--meetings", meetings)):
        if given is not None and not as_clips:
            raise click.UsageError(f"{name} is for clips; add --clip, or leave it out")


def _say_written(out: Path, what: str, size: tuple[int, int]) -> None:
    """Print what was written; `size` is (height, width)."""
    click.echo(f"{out}: {what}, {size[1]} pixels wide and {size[0]} high")


if __name__ == "__main__":
    run_command(main)
