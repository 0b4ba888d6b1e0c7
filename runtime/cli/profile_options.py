"""The options of `segrt profile`, in groups, and how its lists and shares are read."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from segrt.runtime.cli.options import DECODE, BackendOption, grouped
from segrt.runtime.threads import MOST_THREADS

if TYPE_CHECKING:
    from segrt.runtime.inference.execution import WantedPlace

_PATH = click.Path(path_type=Path, dir_okay=False)


@dataclass(frozen=True)
class MeasuringOptions:
    """What is measured on, how long, and what besides."""

    source: str
    frames: int
    warmup: int | None
    draw: bool
    cold: bool
    layers: bool


@dataclass(frozen=True)
class CandidateOptions:
    """What is combined: variants, backends, thread counts, picture sizes (H, W); and what decodes heads in all."""

    precisions: tuple[str, ...]
    backends: tuple[str, ...]
    threads: tuple[int, ...]
    sizes: tuple[tuple[int, int], ...]
    decode_on: "WantedPlace"


@dataclass(frozen=True)
class ReportOptions:
    """What is written, and what the measurements are held against; a tolerance of 0.1 allows a tenth more."""

    budget: str | None
    json_path: Path | None
    html_path: Path | None
    baseline: Path | None
    tolerance: float


def _names(ctx: click.Context, param: click.Parameter, value: str | None) -> tuple[str, ...]:  # noqa: ARG001
    names = tuple(dict.fromkeys(part.strip() for part in (value or "").split(",") if part.strip()))
    if value is not None and not names:
        raise click.BadParameter("must be one or several, comma-separated, but is empty")
    return names


def _threads(ctx: click.Context, param: click.Parameter, value: str | None) -> tuple[int, ...]:
    names = _names(ctx, param, value)
    if any(not re.fullmatch("[0-9]{1,6}", name) or int(name) > MOST_THREADS for name in names):
        raise click.BadParameter(
            f"must be numbers from 0 (the default) to {MOST_THREADS}, 1,2 for instance, but got {value!r}"
        )
    return tuple(int(name) for name in names) or (0,)


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


measuring_options = grouped(
    "measuring",
    MeasuringOptions,
    click.option(
        "--source",
        default="street://?seed=1&fps=25&width=1280&height=720",
        show_default=True,
        metavar="S",
        help="What is segmented: a video, a picture, a folder of pictures, street://.",
    ),
    click.option("--frames", type=click.IntRange(10, 100_000), default=100, show_default=True, help="Measured frames."),
    click.option("--warmup", type=click.IntRange(0, 10_000), help="Frames before; by default until times are stable."),
    click.option("--draw", is_flag=True, help="Draw every result, too."),
    click.option(
        "--cold/--no-cold",
        default=True,
        show_default=True,
        help="Start processes of their own for cold start and memory.",
    ),
    click.option("--layers", is_flag=True, help="Times of the network's modules."),
)
candidate_options = grouped(
    "combined",
    CandidateOptions,
    click.option(
        "--precision", "precisions", metavar="NAME,…", callback=_names, help="Variants, fp32,int8 for instance."
    ),
    click.option(
        "--backend",
        "backends",
        cls=BackendOption,
        metavar="NAME,…",
        default="auto",
        callback=_names,
        show_default=True,
    ),
    click.option(
        "--threads", metavar="N,…", callback=_threads, help="CPU threads, 1,2 for instance; 0 is the default."
    ),
    click.option(
        "--size",
        "sizes",
        metavar="HxW,…",
        callback=_sizes,
        help="Sizes of the pictures, as cameras of these sizes would give them; a network's own size is the bundle's.",
    ),
    DECODE,
)
report_options = grouped(
    "reporting",
    ReportOptions,
    click.option("--budget", metavar="33ms@p99", help="Say which candidates stay below; exit 1 when none does."),
    click.option(
        "--json", "json_path", type=_PATH, metavar="FILE", help='Write everything as JSON; "-" is standard output.'
    ),
    click.option("--html", "html_path", type=_PATH, metavar="FILE", help="Write the report, one page without network."),
    click.option("--baseline", type=_PATH, metavar="FILE", help="The JSON of an earlier profile; exit 1 when slower."),
    click.option("--tolerance", default="10%", show_default=True, callback=_tolerance, help="What --baseline allows."),
)
