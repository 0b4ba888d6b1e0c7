"""A tiny network that takes prompts, whose masks can be told in advance: what lies in the box, or near the points.

Its picture is a square of `SIDE` pixels, its grid half as fine. Mask 0 is the box without what is near background
points, or what is near a point on the object; masks 1 to 3 reach one pixel less far, one and three further. Predicted
IoUs are `IOUS` times (1 + the picture's mean brightness) / 2.
"""

from pathlib import Path

import numpy as np

from segrt.runtime.bundle.bundle_writer import BundleWriter
from segrt.runtime.bundle.manifest import MEMBERS, HeadTolerance, Manifest, Member, Source, Tolerance, Variant
from segrt.runtime.decode.head_spec import HeadSpec
from segrt.runtime.decode.prompted_masks import PROMPTS, PromptedMasks
from segrt.runtime.preprocess.input_spec import InputSpec, Resize
from segrt.runtime.results.labels.one_object import OBJECT_LABEL

SIDE, GRID, TOKENS, REACH = 64, 32, 6, 8.0
IOUS = (0.9, 0.6, 0.8, 0.7)
_FAR = 1e4


class _Graph:
    """Collects nodes, each with one output."""

    def __init__(self) -> None:
        self.nodes, self.constants = [], []

    def constant(self, values: object, dtype: type = np.float32) -> str:
        from onnx import numpy_helper

        name = f"constant_{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(values, dtype), name))
        return name

    def op(self, kind: str, *inputs: str, out: str | None = None, **attributes: object) -> str:
        from onnx import helper

        name = out or f"{kind}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [name], **attributes))
        return name

    def model(self, inputs: list, outputs: list) -> bytes:
        from onnx import checker, helper

        graph = helper.make_graph(self.nodes, "pointing", inputs, outputs, self.constants)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
        checker.check_model(model, full_check=True)
        return model.SerializeToString()


def encoder() -> bytes:
    """Return the ONNX file from the picture to brightness on the grid, 0 to 1."""
    from onnx import TensorProto, helper

    graph = _Graph()
    grey = graph.op("ReduceMean", graph.op("Cast", "image", to=TensorProto.FLOAT), graph.constant([3], np.int64))
    planes = graph.op("Transpose", grey, perm=[0, 3, 1, 2])
    coarse = graph.op("AveragePool", planes, kernel_shape=[2, 2], strides=[2, 2])
    graph.op("Div", coarse, graph.constant(255.0), out="features")
    return graph.model(
        [helper.make_tensor_value_info("image", TensorProto.UINT8, [1, SIDE, SIDE, 3])],
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, [1, 1, GRID, GRID])],
    )


def decoder() -> bytes:
    """Return the ONNX file from brightness and a prompt to masks and IoUs."""
    from onnx import TensorProto, helper

    graph = _Graph()
    op, far, zero = graph.op, graph.constant(_FAR), graph.constant(0.0)
    centres = (np.arange(GRID) + 0.5) * SIDE / GRID
    tokens = graph.constant([1], np.int64)
    columns, rows = graph.constant(centres.reshape(1, 1, 1, -1)), graph.constant(centres.reshape(1, 1, -1, 1))
    shape = graph.constant([1, TOKENS, 1, 1], np.int64)

    def coordinate(index: int) -> str:
        return op("Reshape", op("Gather", "points", graph.constant(index, np.int64), axis=2), shape)

    right, down = op("Sub", columns, coordinate(0)), op("Sub", rows, coordinate(1))  # [1, K, 1, w], [1, K, h, 1]
    near = op("Sub", graph.constant(REACH), op("Max", op("Abs", right), op("Abs", down)))
    label = op("Reshape", "point_labels", shape)

    def is_label(value: int) -> str:
        return op("Equal", label, graph.constant(value, np.int32))

    behind = op("Min", right, down)
    before = op("Min", op("Neg", right), op("Neg", down))
    kept = op("Where", is_label(2), behind, op("Where", is_label(3), before, far))
    kept = op("Where", is_label(0), op("Neg", near), kept)
    kept = op("ReduceMin", kept, tokens)
    pointed = op("ReduceMax", op("Where", is_label(1), near, op("Neg", far)), tokens)
    boxed = op("ReduceMax", op("Where", is_label(2), far, op("Neg", far)), tokens)
    first = op("Min", kept, op("Max", pointed, boxed))
    first = op("Add", first, op("Mul", "features", zero))
    op("Add", first, graph.constant(np.array([0.0, -1.0, 1.0, 3.0]).reshape(1, 4, 1, 1)), out="mask_logits")
    mean = op("ReduceMean", "features", graph.constant([1, 2, 3], np.int64), keepdims=0)
    half = op("Div", op("Add", mean, graph.constant(1.0)), graph.constant(2.0))
    op("Mul", op("Unsqueeze", half, tokens), graph.constant([IOUS]), out="iou_scores")
    return graph.model(
        [
            helper.make_tensor_value_info("features", TensorProto.FLOAT, [1, 1, GRID, GRID]),
            helper.make_tensor_value_info("points", TensorProto.FLOAT, [1, TOKENS, 2]),
            helper.make_tensor_value_info("point_labels", TensorProto.INT32, [1, TOKENS]),
        ],
        [
            helper.make_tensor_value_info("mask_logits", TensorProto.FLOAT, [1, 4, GRID, GRID]),
            helper.make_tensor_value_info("iou_scores", TensorProto.FLOAT, [1, 4]),
        ],
    )


def pointing_manifest(writer: BundleWriter) -> Manifest:
    """Write both networks; return the manifest of a bundle of them."""
    files = {
        "encoder": writer.add("encoder/model.fp32.onnx", encoder()),
        "decoder": writer.add("decoder/model.fp32.onnx", decoder()),
    }
    source, rule, labels = Source("made by hand", "none"), PromptedMasks(), (OBJECT_LABEL,)
    stated = {"technique": "instance", "family": "pointing", "source": source, "labels": labels, "decode": rule}
    grid = (1, 1, GRID, GRID)
    return Manifest(
        required_features=(MEMBERS, PROMPTS),
        name="pointing",
        inputs=(
            InputSpec("encoder.image", "uint8", (1, SIDE, SIDE, 3), resize=Resize("stretch", antialias=True)),
            InputSpec("decoder.features", "float32", grid, role="embedding", carries="encoder.features"),
            InputSpec("decoder.points", "float32", (1, TOKENS, 2), role="points"),
            InputSpec("decoder.point_labels", "int32", (1, TOKENS), role="point_labels"),
        ),
        heads=(
            HeadSpec("encoder.features", "encoder.features", "float32", grid),
            HeadSpec("decoder.mask_logits", "decoder.mask_logits", "float32", (1, 4, GRID, GRID)),
            HeadSpec("decoder.iou_scores", "decoder.iou_scores", "float32", (1, 4)),
        ),
        variants=(
            Variant("fp32", files["encoder"], Tolerance(0.99, {"decoder.iou_scores": HeadTolerance(1e-3)}),
                    member_files=files),
        ),
        members=tuple(Member(name=name, classes=(0,), **stated) for name in files),
        **stated,
    )  # fmt: skip


def write_pointing_bundle(out: Path) -> Path:
    """Write the bundle, without golden frames, and return its folder."""
    with BundleWriter(out) as writer:
        return writer.finish(pointing_manifest(writer))
