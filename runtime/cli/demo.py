"""`segrt demo`: everything on the embedded models, no network needed."""

import shutil
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from segrt.runtime.cli.latencies import LATENCIES
from segrt.runtime.cli.options import execution_group
from segrt.runtime.console.progress import Bars
from segrt.runtime.console.tables import print_table

if TYPE_CHECKING:
    from segrt.runtime.inference.execution import Execution
    from segrt.runtime.streetworld import StreetView

SIZE = (720, 1280)
FPS = 25.0


@click.command()
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), default=Path("demo"), show_default=True, help="Folder."
)
@click.option("--seed", type=click.IntRange(0), default=910_012, show_default=True, help="Which street.")
@click.option("--frames", type=click.IntRange(2), default=150, show_default=True, help="Length of the clip at 25 fps.")
@click.option(
    "--photo",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Compare three real networks on a photo of yours; those that are not here yet are fetched (`segrt get`).",
)
@execution_group()
def demo(out: Path, seed: int, frames: int, photo: Path | None, execution: "Execution") -> None:
    """Run the three embedded models on a street that is rendered for it: a picture, a video, a table of latencies.

    The embedded models know the drawn street alone. With --photo a real network of each technique segments a photo.
    """
    if photo is not None:
        _compare_photo(photo, out, execution)
        return
    from segrt.runtime.cli.demo_steps import run_demo
    from segrt.runtime.files.atomic import make_folder
    from segrt.runtime.streetworld.moments import Clip

    make_folder(out)  # what cannot be written is said before any progress
    with Bars("name", "bar", "count", "elapsed", keep=True) as bars:

        def track(views: "Iterable[StreetView]", total: int, what: str) -> "Iterator[StreetView]":
            bars.show(what, 0, total)
            for number, view in enumerate(views, 1):
                yield view
                bars.show(what, number, total)

        def count(done: int) -> None:
            bars.show("Streaming the clip", done, frames)

        clip = Clip(seed=seed, frames=frames, size=SIZE, fps=FPS)
        report = run_demo(out, clip, execution, track=track, count=count)
        count(frames)
    rows = [
        [item.technique, *(f"{p50:.1f} / {p95:.1f}" for p50, p95 in (item.latency[stage] for stage in LATENCIES))]
        + [f"{item.metric} {item.value:.3f}"]
        for item in report.techniques
    ]
    title = f"Latency of {SIZE[1]} x {SIZE[0]} pictures, p50 / p95 in ms"
    print_table(title, ["technique", *LATENCIES, "on this clip"], rows)
    click.echo(f"{report.comparison}: the three techniques side by side")
    click.echo(f"{report.stream}: the clip through the panoptic model, {report.fps:.0f} frames a second")
    click.echo("these models know the drawn street alone; real networks, on a photo of yours:")
    click.echo(f"  {_called()} demo --photo photo.jpg")


def _compare_photo(photo: Path, out: Path, execution: "Execution") -> None:
    from segrt.runtime.cli import load_hook
    from segrt.runtime.cli.demo_photo import run_photo_demo

    def get(names: tuple[str, ...], say: "Callable[[str], None]") -> None:
        load_hook("get-models", "--photo")(names, say)

    comparison, rows = run_photo_demo(photo, out, execution, get=get, say=lambda line: click.echo(line, err=True))
    print_table(f"{photo}", ["model", "technique", *LATENCIES, "found"], rows)
    click.echo(f"{comparison}: the three techniques side by side")


def _called() -> str:
    """Return how this program is called from here: by its name where the shell finds that, else by its path."""
    program = Path(sys.argv[0])
    found = shutil.which("segrt")
    if program.name != "segrt" or (found is not None and Path(found).resolve() == program.resolve()):
        return "segrt"
    return str(program)
