"""Networks whose outputs are always the same, as Ultralytics, YOLACT and others call them."""

from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

HEIGHT, WIDTH, PROTOTYPES, ANCHORS = 64, 96, 4, 1200
NAMES = {0: "car", 1: "person", 2: "dog"}


def constant_model(
    outputs: dict[str, np.ndarray],
    metadata: dict[str, str] | None = None,
    *,
    shape: tuple[Any, ...] = (1, 3, HEIGHT, WIDTH),
    name: str = "images",
    opset: int = 17,
    extra: dict[str, tuple[int, tuple[Any, ...]]] | None = None,
    producer: str = "",
) -> onnx.ModelProto:
    """A network whose outputs are always the same."""
    inputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)]
    inputs += [helper.make_tensor_value_info(key, kind, dims) for key, (kind, dims) in (extra or {}).items()]
    values = [
        helper.make_tensor_value_info(key, helper.np_dtype_to_tensor_dtype(value.dtype), value.shape)
        for key, value in outputs.items()
    ]
    constants = [numpy_helper.from_array(value, f"constant_{key}") for key, value in outputs.items()]
    nodes = [helper.make_node("Identity", [f"constant_{key}"], [key]) for key in outputs]
    graph = helper.make_graph(nodes, "constant", inputs, values, constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    model.producer_name = producer
    for key, value in (metadata or {}).items():
        model.metadata_props.add(key=key, value=value)
    return model


def yolo_table(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """YOLOv8's predictions of six objects, found by ten anchors each among many dead ones, and prototypes."""
    table = np.zeros((4 + len(NAMES) + PROTOTYPES, ANCHORS), np.float32)
    table[:4] = rng.uniform(5, 30, (4, ANCHORS))
    for index in range(6):
        at = slice(index * 10, index * 10 + 10)
        center = np.array([[12 + 14 * index], [20 + 4 * index]])
        table[:2, at] = center + rng.normal(0, 0.5, (2, 10))
        table[2:4, at] = np.array([[12], [22]]) + rng.normal(0, 0.5, (2, 10))
        table[4 + index % 3, at] = rng.uniform(0.4, 0.95, 10)
        table[7:, at] = rng.normal(size=(PROTOTYPES, 1)) + rng.normal(0, 0.05, (PROTOTYPES, 10))
    prototypes = rng.normal(0.5, 1, (1, PROTOTYPES, HEIGHT // 4, WIDTH // 4)).astype(np.float32)
    return table, prototypes


def metadata(**more: str) -> dict[str, str]:
    """What Ultralytics' exporter writes."""
    return {
        "description": "Ultralytics YOLO11n-seg model trained on coco.yaml",
        "author": "Ultralytics",
        "task": "segment",
        "stride": "32",
        "batch": "1",
        "imgsz": str([HEIGHT, WIDTH]),
        "names": str(NAMES),
        **more,
    }


def yolact_heads(rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Two cars and a person among priors on a grid; conf is raw, its first class background."""
    rows, columns = np.mgrid[:8, :12].reshape(2, -1)
    prior = np.stack([(columns + 0.5) / 12, (rows + 0.5) / 8, np.full(96, 0.2), np.full(96, 0.3)], 1).astype(np.float32)
    conf = np.full((1, 96, 4), -4, np.float32)
    conf[..., 0] = 4
    loc = rng.normal(0, 0.5, (1, 96, 4)).astype(np.float32)
    for anchor, class_id in ((26, 1), (33, 1), (56, 2)):
        conf[0, anchor, class_id] = 8
    mask = np.tanh(rng.normal(size=(1, 96, PROTOTYPES))).astype(np.float32)
    proto = np.abs(rng.normal(size=(1, HEIGHT // 4, WIDTH // 4, PROTOTYPES))).astype(np.float32)
    return {"loc": loc, "conf": conf, "mask": mask, "prior": prior, "proto": proto}
