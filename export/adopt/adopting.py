"""Turns an ONNX file of any origin into a bundle: reads what it says, guesses the rest, reports every guess."""

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

from segrt.export.adopt.class_names import class_count, first_labels, fitting_labels
from segrt.export.adopt.conventions import LETTERBOX, YOLACT, Convention, Normalisation, read_convention
from segrt.export.adopt.dequantize import dequantize, is_asymmetric
from segrt.export.adopt.float_twin import compare_with_original
from segrt.export.adopt.guessing import Output, guess_heads, rows_of
from segrt.export.adopt.heads import found_outputs, in_place, rewrite, run_once
from segrt.export.adopt.inputs import normalised, picture_input
from segrt.export.bundling import GoldenPicture, Network, VariantFile, write_bundle
from segrt.export.golden_pictures import golden_pictures, prove_little
from segrt.export.graph.checks import refused_nodes
from segrt.export.graph.editing import Graph, read_graph, require_onnx
from segrt.runtime.bundle.locating import read_bundle
from segrt.runtime.bundle.manifest import Source
from segrt.runtime.bundle.names import new_name
from segrt.runtime.decode.argmax import Argmax
from segrt.runtime.decode.class_map import ClassMap
from segrt.runtime.decode.group_centers import GroupCenters
from segrt.runtime.decode.head_spec import HeadSpec
from segrt.runtime.decode.merge_queries import MergeQueries, MergeRule
from segrt.runtime.decode.paste_masks import PasteMasks
from segrt.runtime.decode.prototype_masks import PrototypeMasks
from segrt.runtime.decode.query_instances import QueryInstances
from segrt.runtime.decode.query_semantic import QuerySemantic
from segrt.runtime.decode.rule import DecodeRule
from segrt.runtime.errors import BackendError, BundleError, SegrtError
from segrt.runtime.preprocess.input_spec import Channels, Resize
from segrt.runtime.results.technique import Technique

# option: the decode rules that have it
_RULES = {
    "score_threshold": ("query_instances", "paste_masks", "prototype_masks", "merge_queries", "group_centers"),
    "overlap_threshold": ("merge_queries",),
    "merge_rule": ("merge_queries",),
    "iou_threshold": ("prototype_masks",),
    "rows": ("prototype_masks",),
    "activation": ("query_instances",),
    "void_value": ("class_map",),
    "first_class": ("paste_masks",),
}
_IOU_THRESHOLDS = {"yolo": 0.7, "yolov5": 0.45, "detections": 0.7}  # the defaults of their own prediction commands


@dataclass(frozen=True)
class AdoptOptions:
    """What the user knows about the network; None means: what the file says, else a guess."""

    technique: Technique | None = None
    labels: str | None = None
    name: str | None = None
    layout: str | None = None
    size: tuple[int, int] | None = None
    color: str | None = None
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
    score_threshold: float | None = None
    overlap_threshold: float | None = None
    iou_threshold: float | None = None
    activation: str | None = None
    rows: str | None = None
    ids: str = "list"
    void_value: int | None = None
    first_class: int | None = None
    dequantize: bool = False
    golden: Sequence[Path] = ()
    overwrite: bool = False


def adopt_network(path: Path, out: Path, options: AdoptOptions) -> list[str]:
    """Write the bundle `out` of the ONNX file at `path`; return a line for everything that was guessed.

    Raises SegrtError (of the fitting kind) when something is wrong or not to be guessed.
    """
    require_onnx()
    name = new_name(options.name, out)
    _check_precision(options)
    given = options
    graph = read_graph(path)
    convention = read_convention(graph)
    said: list[str] = []
    options = _completed(options, convention)
    technique = cast("Technique", options.technique)
    labels = first_labels(options.labels, convention.names, technique, said)
    declared = graph.outputs
    inputs = picture_input(graph, options, said, convention.size)
    trial = normalised(inputs, options, convention, [])
    said += convention.said
    pictures = golden_pictures(options.golden)
    with tempfile.TemporaryDirectory(prefix="segrt-adopt-") as folder:
        file = Path(folder) / "network.onnx"
        arrays = run_once(file, graph, trial, pictures[0][1])
        rewritten = rewrite(graph, inputs, arrays)
        if rewritten is not None:
            said.append(rewritten)
            options = replace(options, rows=options.rows or "yolo")
            known = {spec.name: spec for spec in declared}
            declared = tuple(known.get(spec.name, spec) for spec in graph.outputs)
            arrays = run_once(file, graph, trial, pictures[0][1])
        rule, found = guess_heads(found_outputs(declared, arrays), technique, len(labels), options.heads)
        _check_rule(given, rule)
        found = {role: in_place(graph, role, output, len(labels), said) for role, output in found.items()}
        heads = tuple(_head(role, output) for role, output in found.items())
        said += [f"head {head.name!r} {head.dtype} {list(head.shape)} is {head.role}" for head in heads]
        sigmoid = _activation(rule, heads, len(labels), options) == "sigmoid"
        classes = class_count(graph, rule, heads, sigmoid)
        labels = fitting_labels(labels, classes, options.labels, options.ids, said)
        decode = _decode(rule, found, heads, len(labels), options, said)
        inputs = normalised(inputs, options, _convention_of(rule, rewritten, convention), said)
        precision = options.precision or graph.precision
        network = Network(
            name=name,
            technique=technique,
            family=options.family,
            source=Source(options.weights or path.name, options.licence, _versions(graph)),
            inputs=inputs,
            heads=heads,
            labels=labels,
            decode=decode,
        )
        said.append(f"precision {precision}, decode rule {rule}")
        said += _doubts(graph, options)
        file.write_bytes(graph.bytes())
        golden = [GoldenPicture(name, picture) for name, picture in pictures]
        variants = [VariantFile(precision, file)]
        if options.dequantize:
            plain = Path(folder) / "float.onnx"
            plain.write_bytes(dequantize(graph).bytes())
            variant, golden = compare_with_original(network, file, plain, golden, said)
            variants = [variant, *variants]
            if not options.golden:
                said.append(
                    "  these pictures are synthetic; --golden PICTURE, with typical ones, gives a telling figure"
                )
        try:
            write_bundle(out, network, variants, golden, overwrite=options.overwrite)
        except (BundleError, BackendError) as error:
            raise type(error)(str(error).replace(str(file), str(path))) from None
    if len(labels) > 1 and prove_little(read_bundle(out)):
        said.append(
            "warning: every golden result is empty or of one class, which proves little; add --golden PICTURE, with "
            "typical ones"
        )
    return said


def _check_precision(options: AdoptOptions) -> None:
    """Raise SegrtError for a precision that there is not, or that a quantised network does not have."""
    from segrt.export.precision.recipes import PRECISIONS

    known = ("fp32", *PRECISIONS)
    if options.precision is not None and options.precision not in known:
        raise SegrtError(f"--precision {options.precision}: there is none such; choose from {', '.join(known)}")
    if options.dequantize and options.precision in ("fp32", "fp16"):
        raise SegrtError(
            f"--precision {options.precision} contradicts --dequantize, which is for a quantised network and adds its "
            "fp32 variant; leave one of them out"
        )


def _check_rule(options: AdoptOptions, rule: str) -> None:
    """Raise SegrtError for an option that the user gave and the decode rule does not have."""
    for name, rules in _RULES.items():
        value = getattr(options, name)
        if value is not None and rule not in rules:
            raise SegrtError(
                f"--{name.replace('_', '-')} {value}: is for {', '.join(rules)}, but the network's rule is {rule}; "
                "leave it out"
            )


def _completed(options: AdoptOptions, convention: Convention) -> AdoptOptions:
    """Return `options` with what the file says where the user says nothing; raise SegrtError for no technique."""
    technique = options.technique or convention.technique
    if technique is None:
        raise SegrtError(
            "the file does not say what it was trained for; add --technique semantic, instance or panoptic"
        )
    return replace(
        options,
        technique=technique,
        resize=options.resize or convention.resize,
        merge_rule=options.merge_rule or convention.merge_rule,
    )


def _convention_of(rule: str, rewritten: str | None, convention: Convention) -> Convention:
    """Return the convention with the preprocessing of the family that the heads show, where the file says none."""
    if convention.normalisation is not None or rule != "prototype_masks":
        return convention
    if rewritten is not None:
        return replace(convention, exporter="YOLACT", normalisation=YOLACT)
    return replace(convention, exporter="YOLO", normalisation=Normalisation(), resize=LETTERBOX)


def _head(role: str, output: Output) -> HeadSpec:
    return HeadSpec(output.spec.name, role, cast("Any", output.spec.dtype), output.spec.shape)


def _activation(rule: str, heads: Sequence[HeadSpec], labels: int, options: AdoptOptions) -> str:
    if options.activation is not None:
        return options.activation
    rows = next((head.shape[2] for head in heads if head.role == "class_logits"), None)
    return "sigmoid" if rule == "query_instances" and rows == labels else "softmax"


def _decode(
    rule: str,
    found: Mapping[str, Output],
    heads: Sequence[HeadSpec],
    labels: int,
    options: AdoptOptions,
    said: list[str],
) -> DecodeRule:
    names = ("score_threshold", "overlap_threshold", "first_class")  # the rule has those that are given
    given: dict[str, Any] = {name: getattr(options, name) for name in names if getattr(options, name) is not None}
    if rule == "argmax":
        return Argmax()
    if rule == "query_semantic":
        return QuerySemantic()
    if rule == "class_map":
        return ClassMap(options.void_value)
    if rule == "paste_masks":
        return PasteMasks(**given)
    if rule == "prototype_masks":
        return _prototype_rule(found, labels, options, given, said)
    if rule == "group_centers":
        said.append("offsets guessed: y then x, in cells of the head's grid")
        return GroupCenters(**given)
    if rule == "merge_queries":
        return MergeQueries(merge_rule=options.merge_rule or "maskformer", **given)
    activation = _activation(rule, heads, labels, options)
    said.append(f"class scores by {activation}")
    return QueryInstances(activation=cast("Any", activation), **given)


def _prototype_rule(
    found: Mapping[str, Output], labels: int, options: AdoptOptions, given: Mapping[str, Any], said: list[str]
) -> PrototypeMasks:
    rows = options.rows or rows_of(found["predictions"], found["prototypes"], labels)
    if rows is None:
        raise SegrtError(
            f"output {found['predictions'].spec} has no row for each of {labels} classes; give its own --labels"
        )
    threshold = _IOU_THRESHOLDS[rows] if options.iou_threshold is None else options.iou_threshold
    said.append(f"a row of predictions is that of {rows}; duplicates go at an IoU of {threshold:g}")
    return PrototypeMasks(rows=cast("Any", rows), iou_threshold=threshold, **given)


def _doubts(graph: Graph, options: AdoptOptions) -> list[str]:
    """Return what TensorRT would refuse of the network, which then runs in ONNX Runtime alone."""
    kinds = sorted({node.op_type for node, _ in refused_nodes(graph.model)})
    said = [f"TensorRT has no kernel for {', '.join(kinds)}: the network runs in ONNX Runtime alone"] if kinds else []
    if is_asymmetric(graph) and not options.dequantize:
        said.append("TensorRT takes symmetric int8 alone, and this is not; --dequantize adds a float variant for it")
    return said


def _versions(graph: Graph) -> dict[str, str]:
    producer = graph.model.producer_name
    return {"opset": str(graph.opset)} | ({producer: graph.model.producer_version} if producer else {})
