"""The options of `segrt eval`, in groups."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import click

from segrt.runtime.cli.options import (
    BACKEND,
    COMMON_CLASSES,
    IGNORE_LABEL,
    MAP_CLASSES,
    MAP_VALUES,
    execution_group,
    grouped,
)


@dataclass(frozen=True)
class DataOptions:
    """The data set's files, and the classes of a folder of label pictures."""

    annotations: str
    images: Path | None
    panoptic_dir: Path | None
    labels: str | None
    ignore_label: tuple[int, ...]
    map_values: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class PredictionOptions:
    """A file of predictions, and the folder of its PNG files."""

    predictions: Path | None
    predictions_dir: Path | None


@dataclass(frozen=True)
class JudgingOptions:
    """How results are judged, and by how many processes."""

    judged: Literal["own", "all", "semantic", "instance", "panoptic"]
    boundary: bool
    common_classes: bool
    renamed: tuple[tuple[str, str], ...]
    skip_bad: bool
    workers: int


@dataclass(frozen=True)
class OutputOptions:
    """What is written and printed."""

    save: Path | None
    pictures: Path | None
    worst: int
    json_path: Path | None
    per_class: bool


data_options = grouped(
    "data",
    DataOptions,
    click.option(
        "--annotations",
        required=True,
        metavar="JSON",
        help="COCO panoptic annotations (for all three techniques), COCO instances, a folder of label pictures "
        "(Cityscapes, VOC, ADE20K, or any), or street://?seed=…&frames=…&width=…&height=…; clips: COCO panoptic video, "
        "YouTube-VIS, KITTI-STEP's panoptic_maps, street://?clips=….",
    ),
    click.option(
        "--images",
        type=click.Path(path_type=Path),
        metavar="DIR",
        help="The pictures; by default `images` beside the JSON.",
    ),
    click.option(
        "--panoptic-dir",
        type=click.Path(path_type=Path),
        metavar="DIR",
        help="The panoptic PNG files; by default the JSON's path without its suffix.",
    ),
    click.option(
        "--labels",
        metavar="LIST",
        help="The classes of a folder of label pictures: voc, cityscapes, ade20k, coco-panoptic, or a file (JSON, CSV "
        "of name,r,g,b, text); by default the first bundle's.",
    ),
    IGNORE_LABEL,
    MAP_VALUES,
)
prediction_options = grouped(
    "predicted",
    PredictionOptions,
    click.option(
        "--predictions",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="Evaluate this file: a COCO panoptic JSON, or COCO results; of clips in the layouts of --annotations. "
        "Beside bundles it is what they are compared with. Or the folder of an archive, `segrt archive`.",
    ),
    click.option(
        "--predictions-dir",
        type=click.Path(path_type=Path),
        metavar="DIR",
        help="The PNG files of --predictions; by default its path without its suffix.",
    ),
)
judging_options = grouped(
    "judging",
    JudgingOptions,
    click.option(
        "--as",
        "judged",
        type=click.Choice(["own", "all", "semantic", "instance", "panoptic"]),
        default="own",
        show_default=True,
        help="Judge results in this technique: a panoptic result can be judged as any; `all` puts everything in one "
        "table.",
    ),
    click.option("--boundary", is_flag=True, help="Measure boundary IoU and boundary AP too."),
    COMMON_CLASSES,
    MAP_CLASSES,
    click.option("--skip-bad", is_flag=True, help="Count images whose files cannot be used, and go on."),
    click.option("--workers", type=click.IntRange(1, 256), default=1, show_default=True, help="Processes."),
)
output_options = grouped(
    "outputs",
    OutputOptions,
    click.option(
        "--save",
        type=click.Path(path_type=Path),
        metavar="DIR",
        help="Save the predictions as COCO files, which --predictions reads.",
    ),
    click.option(
        "--pictures",
        type=click.Path(path_type=Path),
        metavar="DIR",
        help="Draw the worst images, the confusion matrix and the classes' figures.",
    ),
    click.option(
        "--worst", type=click.IntRange(1, 100), default=8, show_default=True, help="How many images, or clips, to draw."
    ),
    click.option(
        "--json",
        "json_path",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help='Write all figures as JSON; "-" is standard output.',
    ),
    click.option("--per-class", is_flag=True, help="Print the figures of every class too."),
)
execution_options = execution_group(
    BACKEND,
    click.option(
        "--precision", metavar="NAME,…", help="Variants to use, fp32,fp16 for instance; the first by default."
    ),
)
