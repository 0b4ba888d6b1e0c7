"""What `segrt profile` prints: tables by technique, stages as bars, differences, the comparison with a baseline."""

from segrt.runtime.console.printable import say
from segrt.runtime.console.tables import print_table, table_width
from segrt.runtime.evaluate.by_technique import TECHNIQUES
from segrt.runtime.profiling.baseline import compare
from segrt.runtime.profiling.budget import Budget, lost_accuracy, pareto_front
from segrt.runtime.profiling.gpu_trace import gpu_cells
from segrt.runtime.profiling.records import GPU_STAGES, STAGES, Profile, Run
from segrt.runtime.profiling.report.candidate_names import run_names
from segrt.runtime.profiling.statistics import difference

_BAR = 30
_TOP_LAYERS = 15
_LETTERS = {
    "decode": "c",
    "preprocess": "p",
    "upload": "u",
    "inference": "i",
    "download": "o",
    "postprocess": "s",
    "draw": "d",
}


def show(measured: Profile, limit: Budget | None) -> None:
    """Print the tables, and what makes their figures doubtful."""
    runs = measured.runs
    names = run_names(runs)
    for technique in TECHNIQUES:
        alike = [(run, name) for run, name in zip(runs, names, strict=True) if run.technique == technique]
        if not alike:
            continue
        columns = ["", "median ms", "95 % interval", "p99", "frames/s", "CPU ms", "cold s", "MB"]
        columns += ["accuracy"] if any(run.accuracy for run in runs) else []
        columns += [str(limit)] if limit else []
        print_table(technique, columns, [_row(run, name, runs, limit, columns) for run, name in alike])
    print_stage_table(runs, names)
    _print_gpu_table(runs, names)
    for run, name in zip(runs, names, strict=True):
        if run.layers:
            slowest = sorted(run.layers, key=lambda layer: -layer.ms)[:_TOP_LAYERS]
            rows = [[layer.name, layer.operator, f"{layer.ms:.3f}"] for layer in slowest]
            print_table(f"{name}: slowest of {len(run.layers)} layers", ["module", "operator", "ms a frame"], rows)
    front = [names[runs.index(run)] for run in pareto_front(runs)]
    if front:
        say(f"not beaten in both accuracy and latency within their technique: {', '.join(front)}")
    _show_differences(runs, names)
    for note in measured.notes:
        say(f"note: {note}")


def print_stage_table(runs: list[Run], names: list[str]) -> None:
    """Print the median of every stage, with a bar of all, by technique."""
    stages = [stage for stage in (*STAGES, "total") if any(stage in run.stages for run in runs)]
    longest = max(run.stages["total"].p50_ms for run in runs)
    room = table_width() - sum(max(len(stage), 8) + 3 for stage in stages) - max(map(len, names)) - 6
    width = max(min(_BAR, room), 0)
    rows = []
    for technique in TECHNIQUES:
        for run, name in zip(runs, names, strict=True):
            if run.technique == technique:
                medians = [f"{run.stages[stage].p50_ms:.2f}" if stage in run.stages else "-" for stage in stages]
                rows.append([name, *medians, stage_bar(run, longest, width)])
    print_table(
        "stages, median ms (bars: c decode, p preprocess, u upload, i inference, o download, s post-process, d draw)",
        ["", *stages, ""],
        rows,
    )


def _print_gpu_table(runs: list[Run], names: list[str]) -> None:
    """Print the GPU's stages, and how much of the time it works while streaming."""
    measured = [(run.gpu, name) for run, name in zip(runs, names, strict=True) if run.gpu is not None]
    if measured:
        print_table(
            "on the GPU, median ms by its own clock; busy and idle while streaming",
            ["", *GPU_STAGES, "busy", "idle ms a frame", "longest"],
            [[name, *gpu_cells(gpu)] for gpu, name in measured],
        )


def show_comparison(old: Profile, new: Profile, tolerance: float) -> bool:
    """Print what changed; return whether any stage became slower beyond noise and tolerance."""
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
        say(f"in the baseline alone: {title}")
    for title in comparison.new:
        say(f"not in the baseline: {title}")
    if not comparison.changes:
        say("nothing to compare: the baseline has none of these candidates")
        return True
    slower: dict[str, list[str]] = {}
    for change in comparison.regressions:
        slower.setdefault(change.title, []).append(f"{change.stage} by {change.ratio - 1:.0%}")
    for title, stages in slower.items():
        say(f"{title} became slower (tolerance {tolerance:.0%}): {', '.join(stages)}")
    return bool(comparison.regressions)


def _row(run: Run, name: str, runs: list[Run], limit: Budget | None, columns: list[str]) -> list[str]:
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


def stage_bar(run: Run, longest: float, width: int = _BAR) -> str:
    """Return a bar of letters as long as the median: `ppiiiiiiss` for preprocess, inference and post-process.

    A median of `longest` ms fills `width` letters.
    """
    bar = ""
    elapsed = 0.0
    for stage, letter in _LETTERS.items():
        if stage in run.stages:
            elapsed += run.stages[stage].p50_ms
            bar += letter * (round(elapsed / longest * width) - len(bar))
    return bar


def _show_differences(runs: list[Run], names: list[str]) -> None:
    """Say of each candidate of a bundle whether it differs from the first beyond noise: they were measured in turn."""
    for number, (run, name) in enumerate(zip(runs, names, strict=True)):
        first = next(index for index, other in enumerate(runs) if other.bundle == run.bundle)
        if first == number:
            continue
        change = difference(runs[first].samples["total"], run.samples["total"])
        verdict = (
            "a difference within noise"
            if change.is_noise
            else f"{abs(change.median):.2f} ms {'slower' if change.median > 0 else 'faster'}"
        )
        say(f"{name} against {names[first]}: {verdict} ({change.interval.low:+.2f} to {change.interval.high:+.2f} ms)")
