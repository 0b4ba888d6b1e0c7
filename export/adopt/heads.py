"""The heads of a foreign network: found by a run, rewritten where their form is another exporter's, put in place."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from segrt.export.adopt.guessing import BOX_ROLES, Output
from segrt.export.graph.editing import Graph
from segrt.runtime.errors import BackendError, SegrtError
from segrt.runtime.inference.onnxruntime import run_file
from segrt.runtime.inference.tensors import Array, TensorSpec
from segrt.runtime.preprocess.channels import Raster
from segrt.runtime.preprocess.input_spec import InputSpec
from segrt.runtime.preprocess.picture import network_inputs

Heads = dict[str, Array]
# yolact, layers/box_utils.py, decode: how far a prior's centre and size may be moved.
_CENTER_VARIANCE, _SIZE_VARIANCE = np.float32(0.1), np.float32(0.2)
_YOLACT = {"loc", "conf", "mask", "proto"}


def run_on(file: Path, graph: Graph, inputs: Sequence[InputSpec], pictures: Sequence[Raster]) -> list[Heads]:
    """Write the network to `file` and run it on each of the pictures; return all its outputs for each."""
    for output in graph.model.graph.output:
        kind = str(output.type.WhichOneof("value")).removesuffix("_type")
        if kind != "tensor":
            raise SegrtError(
                f"{graph.path}: output {output.name!r} is no tensor but of type {kind}; export it as tensors, "
                "or leave it out"
            )
    file.write_bytes(graph.bytes())
    try:
        return [run_file(file, network_inputs(inputs, picture)[0]) for picture in pictures]
    except BackendError as error:
        raise BackendError(str(error).replace(str(file), str(graph.path))) from None


def measured_outputs(declared: Sequence[TensorSpec], heads: Heads) -> list[Output]:
    """Return the outputs with the lengths that they really have, beside what the file says of them (`declared`).

    A network without a batch axis (torchvision's detectors) gives itself away by an output of one dimension, by one
    whose first length is not 1, or by the one box (1, 4) that it has found. Beside boxes (1, N, 4) four numbers are
    scores or ids.
    """
    in_batch = any(array.ndim == 3 and array.shape[-1] == 4 for array in heads.values())
    has_batch = all(
        array.ndim > 1 and array.shape[0] == 1 and (in_batch or array.shape != (1, 4)) for array in heads.values()
    )
    return [
        Output(TensorSpec(spec.name, str(heads[spec.name].dtype), heads[spec.name].shape), has_batch, spec.shape)
        for spec in declared
    ]


def rewrite_outputs(graph: Graph, inputs: Sequence[InputSpec], heads: Heads) -> str | None:
    """Bring mmdeploy's and YOLACT's outputs into a form that a decode rule takes; say what was done, None: nothing.

    The nodes are appended to the graph, so that they run wherever it does.
    """
    names = {name.split("/")[-1].rstrip("s"): name for name in heads}
    if {"det", "label", "mask"} <= names.keys() and heads[names["det"]].shape[-1] == 5:
        return _mmdeploy(graph, heads, names["det"])
    if names.keys() >= _YOLACT and "prior" in names:
        return _yolact(graph, inputs[0], heads, names)
    return None


def _mmdeploy(graph: Graph, heads: Heads, detections: str) -> str:
    """Split dets (1, N, 5) into boxes and scores."""
    dtype = str(heads[detections].dtype)
    boxes = graph.add_node("Slice", [detections, _ints(0), _ints(4), _ints(2)], "boxes")
    scores = graph.add_node("Slice", [detections, _ints(4), _ints(5), _ints(2)], "scores_last")
    graph.add_node("Reshape", [scores, _ints(1, -1)], "scores")
    graph.replace_outputs({detections}, {boxes: dtype, "scores": dtype})
    return f"output {detections!r} was split into boxes and scores"


def _yolact(graph: Graph, image: InputSpec, heads: Heads, names: dict[str, str]) -> str:
    """Decode the boxes of loc (1, A, 4) by the priors (A, 4), and join boxes, class scores and coefficients."""
    height, width = image.size
    prior = names["prior"]
    if heads[prior].ndim == 3:
        prior = graph.add_node("Reshape", [prior, _ints(-1, 4)], "prior_rows")
    priors = [graph.add_node("Slice", [prior, _ints(at), _ints(at + 2), _ints(1)], f"prior_{at}") for at in (0, 2)]
    moves = [graph.add_node("Slice", [names["loc"], _ints(at), _ints(at + 2), _ints(2)], f"loc_{at}") for at in (0, 2)]
    step = graph.add_node("Mul", [moves[0], _CENTER_VARIANCE.reshape(1)], "center_step")
    step = graph.add_node("Mul", [step, priors[1]], "center_move")
    center = graph.add_node("Add", [priors[0], step], "center")
    growth = graph.add_node("Mul", [moves[1], _SIZE_VARIANCE.reshape(1)], "size_step")
    growth = graph.add_node("Exp", [growth], "size_growth")
    size = graph.add_node("Mul", [priors[1], growth], "box_size")
    boxes = graph.add_node("Concat", [center, size], "boxes_relative", axis=2)
    boxes = graph.add_node("Mul", [boxes, np.array([width, height, width, height], np.float32)], "boxes_pixels")
    scores = names["conf"]
    if not _is_probability(heads[scores]):
        scores = graph.add_node("Softmax", [scores], "conf_softmax", axis=2)
    scores = graph.add_node("Slice", [scores, _ints(1), _ints(1 << 30), _ints(2)], "scores_of_classes")
    graph.add_node("Concat", [boxes, scores, names["mask"]], "predictions", axis=2)
    graph.add_node("Transpose", [names["proto"]], "prototypes", perm=[0, 3, 1, 2])
    graph.replace_outputs(set(names.values()), {"predictions": "float32", "prototypes": "float32"})
    return "YOLACT's loc, conf, mask, prior and proto were joined into predictions and prototypes"


def in_standard_layout(graph: Graph, role: str, output: Output, labels: int, notes: list[str]) -> Output:
    """Return `output` with a batch axis, channels first and free lengths marked, by nodes appended to the graph."""
    name, shape = output.spec.name, tuple(output.spec.shape)
    if role in BOX_ROLES:
        axis = 1 if output.has_batch else 0
        fixed = len(output.declared) > axis and isinstance(output.declared[axis], int)
        shape = shape if fixed else (*shape[:axis], "detections", *shape[axis + 1 :])
    if not output.has_batch:
        name, shape = graph.add_batch_axis(name), (1, *shape)
        notes.append(f"head {output.spec.name!r} has no batch axis: one was added")
    last = shape[-1]
    one_channel = role in ("class_map", "object_scores") and last == 1 != shape[1]
    if len(shape) == 4 and ((role == "semantic_logits" and last == labels != shape[1]) or one_channel):
        name, shape = graph.transpose_output(name, (0, 3, 1, 2)), (shape[0], shape[3], shape[1], shape[2])
        notes.append(f"head {output.spec.name!r} has its channels last: a Transpose was added")
    dtype = output.spec.dtype
    if role == "object_scores" and dtype == "bool":
        name, dtype = graph.cast_output(name, "uint8"), "uint8"
        notes.append(f"head {output.spec.name!r} is bool: a Cast to uint8 was added")
    graph.declare_output(name, shape)
    return Output(TensorSpec(name, dtype, shape), has_batch=True, declared=shape)


def _ints(*values: int) -> npt.NDArray[np.int64]:
    return np.array(values, np.int64)


def _is_probability(values: Array) -> bool:
    """Whether the rows (…, C) of `values` are probabilities that sum to 1."""
    return bool(values.size) and float(values.min()) >= 0 and bool((np.abs(values.sum(axis=-1) - 1) < 1e-2).all())
