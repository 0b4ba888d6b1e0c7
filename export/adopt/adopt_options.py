"""What the user says of a network that is adopted, checked against what the network turns out to be."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from segrt.export.adopt.conventions.convention import Convention, Subject
from segrt.runtime.decode.merge_queries import MergeRule
from segrt.runtime.decode.rule import DecodeRule
from segrt.runtime.errors import SegrtError
from segrt.runtime.preprocess.input_spec import Channels, Resize
from segrt.runtime.results.technique import Technique

# option: the decode rules that have it
_RULES = {
    "score_threshold": (
        "query_instances",
        "paste_masks",
        "prototype_masks",
        "merge_queries",
        "group_centers",
        "binary",
    ),
    "overlap_threshold": ("merge_queries",),
    "merge_rule": ("merge_queries",),
    "iou_threshold": ("prototype_masks",),
    "rows": ("prototype_masks",),
    "activation": ("query_instances",),
    "void_value": ("class_map",),
    "scores": ("binary",),
    "first_class": ("paste_masks",),
    "masks": ("paste_masks",),
    "mask_threshold": ("paste_masks",),
}


@dataclass(frozen=True)
class AdoptOptions:
    """What the user knows about the network; None means: what the file says, else a guess."""

    technique: Technique | None = None
    labels: str | None = None
    name: str | None = None
    layout: str | None = None
    size: tuple[int, int] | None = None
    color: str | None = None
    values: str | None = None
    grey: str | None = None
    mean: Channels | None = None
    std: Channels | None = None
    scale: float | None = None
    resize: Resize | None = None
    heads: Mapping[str, str] = field(default_factory=dict)
    precision: str | None = None
    weights: str | None = None
    licence: str = "unknown"
    family: str = "adopted"
    merge_rule: MergeRule | None = None
    rules: Mapping[str, DecodeRule] = field(default_factory=dict)
    score_threshold: float | None = None
    overlap_threshold: float | None = None
    iou_threshold: float | None = None
    activation: str | None = None
    rows: str | None = None
    scores: str | None = None
    ids: str = "list"
    void_value: int | None = None
    first_class: int | None = None
    masks: str | None = None
    mask_threshold: float | None = None
    dequantize: bool = False
    golden: Sequence[Path] = ()
    overwrite: bool = False


def check_precision(options: AdoptOptions) -> None:
    """Raise SegrtError for a precision that there is not, or that a quantised network does not have."""
    from segrt.export.precision.converters import PRECISIONS

    known = ("fp32", *PRECISIONS)
    if options.precision is not None and options.precision not in known:
        raise SegrtError(f"--precision {options.precision}: there is none such; choose from {', '.join(known)}")
    if options.dequantize and options.precision in ("fp32", "fp16"):
        raise SegrtError(
            f"--precision {options.precision} contradicts --dequantize, which is for a quantised network and adds its "
            "fp32 variant; leave one of them out"
        )


def check_rule(options: AdoptOptions, rule: str) -> None:
    """Raise SegrtError for an option that the user gave and the decode rule does not have."""
    for name, rules in _RULES.items():
        value = getattr(options, name)
        if value is not None and rule not in rules:
            raise SegrtError(
                f"--{name.replace('_', '-')} {value}: is for {', '.join(rules)}, but the network's rule is {rule}; "
                "leave it out"
            )


def completed(options: AdoptOptions, convention: Convention) -> AdoptOptions:
    """Return `options` with what the file says where the user says nothing.

    Raises SegrtError for no technique, and for what the file says and cannot be honoured, unless the user says it.
    """
    technique = options.technique or convention.technique
    if technique is None:
        raise SegrtError(
            "the file does not say what it was trained for; add --technique semantic, instance or panoptic"
        )
    for problem in convention.problems:
        if not _overridden(options, problem.subject):
            raise SegrtError(str(problem))
    return replace(
        options,
        technique=technique,
        resize=options.resize or convention.resize,
        color=options.color or convention.color,
        rows=options.rows or convention.rows,
        merge_rule=options.merge_rule or convention.merge_rule,
        rules=options.rules or convention.rules,
    )


def _overridden(options: AdoptOptions, subject: Subject) -> bool:
    """Whether the user says what a file should: classes, resizing, what is fed and in which order of colours."""
    resize = options.resize is not None
    values = any(value is not None for value in (options.scale, options.mean, options.std))
    labels = options.labels is not None
    color = options.color is not None
    said = {"labels": labels, "resize": resize, "values": values, "color": color, "everything": resize and values}
    return said[subject]
