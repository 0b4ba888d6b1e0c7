"""The page's charts, as plotly figures without colours of their own: the page gives them text and lines.

Stages have the colours of Okabe and Ito (https://jfly.uni-koeln.de/color), which colour-blind people tell apart.
"""

from collections.abc import Sequence

import plotly.graph_objects as go

from segrt.runtime.evaluate.by_technique import MAIN_METRIC
from segrt.runtime.profiling.budget import pareto_front
from segrt.runtime.profiling.records import STAGES, Run, Span

STAGE_COLORS = {
    "decode": "#999999",
    "preprocess": "#56B4E9",
    "upload": "#F0E442",
    "inference": "#0072B2",
    "download": "#F0A442",
    "postprocess": "#E69F00",
    "draw": "#009E73",
    "sink": "#CC79A7",
}
RUN_COLORS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#999999", "#F0E442")
_SYMBOLS = {"semantic": "circle", "instance": "square", "panoptic": "diamond"}
_ROW = 44
_TOP_LAYERS = 15
_WATERFALL_FRAMES = 4
_ROOM_FOR_NAME = 1.2


def stage_bars(runs: Sequence[Run], names: Sequence[str]) -> go.Figure:
    """Median of each stage, one bar for each candidate."""
    figure = go.Figure()
    for stage in STAGES:
        values = [run.stages[stage].p50_ms if stage in run.stages else 0.0 for run in runs]
        if any(values):
            figure.add_bar(
                y=list(names),
                x=values,
                name=stage,
                orientation="h",
                marker_color=STAGE_COLORS[stage],
                hovertemplate="%{y}<br>" + stage + " %{x:.2f} ms<extra></extra>",
            )
    _layout(figure, 110 + _ROW * len(runs), "median, ms")
    figure.update_layout(barmode="stack")
    figure.update_yaxes(autorange="reversed")
    return figure


def waterfall(run: Run) -> go.Figure:
    """A few frames on their way through the threads of the stream; neighbouring frames differ in strength."""
    figure = go.Figure()
    spans = _few_frames(run)
    first = min((span.frame for span in spans), default=0)
    start = min((span.begin_ms for span in spans), default=0.0)
    for stage in (*STAGES, "sink"):
        of_stage = [span for span in spans if span.stage == stage]
        if of_stage:
            figure.add_bar(
                y=[stage for _ in of_stage],
                x=[max(span.end_ms - span.begin_ms, 0.05) for span in of_stage],
                base=[span.begin_ms - start for span in of_stage],
                orientation="h",
                name=stage,
                showlegend=False,
                text=[str(span.frame - first + 1) for span in of_stage],
                textposition="inside",
                insidetextanchor="middle",
                textangle=0,
                marker={
                    "color": STAGE_COLORS[stage],
                    "opacity": [1.0 if (span.frame - first) % 2 == 0 else 0.55 for span in of_stage],
                },
                customdata=[[span.frame - first + 1, span.end_ms - span.begin_ms, span.thread] for span in of_stage],
                hovertemplate=stage + " of frame %{customdata[0]}<br>%{customdata[1]:.2f} ms in thread "
                "%{customdata[2]}<extra></extra>",
            )
    _layout(figure, 330, "ms")
    figure.update_layout(barmode="overlay")
    figure.update_yaxes(autorange="reversed")
    return figure


def _few_frames(run: Run) -> list[Span]:
    """Return the spans of a few frames from the middle of the trace, and those of others that lie between them."""
    frames = sorted({span.frame for span in run.spans})
    chosen = set(frames[len(frames) // 2 :][:_WATERFALL_FRAMES])
    shown = [span for span in run.spans if span.frame in chosen]
    begin, end = min((span.begin_ms for span in shown), default=0.0), max((span.end_ms for span in shown), default=0.0)
    return [span for span in run.spans if span.begin_ms < end and span.end_ms > begin]


def distributions(runs: Sequence[Run], names: Sequence[str]) -> go.Figure:
    """How each stage's time spreads: box from quarter to three quarters, whiskers, and single slow frames."""
    figure = go.Figure()
    for number, (run, name) in enumerate(zip(runs, names, strict=True)):
        stages = [stage for stage in (*STAGES, "total") if stage in run.samples]
        figure.add_box(
            x=[value for stage in stages for value in run.samples[stage]],
            y=[stage for stage in stages for _ in run.samples[stage]],
            name=name,
            orientation="h",
            boxpoints="outliers",
            marker={"color": RUN_COLORS[number % len(RUN_COLORS)], "size": 3},
            line={"width": 1.5},
        )
    _layout(figure, 160 + 26 * len(runs) * 5, "ms")
    figure.update_layout(boxmode="group")
    figure.update_yaxes(autorange="reversed")
    return figure


def over_time(runs: Sequence[Run], names: Sequence[str]) -> go.Figure:
    """Total of every frame in the order of measurement: a slope is heat, a step another program."""
    figure = go.Figure()
    for number, (run, name) in enumerate(zip(runs, names, strict=True)):
        values = run.samples["total"]
        figure.add_scatter(
            x=list(range(1, len(values) + 1)),
            y=values,
            name=name,
            mode="lines",
            line={"width": 1.5, "color": RUN_COLORS[number % len(RUN_COLORS)]},
            hovertemplate="frame %{x}: %{y:.2f} ms<extra></extra>",
        )
    _layout(figure, 340, "frame")
    figure.update_yaxes(title="total, ms", rangemode="tozero")
    return figure


def live(runs: Sequence[Run], names: Sequence[str]) -> go.Figure:
    """Age of each result at the camera's speed; crosses are frames that were dropped."""
    figure = go.Figure()
    for number, (run, name) in enumerate(zip(runs, names, strict=True)):
        if run.live is None:
            continue
        color = RUN_COLORS[number % len(RUN_COLORS)]
        figure.add_scatter(
            x=run.live.frames,
            y=run.live.ages_ms,
            name=name,
            mode="lines+markers",
            marker={"size": 4, "color": color},
            line={"width": 1, "color": color},
            hovertemplate="frame %{x}: %{y:.1f} ms old<extra></extra>",
        )
        dropped = sorted(set(range(run.live.frames_in)) - set(run.live.frames))
        if dropped:
            figure.add_scatter(
                x=dropped,
                y=[0.0] * len(dropped),
                name=f"{name}: dropped",
                mode="markers",
                marker={"symbol": "x-thin", "size": 8, "line": {"width": 1.5, "color": color}},
                hovertemplate="frame %{x}: dropped<extra></extra>",
            )
    _layout(figure, 340, "frame of the camera")
    figure.update_yaxes(title="age of the result, ms", rangemode="tozero")
    return figure


def accuracy_scatter(runs: Sequence[Run], names: Sequence[str]) -> go.Figure:
    """Accuracy against median latency, the Pareto front of each technique as a line."""
    figure = go.Figure()
    front = pareto_front(runs)
    for number, technique in enumerate(_SYMBOLS):
        measured = [
            (run, name)
            for run, name in zip(runs, names, strict=True)
            if run.technique == technique and run.accuracy is not None
        ]
        if not measured:
            continue
        color = RUN_COLORS[number]
        metric = MAIN_METRIC[technique].title
        figure.add_scatter(
            x=[run.stages["total"].p50_ms for run, _ in measured],
            y=[run.accuracy.value for run, _ in measured if run.accuracy is not None],
            text=[name for _, name in measured],
            textposition="top center",
            mode="markers+text",
            name=f"{technique}: {metric}",
            marker={"size": 11, "symbol": _SYMBOLS[technique], "color": color},
            hovertemplate="%{text}<br>" + metric + " %{y:.3f}, %{x:.2f} ms<extra></extra>",
        )
        best = sorted((run.stages["total"].p50_ms, run.accuracy.value) for run, _ in measured if run in front)  # type: ignore[union-attr]
        if len(best) > 1:
            figure.add_scatter(
                x=[x for x, _ in best], y=[y for _, y in best], mode="lines", line={"color": color, "dash": "dot"},
                showlegend=False, hoverinfo="skip",
            )  # fmt: skip
    _layout(figure, 380, "total, median, ms")
    slowest = max((run.stages["total"].p50_ms for run in runs if run.accuracy), default=1.0)
    figure.update_xaxes(range=[0, slowest * _ROOM_FOR_NAME])
    figure.update_yaxes(title="accuracy, each technique's own metric")
    return figure


def layer_bars(run: Run) -> go.Figure:
    """The network's slowest modules."""
    top = sorted(run.layers, key=lambda layer: -layer.ms)[:_TOP_LAYERS]
    labels = [f"{layer.name or 'network'} · {layer.operator}" for layer in top]
    figure = go.Figure(
        go.Bar(
            y=labels,
            x=[layer.ms for layer in top],
            orientation="h",
            marker_color=STAGE_COLORS["inference"],
            hovertemplate="%{y}<br>%{x:.3f} ms<extra></extra>",
        )
    )
    _layout(figure, 90 + 24 * len(top), "ms for a frame")
    figure.update_yaxes(autorange="reversed")
    return figure


def _layout(figure: go.Figure, height: int, x_title: str) -> None:
    figure.update_layout(
        height=height,
        margin={"l": 10, "r": 14, "t": 34, "b": 40},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font={"family": "system-ui, sans-serif", "size": 13},
        legend={"orientation": "h", "y": 1.0, "yanchor": "bottom", "x": 0, "traceorder": "normal"},
        hovermode="closest",
        bargap=0.28,
    )
    figure.update_xaxes(title=x_title, automargin=True, zeroline=False)
    figure.update_yaxes(automargin=True, zeroline=False)
