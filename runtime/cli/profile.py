"""`segrt profile`: latency per stage, per technique, with honest intervals."""

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from segrt.runtime.cli.json_output import check_json, tables_beside, write_json_text
from segrt.runtime.cli.options import engine_options
from segrt.runtime.cli.profile_options import (
    CandidateOptions,
    MeasuringOptions,
    ReportOptions,
    candidate_options,
    measuring_options,
    report_options,
)
from segrt.runtime.cli.validation_set import ValidationSet, validation_options
from segrt.runtime.console.printable import say
from segrt.runtime.console.progress import Bars
from segrt.runtime.files.uri import redact

if TYPE_CHECKING:
    from segrt.runtime.evaluate.datasets.dataset import Address
    from segrt.runtime.inference.engine_policy import EnginePolicy


@click.command()
@click.argument("bundles", nargs=-1, required=True, metavar="BUNDLE...")
@measuring_options
@candidate_options
@validation_options(required=False)
@report_options
@engine_options
def profile(
    bundles: tuple[str, ...],
    measuring: MeasuringOptions,
    combined: CandidateOptions,
    data: ValidationSet,
    reporting: ReportOptions,
    engines: "EnginePolicy",
) -> None:
    """Measure the latency of each BUNDLE, stage by stage, on the same pictures in turn.

    Every combination of precisions, backends, thread counts and picture sizes is a candidate. They are warmed up until
    stable, then each picture goes through all of them, so that what slows one slows all. Every median comes with its
    95 % interval.
    """
    from segrt.runtime.cli.profile_report import show, show_comparison
    from segrt.runtime.errors import CheckFailed
    from segrt.runtime.profiling.accuracy import measure_accuracy
    from segrt.runtime.profiling.budget import parse_budget
    from segrt.runtime.profiling.candidate import matrix
    from segrt.runtime.profiling.records import read_profile
    from segrt.runtime.profiling.running import Options as Measuring
    from segrt.runtime.profiling.running import profile as measure

    # What can be wrong is found before anything is measured.
    limit = parse_budget(reporting.budget) if reporting.budget else None
    old = read_profile(reporting.baseline) if reporting.baseline else None
    _check_outputs(measuring, data, reporting)
    candidates = matrix(
        bundles,
        combined.precisions,
        combined.backends,
        combined.threads,
        combined.sizes,
        engines=engines,
        decode_on=combined.decode_on,
    )
    accuracies = measure_accuracy(candidates, _address(data), data.judging, _say_note) if data.annotations else {}
    options = Measuring(
        measuring.source,
        measuring.frames,
        measuring.warmup,
        measuring.draw,
        measuring.cold,
        measuring.layers,
        command=shlex.join(["segrt", *map(redact, sys.argv[1:])]),
    )
    with Bars("name", "bar", "count", "left") as bars:
        measured = measure(candidates, options, accuracies, bars.show)
    if reporting.json_path is not None:
        write_json_text(reporting.json_path, measured.text())
    if reporting.html_path is not None:
        from segrt.runtime.profiling.report.report_page import write_report

        write_report(measured, reporting.html_path, limit)
    with tables_beside(reporting.json_path):
        show(measured, limit)
        became_slower = old is not None and show_comparison(old, measured, reporting.tolerance)
    if limit is not None and not any(limit.is_met(run) for run in measured.runs):
        raise CheckFailed(f"no candidate meets {limit}")
    sys.exit(1 if became_slower else 0)


def _say_note(line: str) -> None:
    say(line, err=True)


def _address(data: ValidationSet) -> "Address":
    from segrt.runtime.evaluate.datasets.dataset import Address

    return Address(
        data.annotations or "",
        data.images,
        data.panoptic_dir,
        ignored=data.ignore_label,
        mapped=data.map_values,
    )


def _check_outputs(measuring: MeasuringOptions, data: ValidationSet, reporting: ReportOptions) -> None:
    """Raise SegrtError for outputs that cannot be written or would replace what is read, and for a data set in part."""
    from importlib.util import find_spec

    from segrt.runtime.errors import SegrtError
    from segrt.runtime.files.atomic import prepare_file
    from segrt.runtime.files.collisions import refuse_same

    read: dict[str, Path | str | None] = {
        "the source": measuring.source,
        "the annotations file": data.annotations,
        "the baseline": reporting.baseline,
    }
    refuse_same("--json", reporting.json_path, {**read, "the --html file": reporting.html_path})
    refuse_same("--html", reporting.html_path, read)
    check_json(reporting.json_path)
    if reporting.html_path is not None:
        prepare_file(reporting.html_path, "--html")
    if reporting.html_path is not None and find_spec("plotly") is None:
        raise SegrtError("--html needs plotly; `pip install 'segrt[report]'`")
    data.refuse_parts()
