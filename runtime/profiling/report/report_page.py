"""Puts the page together: words and tables as HTML, charts as plotly's data, everything in one file."""

import html
import importlib.resources
import json
from collections.abc import Sequence
from pathlib import Path

import msgspec

from segrt.runtime.errors import SegrtError
from segrt.runtime.evaluate.by_technique import MAIN_METRIC, TECHNIQUES
from segrt.runtime.files.atomic import make_folder, write_atomic
from segrt.runtime.files.json_files import readable
from segrt.runtime.profiling.budget import Budget, lost_accuracy, pareto_front
from segrt.runtime.profiling.gpu_trace import gpu_cells
from segrt.runtime.profiling.records import GPU_STAGES, Machine, Profile, Run
from segrt.runtime.profiling.report.candidate_names import run_names


def write_report(profile: Profile, path: Path, budget: Budget | None = None) -> None:
    """Write the page to `path`; raise SegrtError when plotly is missing or the file cannot be written."""
    try:
        from plotly.offline import get_plotlyjs

        from segrt.runtime.profiling.report import charts
    except ImportError:
        raise SegrtError("--html needs plotly; `pip install 'segrt[report]'`") from None
    profile = msgspec.structs.replace(profile, runs=_by_technique(profile.runs))
    runs = profile.runs
    names = run_names(runs)
    figures = {"stages": charts.stage_bars(runs, names)}
    sections = [_stages_section(), _gpu_section(runs, names)]
    shown = [run for number, run in enumerate(runs) if run.technique not in {r.technique for r in runs[:number]}]
    traced = [run for run in shown if run.spans]
    for number, run in enumerate(traced):
        figures[f"waterfall-{number}"] = charts.waterfall(run)
    if traced:
        sections.append(_waterfall_section(traced))
    figures |= {"spread": charts.distributions(runs, names), "time": charts.over_time(runs, names)}
    sections.append(_spread_section())
    if any(run.live for run in runs):
        figures["live"] = charts.live(runs, names)
        sections.append(_live_section(runs, names))
    if any(run.accuracy for run in runs):
        figures["accuracy"] = charts.accuracy_scatter(runs, names)
        sections.append(_accuracy_section(runs, names))
    layered = [(run, name) for run, name in zip(runs, names, strict=True) if run.layers]
    for number, (run, _) in enumerate(layered):
        figures[f"layers-{number}"] = charts.layer_bars(run)
    if layered:
        sections.append(_layers_section([name for _, name in layered]))
    data = {name: json.loads(figure.to_json()) for name, figure in figures.items()}
    body = _head(profile) + _table(profile, names, budget) + "".join(sections) + _machine_section(profile)
    files = importlib.resources.files("segrt.runtime.profiling.report")
    page = f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>segrt profile</title>
<style>{files.joinpath("page.css").read_text()}</style>
</head>
<body>
{body}
<script type="application/json" id="charts">{_safe(json.dumps(data))}</script>
<script>{get_plotlyjs()}</script>
<script>{files.joinpath("page.js").read_text()}</script>
</body>
</html>
"""
    make_folder(path.absolute().parent)
    write_atomic(path, readable(page).encode())


def _by_technique(runs: Sequence[Run]) -> list[Run]:
    return sorted(runs, key=lambda run: TECHNIQUES.index(run.technique))


def _head(profile: Profile) -> str:
    notes = "".join(f"<li>{_text(note)}</li>" for note in profile.notes)
    warning = f'<div class="notes"><strong>Read with care</strong><ul>{notes}</ul></div>' if notes else ""
    command = f"<p><code>{_text(profile.command)}</code></p>" if profile.command else ""
    frames = profile.runs[0].frames if profile.runs else 0
    return (
        f"<h1>Latency by technique</h1><p>{_text(profile.date)} · {_text(profile.source)} · {frames} frames of each, "
        f"measured in turn</p>{command}{warning}"
    )


def _table(profile: Profile, names: Sequence[str], budget: Budget | None) -> str:
    runs = profile.runs
    measured = any(run.accuracy for run in runs)
    columns = ["", "median", "95 % interval", "p90", "p99", "frames/s", "alone", "CPU", "cold start", "memory"]
    columns += ["accuracy"] if measured else []
    columns += [_text(str(budget))] if budget else []
    rows = []
    for technique in TECHNIQUES:
        judged = [(run, name) for run, name in zip(runs, names, strict=True) if run.technique == technique]
        if judged:
            rows.append(f'<tr class="technique"><td colspan="{len(columns)}">{technique}</td></tr>')
        fastest = min((run.stages["total"].p50_ms for run, _ in judged), default=0.0)
        for run, name in judged:
            total = run.stages["total"]
            best = ' class="best"' if total.p50_ms == fastest and len(judged) > 1 else ""
            cells = [
                _text(name),
                f"{total.p50_ms:.2f} ms",
                f"{total.p50_low_ms:.2f} – {total.p50_high_ms:.2f}",
                f"{total.p90_ms:.2f}",
                f"{total.p99_ms:.2f}",
                f"{run.fps:.1f}",
                f"{run.fps_alone:.1f}",
                f"{run.cpu_ms:.1f} ms",
                "–" if run.cold_start_ms is None else f"{run.cold_start_ms / 1e3:.2f} s",
                "–" if run.peak_rss_mb is None else f"{run.peak_rss_mb:.0f} MB",
            ]
            if measured:
                cells.append(_accuracy(run))
            row = "".join(f"<td{best if number == 1 else ''}>{cell}</td>" for number, cell in enumerate(cells))
            rows.append(f"<tr>{row}{_verdict(run, runs, budget)}</tr>")
    head = "".join(f"<th>{column}</th>" for column in columns)
    return (
        f'<section><h2>By technique</h2><div class="scroll"><table><thead><tr>{head}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div><p>Times are those of one frame, from the picture to the result. "
        "“frames/s” is with overlapping stages, “alone” one frame after the other; cold start and memory are those of "
        "a process of its own.</p></section>"
    )


def _accuracy(run: Run) -> str:
    if run.accuracy is None:
        return "–"
    return f"{run.accuracy.value:.3f} <small>{MAIN_METRIC[run.technique].title}</small>"


def _verdict(run: Run, runs: Sequence[Run], budget: Budget | None) -> str:
    if budget is None:
        return ""
    lost = lost_accuracy(run, runs)
    loss = f" <small>−{lost:.3f}</small>" if lost else ""
    verdict, word = ("yes", "met") if budget.is_met(run) else ("no", "missed")
    return f'<td><span class="{verdict}">{word}</span> {budget.of(run):.1f} ms{loss}</td>'


def _stages_section() -> str:
    return (
        "<section><h2>Where the time goes</h2><p>The median of each stage, one after the other.</p>"
        '<figure id="stages"></figure></section>'
    )


def _gpu_section(runs: Sequence[Run], names: Sequence[str]) -> str:
    measured = [(run.gpu, name) for run, name in zip(runs, names, strict=True) if run.gpu is not None]
    if not measured:
        return ""
    columns = ["", *GPU_STAGES, "busy", "idle", "longest idle", "without a graph because"]
    rows = [[name, *gpu_cells(gpu), gpu.why_no_graph or "–"] for gpu, name in measured]
    head = "".join(f"<th>{column}</th>" for column in columns)
    body = "".join(f"<tr>{''.join(f'<td>{_text(cell)}</td>' for cell in row)}</tr>" for row in rows)
    return (
        "<section><h2>On the GPU</h2><p>Median milliseconds of a frame by the GPU’s own clock; “decode” has the "
        "result’s download in it. Busy and idle are those of the overlapping stream.</p>"
        f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div></section>'
    )


def _waterfall_section(traced: Sequence[Run]) -> str:
    figures = "".join(
        f'<h3>{_text(run.bundle)}</h3><figure id="waterfall-{number}"></figure>' for number, run in enumerate(traced)
    )
    return (
        "<section><h2>A frame’s way through the stream</h2><p>Each stage works in a thread of its own; numbers are "
        f"frames. While one frame is in the network, the one before is merged and the next one prepared.</p>{figures}"
        "</section>"
    )


def _spread_section() -> str:
    return (
        '<section><h2>Spread</h2><figure id="spread"></figure><h3>Over the run</h3>'
        '<figure id="time"></figure></section>'
    )


def _live_section(runs: Sequence[Run], names: Sequence[str]) -> str:
    drops = "; ".join(
        f"{_text(name)} dropped {run.live.dropped} of {run.live.frames_in}"
        for run, name in zip(runs, names, strict=True)
        if run.live is not None and run.live.dropped
    )
    drops = drops or "None was dropped here"
    fps = next(run.live.source_fps for run in runs if run.live is not None)
    return (
        f"<section><h2>At a camera’s speed</h2><p>{fps:g} frames a second, always the newest one; crosses are frames "
        f'that were dropped. {drops}.</p><figure id="live"></figure></section>'
    )


def _accuracy_section(runs: Sequence[Run], names: Sequence[str]) -> str:
    front = pareto_front(runs)
    best = ", ".join(_text(name) for run, name in zip(runs, names, strict=True) if run in front)
    return (
        f"<section><h2>Accuracy against latency</h2><p>Not beaten in both within their technique: {best}.</p>"
        '<figure id="accuracy"></figure></section>'
    )


def _layers_section(names: Sequence[str]) -> str:
    figures = "".join(
        f'<h3>{_text(name)}</h3><figure id="layers-{number}"></figure>' for number, name in enumerate(names)
    )
    return f"<section><h2>The slowest modules of the network</h2>{figures}</section>"


def _machine_section(profile: Profile) -> str:
    machine = profile.machine
    if machine is None:
        return ""
    facts = _facts(machine)
    for bundle in dict.fromkeys(run.bundle for run in profile.runs):
        reasons = [
            run.backend_reason or f"{run.backend} on {run.device}" for run in profile.runs if run.bundle == bundle
        ]
        facts.append((f"{bundle}, backend", "; ".join(dict.fromkeys(reasons))))
        decoding = [
            f"on {run.decode_device}, {run.decode_reason}"
            for run in profile.runs
            if run.bundle == bundle and run.decode_device
        ]
        if decoding:
            facts.append((f"{bundle}, decoding", "; ".join(dict.fromkeys(decoding))))
    listed = "".join(f"<dt>{_text(name)}</dt><dd>{_text(value)}</dd>" for name, value in facts)
    return f"<section><h2>Where it was measured</h2><dl>{listed}</dl></section>"


def _facts(machine: Machine) -> list[tuple[str, str]]:
    facts = [
        ("processor", f"{machine.processor}, {machine.cores} processors"),
        ("system", f"{machine.system}, Python {machine.python}"),
        ("versions", ", ".join(f"{name} {version}" for name, version in machine.versions.items())),
    ]
    if machine.governor:
        facts.append(("clock governor", machine.governor))
    if machine.clock_mhz:
        facts.append(("clock", f"{machine.clock_mhz[0]:.0f} MHz before, {machine.clock_mhz[1]:.0f} MHz after"))
    if machine.gpu_clock_mhz:
        facts.append(("GPU clock", f"{machine.gpu_clock_mhz[0]:.0f} to {machine.gpu_clock_mhz[1]:.0f} MHz"))
    if machine.temperature_c:
        facts.append(
            ("temperature", f"{machine.temperature_c[0]:.0f} °C before, {machine.temperature_c[1]:.0f} °C after")
        )
    if machine.power_w is not None:
        facts.append(("power", f"{machine.power_w:.1f} W"))
    if machine.other_cores_busy is not None:
        facts.append(("other programs", f"{machine.other_cores_busy:.2f} processors busy"))
    return facts


def _text(value: str) -> str:
    return html.escape(value)


def _safe(data: str) -> str:
    """Return JSON that cannot end the script element that holds it."""
    return data.replace("<", "\\u003c")
