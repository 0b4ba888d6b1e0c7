"""`segrt profile`: latency per stage, per technique, with honest intervals."""

import re
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from segrt.runtime.console.progress import Bars
from segrt.runtime.console.tables import print_table, table_width
from segrt.runtime.threads import MOST_THREADS

if TYPE_CHECKING:
    from segrt.runtime.profiling.budget import Budget
    from segrt.runtime.profiling.records import Profile, Run

_PATH = click.Path(path_type=Path, dir_okay=False)
_TECHNIQUES = ("semantic", "instance", "panoptic")
_BAR = 30
_TOP_LAYERS = 15


def _names(ctx: click.Context, param: click.Parameter, value: str | None) -> tuple[str, ...]:  # noqa: ARG001
    names = tuple(dict.fromkeys(part.strip() for part in (value or "").split(",") if part.strip()))
    if value is not None and not names:
        raise click.BadParameter("must be one or several, comma-separated, but is empty")
    return names


def _threads(ctx: click.Context, param: click.Parameter, value: str | None) -> tuple[int, ...]:
    found = _names(ctx, param, value)
    if any(not re.fullmatch("[0-9]{1,6}", name) or int(name) > MOST_THREADS for name in found):
        raise click.BadParameter(
            f"must be numbers from 0 (the default) to {MOST_THREADS}, 1,2 for instance, but got {value!r}"
        )
    return tuple(int(name) for name in found) or (0,)


def _sizes(ctx: click.Context, param: click.Parameter, value: str | None) -> tuple[tuple[int, int], ...]:
    sizes = []
    for name in _names(ctx, param, value):
        height, _, width = name.lower().partition("x")
        if not (height.isdecimal() and width.isdecimal() and 0 < int(height) <= 16384 and 0 < int(width) <= 16384):
            raise click.BadParameter(f"must be HEIGHTxWIDTH, 720x1280,1080x1920 for instance, but got {name!r}")
        sizes.append((int(height), int(width)))
    return tuple(sizes)


def _tolerance(ctx: click.Context, param: click.Parameter, value: str) -> float:  # noqa: ARG001
    try:
        share = float(value.removesuffix("%")) / (100 if value.endswith("%") else 1)
    except ValueError:
        share = -1.0
    if not 0 <= share < 100:
        raise click.BadParameter(f"must be a share such as 10% or 0.1, but got {value!r}")
    return share


@click.command()
@click.argument("bundles", nargs=-1, required=True, metavar="BUNDLE...")
@click.option(
    "--source",
    default="street://?seed=1&fps=25&size=1280x720",
    show_default=True,
    metavar="S",
    help="What is segmented: a video, a picture, a folder of pictures, street://.",
)
@click.option("--frames", type=click.IntRange(10, 100_000), default=100, show_default=True, help="Measured frames.")
@click.option("--warmup", type=click.IntRange(0, 10_000), help="Frames before; by default until times are stable.")
@click.option("--precision", "precisions", metavar="NAME,…", callback=_names, help="Variants, fp32,int8 for instance.")
@click.option("--backend", "backends", metavar="NAME,…", default="auto", callback=_names, show_default=True)
@click.option("--threads", metavar="N,…", callback=_threads, help="CPU threads, 1,2 for instance; 0 is the default.")
@click.option(
    "--size",
    "sizes",
    metavar="HxW,…",
    callback=_sizes,
    help="Sizes of the pictures, as cameras of these sizes would give them; a network's own size is the bundle's.",
)
@click.option("--draw", is_flag=True, help="Draw every result, too.")
@click.option(
    "--cold/--no-cold", default=True, show_default=True, help="Start processes of their own for cold start and memory."
)
@click.option("--layers", is_flag=True, help="Times of the network's modules.")
@click.option("--annotations", metavar="JSON", help="Measure accuracy on this data set, as `segrt eval` does.")
@click.option("--images", type=click.Path(path_type=Path), metavar="DIR", help="Its pictures.")
@click.option("--panoptic-dir", type=click.Path(path_type=Path), metavar="DIR", help="Its panoptic PNG files.")
@click.option("--budget", metavar="33ms@p99", help="Say which candidates stay below; exit 1 when none does.")
@click.option("--json", "json_path", type=_PATH, metavar="FILE", help="Write everything as JSON.")
@click.option("--html", "html_path", type=_PATH, metavar="FILE", help="Write the report, one page without network.")
@click.option("--baseline", type=_PATH, metavar="FILE", help="The JSON of an earlier profile; exit 1 when slower.")
@click.option("--tolerance", default="10%", show_default=True, callback=_tolerance, help="What --baseline allows.")
def profile(
    bundles: tuple[str, ...],
    source: str,
    frames: int,
    warmup: int | None,
    precisions: tuple[str, ...],
    backends: tuple[str, ...],
    threads: tuple[int, ...],
    sizes: tuple[tuple[int, int], ...],
    draw: bool,
    cold: bool,
    layers: bool,
    annotations: str | None,
    images: Path | None,
    panoptic_dir: Path | None,
    budget: str | None,
    json_path: Path | None,
    html_path: Path | None,
    baseline: Path | None,
    tolerance: float,
) -> None:
    """Measure the latency of each BUNDLE, stage by stage, on the same pictures in turn.

    Every combination of precisions, backends, thread counts and picture sizes is a candidate. They are warmed up until
    stable, then each picture goes through all of them, so that what slows one slows all. Every median comes with its
    95 % interval.
    """
    from segrt.runtime.errors import CheckFailed, SegrtError
    from segrt.runtime.files.collisions import refuse_same
    from segrt.runtime.profiling.accuracy import measure_accuracy
    from segrt.runtime.profiling.budget import parse_budget
    from segrt.runtime.profiling.candidate import matrix
    from segrt.runtime.profiling.records import read_profile
    from segrt.runtime.profiling.running import Options
    from segrt.runtime.profiling.running import profile as measure

    # What can be wrong is found before anything is measured.
    limit = parse_budget(budget) if budget else None
    old = read_profile(baseline) if baseline else None
    read: dict[str, Path | str | None] = {"the source": source, "the annotations file": annotations}
    refuse_same("--json", json_path, {**read, "the baseline": baseline, "the --html file": html_path})
    refuse_same("--html", html_path, {**read, "the baseline": baseline})
    for path in (json_path, html_path):
        _check_output(path)
    if html_path is not None:
        _check_plotly()
    if annotations is None and (images is not None or panoptic_dir is not None):
        raise SegrtError("--images and --panoptic-dir need --annotations, the data set's JSON")
    candidates = matrix(bundles, precisions, backends, threads, sizes)
    accuracies = measure_accuracy(candidates, annotations, images, panoptic_dir) if annotations else {}
    options = Options(source, frames, warmup, draw, cold, layers, command=shlex.join(["segrt", *sys.argv[1:]]))
    with Bars("name", "bar", "count", "left") as bars:
        measured = measure(candidates, options, accuracies, bars.show)
    if json_path is not None:
        measured.write(json_path)
    if html_path is not None:
        from segrt.runtime.profiling.report.report_page import write_report

        write_report(measured, html_path, limit)
    show(measured, limit)
    failed = False
    if old is not None:
        failed = show_comparison(old, measured, tolerance)
    if limit is not None and not any(limit.is_met(run) for run in measured.runs):
        raise CheckFailed(f"no candidate meets {limit}")
    sys.exit(1 if failed else 0)


def show(measured: "Profile", limit: "Budget | None") -> None:
    """Print the table by technique, and what makes it doubtful."""
    from segrt.runtime.profiling.budget import pareto_front
    from segrt.runtime.profiling.report.candidate_names import run_names

    runs = measured.runs
    names = run_names(runs)
    for technique in _TECHNIQUES:
        own = [(run, name) for run, name in zip(runs, names, strict=True) if run.technique == technique]
        if not own:
            continue
        columns = ["", "median ms", "95 % interval", "p99", "frames/s", "CPU ms", "cold s", "MB"]
        columns += ["accuracy"] if any(run.accuracy for run in runs) else []
        columns += [str(limit)] if limit else []
        print_table(technique, columns, [_row(run, name, runs, limit, columns) for run, name in own])
    print_stage_table(runs, names)
    for run, name in zip(runs, names, strict=True):
        if run.layers:
            slowest = sorted(run.layers, key=lambda layer: -layer.ms)[:_TOP_LAYERS]
            rows = [[layer.name, layer.operator, f"{layer.ms:.3f}"] for layer in slowest]
            print_table(f"{name}: slowest of {len(run.layers)} layers", ["module", "operator", "ms a frame"], rows)
    front = [names[runs.index(run)] for run in pareto_front(runs)]
    if front:
        click.echo(f"not beaten in both accuracy and latency within their technique: {', '.join(front)}")
    _show_differences(runs, names)
    for note in measured.notes:
        click.echo(f"note: {note}")


def print_stage_table(runs: "list[Run]", names: list[str]) -> None:
    """Print the median of every stage, with a bar of all, by technique."""
    from segrt.runtime.profiling.records import STAGES

    stages = [stage for stage in (*STAGES, "total") if any(stage in run.stages for run in runs)]
    longest = max(run.stages["total"].p50_ms for run in runs)
    room = table_width() - sum(max(len(stage), 8) + 3 for stage in stages) - max(map(len, names)) - 6
    width = max(min(_BAR, room), 0)
    rows = []
    for technique in _TECHNIQUES:
        for run, name in zip(runs, names, strict=True):
            if run.technique == technique:
                medians = [f"{run.stages[stage].p50_ms:.2f}" if stage in run.stages else "-" for stage in stages]
                rows.append([name, *medians, stage_bar(run, longest, width)])
    print_table(
        "stages, median ms (bars: c decode, p preprocess, u upload, i inference, o download, s post-process, d draw)",
        ["", *stages, ""],
        rows,
    )


def show_comparison(old: "Profile", new: "Profile", tolerance: float) -> bool:
    """Print what changed; return whether anything became slower beyond noise and tolerance."""
    from segrt.runtime.profiling.baseline import compare

    comparison = compare(old, new, tolerance)
    rows = [
        [
            change.title,
            change.stage,
            f"{change.before.p50_ms:.2f}",
            f"{change.after.p50_ms:.2f}",
            f"{change.ratio - 1:+.1%}",
            "slower" if change.is_regression else "noise" if change.is_noise else "within tolerance",
        ]
        for change in comparison.changes
    ]
    if rows:
        print_table("against the baseline, median ms", ["", "stage", "before", "now", "change", ""], rows)
    for title in comparison.missing:
        click.echo(f"in the baseline alone: {title}")
    for title in comparison.new:
        click.echo(f"not in the baseline: {title}")
    if not comparison.changes:
        click.echo("nothing to compare: the baseline has none of these candidates")
        return True
    for change in comparison.regressions:
        moved = [other.stage for other in comparison.changes if other.title == change.title and other.is_regression]
        where = ", ".join(stage for stage in moved if stage != "total") or "no single stage"
        click.echo(f"{change.title} became {change.ratio - 1:.0%} slower (tolerance {tolerance:.0%}): {where}")
    return bool(comparison.regressions)


def _row(run: "Run", name: str, runs: "list[Run]", limit: "Budget | None", columns: list[str]) -> list[str]:
    from segrt.runtime.profiling.budget import lost_accuracy

    total = run.stages["total"]
    cells = [
        name,
        f"{total.p50_ms:.2f}",
        f"{total.p50_low_ms:.2f} to {total.p50_high_ms:.2f}",
        f"{total.p99_ms:.2f}",
        f"{run.fps:.1f}",
        f"{run.cpu_ms:.1f}",
        "-" if run.cold_start_ms is None else f"{run.cold_start_ms / 1e3:.2f}",
        "-" if run.peak_rss_mb is None else f"{run.peak_rss_mb:.0f}",
    ]
    if "accuracy" in columns:
        cells.append("-" if run.accuracy is None else f"{run.accuracy.metric} {run.accuracy.value:.3f}")
    if limit is not None:
        lost = lost_accuracy(run, runs)
        cells.append(
            f"{limit.of(run):.1f} {'met' if limit.is_met(run) else 'missed'}" + (f", -{lost:.3f}" if lost else "")
        )
    return cells


def stage_bar(run: "Run", longest: float, width: int = _BAR) -> str:
    """Return a bar of letters as long as the median: `ppiiiiiiss` for preprocess, inference and post-process.

    A median of `longest` ms fills `width` letters.
    """
    letters = {"decode": "c", "preprocess": "p", "upload": "u", "inference": "i", "download": "o", "postprocess": "s"}
    letters["draw"] = "d"
    bar = ""
    elapsed = 0.0
    for stage, letter in letters.items():
        if stage in run.stages:
            elapsed += run.stages[stage].p50_ms
            bar += letter * (round(elapsed / longest * width) - len(bar))
    return bar


def _show_differences(runs: "list[Run]", names: list[str]) -> None:
    """Say of each candidate of a bundle whether it differs from the first beyond noise: they were measured in turn."""
    from segrt.runtime.profiling.statistics import difference

    for number, (run, name) in enumerate(zip(runs, names, strict=True)):
        first = next(index for index, other in enumerate(runs) if other.bundle == run.bundle)
        if first == number:
            continue
        found = difference(runs[first].samples["total"], run.samples["total"])
        verdict = (
            "a difference within noise"
            if found.is_noise
            else f"{abs(found.median):.2f} ms {'slower' if found.median > 0 else 'faster'}"
        )
        click.echo(
            f"{name} against {names[first]}: {verdict} ({found.interval.low:+.2f} to {found.interval.high:+.2f} ms)"
        )


def _check_output(path: Path | None) -> None:
    from segrt.runtime.errors import SegrtError
    from segrt.runtime.files.atomic import make_folder

    if path is None:
        return
    if path.is_dir():
        raise SegrtError(f"{path}: is a folder; give a file")
    make_folder(path.absolute().parent)


def _check_plotly() -> None:
    from importlib.util import find_spec

    from segrt.runtime.errors import SegrtError

    if find_spec("plotly") is None:
        raise SegrtError("--html needs plotly; `pip install 'segrt[report]'`")
