"""`segrt eval`: accuracy on a labelled data set, in each technique's own metric."""

from typing import TYPE_CHECKING

import click

from segrt.runtime.cli.eval_options import (
    DataOptions,
    JudgingOptions,
    OutputOptions,
    PredictionOptions,
    data_options,
    execution_options,
    judging_options,
    output_options,
    prediction_options,
)
from segrt.runtime.cli.json_output import tables_beside
from segrt.runtime.cli.options import TILE, rule_options

if TYPE_CHECKING:
    from segrt.runtime.decode.rule_changes import RuleChanges
    from segrt.runtime.inference.execution import Execution
    from segrt.runtime.preprocess.tiling import Tiling


@click.command(name="eval")
@click.argument("bundles", nargs=-1, metavar="[BUNDLE]...")
@data_options
@prediction_options
@judging_options
@output_options
@TILE
@rule_options
@execution_options
def evaluate(
    bundles: tuple[str, ...],
    data: DataOptions,
    predicted: PredictionOptions,
    judging: JudgingOptions,
    outputs: OutputOptions,
    tile: "Tiling | None",
    changes: "RuleChanges",
    execution: "Execution",
) -> None:
    """Measure mIoU, mask AP or PQ, by technique, of each BUNDLE or of a file of predictions.

    Results of clips are tracked, and measured by VPQ, STQ, HOTA, IDF1 and MOTA instead.
    A panoptic data set serves all three techniques: its classes are the semantic truth, its things the instance truth.
    Average precision ranks all detections, so an instance bundle's own score threshold is set to 0 unless
    --score-threshold is given. Of several subjects of one technique, the first is what the others are compared with.
    """
    from segrt.runtime.cli.eval_measure import measure_all
    from segrt.runtime.cli.eval_plan import make_plan
    from segrt.runtime.cli.eval_report import report, with_drops, write_json

    plan = make_plan(bundles, data, predicted, judging, outputs, changes, execution, tile)
    with tables_beside(outputs.json_path):
        evaluations = with_drops(measure_all(plan))
        report(evaluations, plan.dataset, per_class=outputs.per_class, across=judging.judged == "all")
    if outputs.json_path is not None:
        write_json(outputs.json_path, evaluations)
