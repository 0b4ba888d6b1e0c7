"""The measured figures as a table and as a plot."""

import importlib.metadata
import os
import platform
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from postproc_case import FULL_HD, Case, Times
from postproc_peers import left_out

from segrt.runtime import _postproc

HEADER = (
    "| function | size | peer | peer ms | ours ms | ratio | goal | AVX2 ms | AVX2 share | two threads | bound ms |"
    " ours / bound |\n|---|---|---|---|---|---|---|---|---|---|---|---|"
)
PACKAGES = (
    "numpy", "torch", "torchvision", "transformers", "opencv-python-headless", "pillow", "pycocotools", "ultralytics",
    "supervision", "rfdetr",
)  # fmt: skip


@dataclass(frozen=True)
class Row:
    """What was measured for one case; `bound` is the milliseconds that memcpy takes for the same bytes."""

    case: Case
    times: dict[str, Times]
    bound: float

    @property
    def ours(self) -> float:
        """Milliseconds of CPU on one thread."""
        return self.times["one"].cpu

    def ratio(self, peer: str) -> float:
        """How many times as long the peer takes."""
        return self.times[peer].cpu / self.ours

    def lines(self) -> Iterator[str]:
        """Lines of the table: one per peer, one when there is none."""
        case, times = self.case, self.times
        scaling = f"{times['one'].wall / times['two'].wall:.2f}x"
        avx2, share = ("-", "-")
        if "avx2" in times:
            avx2, share = f"{times['avx2'].cpu:.2f}", f"{self.ours / times['avx2'].cpu:.2f}"
        ours = f"{avx2} | {share} | {scaling} | {self.bound:.2f} | {self.ours / self.bound:.1f} |"
        name = f"| {case.function}, {case.detail} | {case.size[0]}x{case.size[1]}"
        for peer in case.peers:
            goal = f"{peer.goal:g}x" if peer.goal and is_main(case) else "-"
            ratio = self.ratio(peer.name)
            theirs = times[peer.name].cpu
            yield f"{name} | {peer.name} | {theirs:.1f} | {self.ours:.2f} | {ratio:.1f}x | {goal} | {ours}"
        if not case.peers:
            yield f"{name} | - | - | {self.ours:.2f} | - | - | {ours}"


def is_main(case: Case) -> bool:
    """Whether the goals are meant for this size."""
    return case.size in (FULL_HD, (1025, 2049))


def processor_name() -> str:
    """The processor's name as Linux knows it."""
    path = Path("/proc/cpuinfo")
    if path.exists():
        for line in path.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.machine()


def versions() -> str:
    """Names and versions of the peers that are installed."""
    installed = {found.metadata["Name"]: found.version for found in importlib.metadata.distributions()}
    return ", ".join(f"{package} {installed[package]}" for package in PACKAGES if package in installed)


def results(rows: list[Row], bandwidth: float, torch: Any) -> str:
    """Write the page of results."""
    missing = "" if torch is not None else " torch is not installed: its peers are left out."
    missing += "".join(f"\n{name} is left out ({reason})." for name, reason in sorted(left_out.items()))
    table = "\n".join([HEADER, *(line for row in rows for line in row.lines())])
    return f"""# Post-processing against its peers

{datetime.now(timezone.utc):%Y-%m-%d}, {processor_name()}, {os.cpu_count()} processors, Linux,
Python {platform.python_version()}, kernels {_postproc.kernels_name()}; {versions()}.
memcpy moves {bandwidth:.1f} GB/s on one thread (read and written bytes counted), measured in this run.{missing}

Milliseconds are medians of process CPU time; ours and the peers run in turn in one process, on one thread each. The
machine was shared while this was measured (load average {os.getloadavg()[0]:.1f} at the end), so single figures may be
off by some tenths; ratios suffer less. The goals are meant for 1080x1920.

- **AVX2 share**: our time with the best kernels over our time with the AVX2 kernels (goal: at least 0.55).
- **two threads**: wall time of one thread over that of two, the least of each (goal: 1.75x for functions above 2 ms);
  whatever else runs on the second processor lowers it.
- **bound**: what memcpy would take for the bytes that must be read and written at least: inputs once, result once.
  Stores that bypass the caches are faster than memcpy, for they do not read what they overwrite.

![ratios and times](postproc.png)

{table}
"""


def plot(rows: list[Row], path: Path) -> None:
    """Draw the ratios at 1080x1920 with their goals, and our times over the picture's size."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    bars = [(row, peer) for row in rows if is_main(row.case) for peer in row.case.peers]
    figure, (left, right) = plt.subplots(1, 2, figsize=(18, 10), width_ratios=(5, 4), layout="constrained")
    for at, (row, peer) in enumerate(bars):
        ratio = row.ratio(peer.name)
        reached = peer.goal is None or ratio >= peer.goal
        left.barh(at, ratio, color="#2a78b8" if reached else "#d97925")
        beside = max(ratio, peer.goal or 0, 1) * 1.08
        left.text(beside, at, f"{ratio:.0f}x" if ratio >= 10 else f"{ratio:.1f}x", va="center", fontsize=9)
        if peer.goal:
            left.plot([peer.goal] * 2, [at - 0.4, at + 0.4], color="black", linewidth=2)
    left.set_yticks(
        range(len(bars)),
        [f"{r.case.function}, {r.case.detail.split(' (')[0]}\nagainst {p.name}" for r, p in bars],
        fontsize=8,
    )
    left.invert_yaxis()
    left.set_xscale("log")
    left.set_xlim(0.5, 1000)
    left.axvline(1, color="grey", linewidth=1)
    left.set_xlabel("times as fast as the peer, one thread, 1080x1920 (log scale)")
    left.set_title("Speed against the peers; black marks are the goals")
    left.grid(axis="x", alpha=0.3)
    _plot_over_size(rows, right)
    figure.savefig(path, dpi=90)
    plt.close(figure)


def _plot_over_size(rows: list[Row], axes: Any) -> None:
    """Draw our times over the picture's size, each line with its name at its right end."""
    lines: dict[str, list[Row]] = {}
    for row in rows:
        if row.case.function not in ("resize_normalize", "resize_antialias", "decode_yolo"):
            lines.setdefault(f"{row.case.function}, {row.case.detail}", []).append(row)
    ends = []
    for number, (name, own) in enumerate((name, own) for name, own in lines.items() if len(own) > 1):
        pixels = [row.case.size[0] * row.case.size[1] / 1e6 for row in own]
        style = {"marker": "os^Dv"[number // 10], "color": f"C{number % 10}"}
        axes.plot(pixels, [row.ours for row in own], **style)
        ends.append((own[-1].ours, name, style["color"]))
    height = 0.0
    for value, name, color in sorted(ends):  # names keep their distance
        height = max(value, height * 1.17)
        axes.annotate(
            name, (8.29, value), (9.4, height), fontsize=8, color=color, va="center",
            arrowprops={"arrowstyle": "-", "color": color, "linewidth": 0.6},
        )  # fmt: skip
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlim(0.27, 300)
    axes.set_xticks([0.307, 0.87, 2.07, 8.29], ["480x640", "800x1088", "1080x1920", "2160x3840"], fontsize=8)
    axes.minorticks_off()
    axes.set_ylabel("ms of CPU, one thread")
    axes.set_title("Our time over the size of the result")
    axes.grid(alpha=0.3)
