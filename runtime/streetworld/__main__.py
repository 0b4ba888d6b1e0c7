"""`python -m segrt.runtime.streetworld OUT`: writes a data set (a folder) or a clip (an mp4) of the street world."""

import re
from pathlib import Path

import click

from segrt.runtime.console.exits import run_command
from segrt.runtime.console.words import counted
from segrt.runtime.streetworld.moments import EDGES, Clip, scattered
from segrt.runtime.streetworld.weather import CONDITIONS
from segrt.runtime.streetworld.writing import write_dataset, write_video


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
@click.option("--fps", type=click.FloatRange(1, 240), default=25.0, show_default=True, help="Of a moving street.")
@click.option("--weather", type=click.Choice(CONDITIONS), help="Of a moving street; its seed decides otherwise.")
def main(
    out: Path, seed: int, frames: int, size: tuple[int, int], moving: bool, fps: float, weather: str | None
) -> None:
    """Render the street world to OUT: a COCO panoptic data set if a folder, a moving street if an .mp4 file."""
    clip = Clip(seed=seed, frames=frames, size=size, fps=fps, weather=weather)
    if out.suffix == ".mp4":
        write_video(out, clip, fps)
    else:
        write_dataset(out, clip if moving else scattered(seed, frames, size))
    click.echo(f"{out}: {counted(frames, 'frame')}, {size[1]} pixels wide and {size[0]} high")


if __name__ == "__main__":
    run_command(main)
