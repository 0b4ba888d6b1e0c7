"""Turns an ONNX file of any origin into a bundle: reads what it says, guesses the rest, reports every guess."""

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from segrt.export.bundling import GoldenPicture, Network, VariantFile, write_bundle
from segrt.export.golden_pictures import golden_pictures
from segrt.export.graph import Graph, read_graph, require_onnx
from segrt.export.guess import BOX_ROLES, Output, guess_heads, guess_layout
from segrt.export.labels.table import read_labels, spread
from segrt.runtime.backends.base import TensorSpec
from segrt.runtime.backends.onnxruntime import run_file
from segrt.runtime.bundle.manifest import Channels, HeadSpec, InputSpec, Resize, Source, Technique
from segrt.runtime.bundle.rules import (
    Argmax,
    ClassMap,
    Decode,
    MergeQueries,
    MergeRule,
    PasteMasks,
    QueryInstances,
    QuerySemantic,
)
from segrt.runtime.errors import BackendError, BundleError, SegrtError
from segrt.runtime.preprocess import network_inputs
from segrt.runtime.results import Label

Picture = npt.NDArray[np.uint8]
_IMAGENET_MEAN, _IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_INPUT_DTYPES = ("uint8", "float16", "float32")


@dataclass(frozen=True)
class AdoptOptions:
    """What the user knows about the network; None means: guess."""

    technique: Technique
    labels: str
    name: str | None = None
    layout: str | None = None
    size: tuple[int, int] | None = None
    color: str | None = None
    mean: Channels | None = None
    std: Channels | None = None
    scale: float | None = None
    resize: Resize = field(default_factory=Resize)
    heads: Mapping[str, str] = field(default_factory=dict)
    precision: str | None = None
    weights: str | None = None
    licence: str = "unknown"
    family: str = "adopted"
    merge_rule: MergeRule = "maskformer"
    score_threshold: float | None = None
    overlap_threshold: float = 0.8
    activation: str | None = None
    ids: str = "list"
    void_value: int | None = None
    first_class: int = 0
    golden: Sequence[Path] = ()
    overwrite: bool = False


def adopt_network(path: Path, out: Path, options: AdoptOptions) -> list[str]:
    """Write the bundle `out` of the ONNX file at `path`; return a line for everything that was guessed.

    Raises SegrtError (of the fitting kind) when something is wrong or not to be guessed.
    """
    require_onnx()
    labels = read_labels(options.labels, things=options.technique == "instance")
    graph = read_graph(path)
    said: list[str] = []
    declared = graph.outputs
    inputs = _inputs(graph, options, said)
    pictures = golden_pictures(options.golden)
    with tempfile.TemporaryDirectory(prefix="segrt-adopt-") as folder:
        file = Path(folder) / "network.onnx"
        file.write_bytes(graph.bytes())
        outputs = _outputs(file, graph, declared, inputs, pictures[0][1])
        rule, found = guess_heads(outputs, options.technique, len(labels), options.heads)
        found = {role: _in_place(graph, role, output, len(labels), said) for role, output in found.items()}
        heads = tuple(
            HeadSpec(output.spec.name, role, cast("Any", output.spec.dtype), output.spec.shape)
            for role, output in found.items()
        )
        said += [f"head {head.name!r} {head.dtype} {list(head.shape)} is {head.role}" for head in heads]
        labels = _fitting_labels(graph, labels, rule, heads, options, said)
        decode = _decode(rule, heads, len(labels), options, said)
        file.write_bytes(graph.bytes())
        precision = options.precision or graph.precision
        said.append(f"precision {precision}, decode rule {rule}")
        network = Network(
            name=options.name or out.absolute().name or "adopted",
            technique=options.technique,
            family=options.family,
            source=Source(options.weights or path.name, options.licence, _versions(graph)),
            inputs=inputs,
            heads=heads,
            labels=labels,
            decode=decode,
        )
        golden = [GoldenPicture(name, picture) for name, picture in pictures]
        try:
            write_bundle(out, network, [VariantFile(precision, file)], golden, overwrite=options.overwrite)
        except (BundleError, BackendError) as error:
            raise type(error)(str(error).replace(str(file), str(path))) from None
    return said


def _inputs(graph: Graph, options: AdoptOptions, said: list[str]) -> tuple[InputSpec, ...]:
    specs = graph.inputs
    images = [spec for spec in specs if len(spec.shape) == 4]
    masks = [spec for spec in specs if len(spec.shape) == 3]
    if len(images) != 1 or len(masks) > 1 or len(images) + len(masks) != len(specs):
        listed = ", ".join(str(spec) for spec in specs) or "none"
        raise SegrtError(
            f"{graph.path}: must have one input that is a picture, and a valid mask at most, but has {listed}"
        )
    image = images[0]
    if image.dtype not in _INPUT_DTYPES:
        raise SegrtError(f"{graph.path}: input {image} must be {', '.join(_INPUT_DTYPES)}")
    layout = guess_layout(image, options.layout)
    rows, columns = (1, 2) if layout == "NHWC" else (2, 3)
    sides = [image.shape[rows], image.shape[columns]]
    if options.size is not None:
        if any(isinstance(side, int) and side != want for side, want in zip(sides, options.size, strict=True)):
            raise SegrtError(
                f"--size {options.size[0]}x{options.size[1]}: input {image} has a fixed size; leave --size out"
            )
        sides = list(options.size)
    if any(isinstance(side, str) for side in sides):
        raise SegrtError(f"{graph.path}: input {image} has no fixed size; add --size HEIGHTxWIDTH")
    size = (int(sides[0]), int(sides[1]))
    if isinstance(image.shape[0], int) and image.shape[0] != 1:
        raise SegrtError(f"{graph.path}: input {image} has a batch of {image.shape[0]}; export it with a batch of 1")
    shape = (1, *size, 3) if layout == "NHWC" else (1, 3, *size)
    graph.fix_input(image.name, shape)
    color = options.color or "rgb"
    scale, mean, std = _normalisation(image, options, said)
    said.insert(0, f"input {image.name!r}: {image.dtype} {layout} {size[0]}×{size[1]}, {color}")
    for mask in masks:
        graph.fix_input(mask.name, (1, *size))
        said.append(f"input {mask.name!r} is the valid mask")
    picture = InputSpec(
        name=image.name,
        dtype=cast("Any", image.dtype),
        shape=shape,
        layout=cast("Any", layout),
        color=cast("Any", color),
        scale=scale,
        mean=mean,
        std=std,
        resize=options.resize,
    )
    return (picture, *(InputSpec(mask.name, cast("Any", mask.dtype), (1, *size), role="valid_mask") for mask in masks))


def _normalisation(image: TensorSpec, options: AdoptOptions, said: list[str]) -> tuple[float, Channels, Channels]:
    given = [name for name in ("scale", "mean", "std") if getattr(options, name) is not None]
    if image.dtype == "uint8":
        if given:
            raise SegrtError(f"--{given[0]}: input {image} takes bytes, so it is not normalised outside; leave it out")
        return 1.0, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)
    if not given:
        said.append("normalisation guessed: ImageNet's, (x/255 - mean) / std; change it with --scale, --mean, --std")
        return 1 / 255, _IMAGENET_MEAN, _IMAGENET_STD
    return (
        1.0 if options.scale is None else options.scale,
        options.mean or (0.0, 0.0, 0.0),
        options.std or (1.0, 1.0, 1.0),
    )


def _outputs(
    file: Path, graph: Graph, declared: Sequence[TensorSpec], inputs: Sequence[InputSpec], picture: Picture
) -> list[Output]:
    """Run the network once and return its outputs with the lengths that they really have.

    `declared` is what the file said of them. A network without a batch axis (torchvision's detectors) gives itself
    away by an output of one dimension, or by one whose first length is not 1.
    """
    arrays, _ = network_inputs(inputs, picture)
    try:
        heads = run_file(file, arrays)
    except BackendError as error:
        raise BackendError(str(error).replace(str(file), str(graph.path))) from None
    has_batch = all(array.ndim > 1 and array.shape[0] == 1 and array.shape != (1, 4) for array in heads.values())
    return [
        Output(TensorSpec(spec.name, str(heads[spec.name].dtype), heads[spec.name].shape), has_batch, spec.shape)
        for spec in declared
    ]


def _in_place(graph: Graph, role: str, output: Output, labels: int, said: list[str]) -> Output:
    """Return `output` with a batch axis, channels first and free lengths marked, by nodes appended to the graph."""
    name, shape = output.spec.name, tuple(output.spec.shape)
    if role in BOX_ROLES:
        axis = 1 if output.has_batch else 0
        fixed = len(output.declared) > axis and isinstance(output.declared[axis], int)
        shape = shape if fixed else (*shape[:axis], "detections", *shape[axis + 1 :])
    if not output.has_batch:
        name, shape = graph.add_batch_axis(name), (1, *shape)
        said.append(f"head {output.spec.name!r} has no batch axis: one was added")
    last = shape[-1]
    if len(shape) == 4 and (
        (role == "semantic_logits" and last == labels != shape[1]) or (role == "class_map" and last == 1 != shape[1])
    ):
        name, shape = graph.transpose_output(name, (0, 3, 1, 2)), (shape[0], shape[3], shape[1], shape[2])
        said.append(f"head {output.spec.name!r} has its channels last: a Transpose was added")
    return Output(TensorSpec(name, output.spec.dtype, shape), has_batch=True, declared=shape)


def _fitting_labels(
    graph: Graph,
    labels: tuple[Label, ...],
    rule: str,
    heads: Sequence[HeadSpec],
    options: AdoptOptions,
    said: list[str],
) -> tuple[Label, ...]:
    """Return the labels in the order of the network's class ids."""
    highest = max(label.dataset_id for label in labels)
    if options.ids == "dataset":
        labels = spread(labels, highest + 1)
    classes = _class_count(graph, rule, heads, len(labels), options)
    if classes is None or classes == len(labels):
        return labels
    if classes > highest and classes > len(labels):
        said.append(
            f"the network counts {classes} classes by the data set's own ids, up to {highest}: labels spread out"
        )
        return spread(labels, classes)
    raise SegrtError(
        f"--labels {options.labels}: has {len(labels)} classes, but the network has {classes}; give its own"
    )


def _class_count(graph: Graph, rule: str, heads: Sequence[HeadSpec], labels: int, options: AdoptOptions) -> int | None:
    roles = {head.role: head for head in heads}
    if rule == "argmax":
        return int(roles["semantic_logits"].shape[1])
    if rule == "class_map":
        return graph.argmax_classes(roles["class_map"].name)
    if rule == "paste_masks":
        return None
    rows = int(roles["class_logits"].shape[2])
    return rows if _activation(rule, rows, labels, options) == "sigmoid" else rows - 1


def _activation(rule: str, rows: int, labels: int, options: AdoptOptions) -> str:
    if options.activation is not None:
        return options.activation
    return "sigmoid" if rule == "query_instances" and rows == labels else "softmax"


def _decode(rule: str, heads: Sequence[HeadSpec], labels: int, options: AdoptOptions, said: list[str]) -> Decode:
    threshold = 0.5 if options.score_threshold is None else options.score_threshold
    if rule == "argmax":
        return Argmax()
    if rule == "query_semantic":
        return QuerySemantic()
    if rule == "class_map":
        return ClassMap(options.void_value)
    if rule == "paste_masks":
        return PasteMasks(score_threshold=threshold, first_class=options.first_class)
    if rule == "merge_queries":
        return MergeQueries(options.merge_rule, threshold, options.overlap_threshold)
    rows = next(int(head.shape[2]) for head in heads if head.role == "class_logits")
    activation = _activation(rule, rows, labels, options)
    said.append(f"class scores by {activation}")
    return QueryInstances(activation=cast("Any", activation), score_threshold=threshold)


def _versions(graph: Graph) -> dict[str, str]:
    producer = graph.model.producer_name
    opset = max((entry.version for entry in graph.model.opset_import if entry.domain in ("", "ai.onnx")), default=0)
    return {"opset": str(opset)} | ({producer: graph.model.producer_version} if producer else {})
