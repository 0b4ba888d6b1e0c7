"""Heads of realistic sizes for every decode rule, the same on every machine: objects here and there, noise on them."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from segrt.runtime.decode.argmax import Argmax
from segrt.runtime.decode.binary import Binary
from segrt.runtime.decode.class_map import ClassMap
from segrt.runtime.decode.group_centers import GroupCenters
from segrt.runtime.decode.matrix_nms import MatrixNms
from segrt.runtime.decode.merge_members import MergeMembers
from segrt.runtime.decode.merge_queries import MergeQueries
from segrt.runtime.decode.paste_masks import PasteMasks
from segrt.runtime.decode.prototype_masks import PrototypeMasks
from segrt.runtime.decode.query_instances import QueryInstances
from segrt.runtime.decode.query_semantic import QuerySemantic
from segrt.runtime.decode.rule import Context, DecodeRule, MemberRule
from segrt.runtime.preprocess.geometry import Geometry
from segrt.runtime.preprocess.member_inputs import MemberGeometry
from segrt.runtime.results import Label

Heads = dict[str, npt.NDArray[Any]]
Random = np.random.Generator
SIZES = ((480, 640), (1080, 1920), (2160, 3840))
NETWORK = (512, 512)


@dataclass(frozen=True)
class Scene:
    """Heads of one frame by their roles, the picture that they are decoded for, and the rule."""

    name: str
    heads: Heads
    geometry: Geometry
    context: Context


def labels(count: int) -> tuple[Label, ...]:
    """Return so many classes, every second one a thing."""
    return tuple(Label(f"class {i}", i, i % 2 == 1, (i % 256, 7, 9)) for i in range(count))


def blobs(random: Random, count: int, height: int, width: int) -> npt.NDArray[np.float32]:
    """Return (count, height, width) logits, each above 0 in an ellipse of its own."""
    rows, columns = np.mgrid[:height, :width].astype(np.float32)
    planes = np.empty((count, height, width), np.float32)
    for plane in planes:
        y, x = random.uniform(0, height), random.uniform(0, width)
        down, across = random.uniform(0.03, 0.25, 2) * (height, width)
        plane[:] = 6 - 6 * np.hypot((rows - y) / down, (columns - x) / across)
    return (planes + random.normal(scale=0.5, size=planes.shape)).astype(np.float32)


def queries(random: Random, part: float, classes: int, cells: int = 128) -> Heads:
    """Return the heads of a query network of `classes`, "no object" among them, some 15 of whose queries are sure."""
    count, side = some(100, part), some(cells, part)
    scores = random.normal(size=(count, classes)).astype(np.float32)
    scores[:, -1] += 6
    sure = random.permutation(count)[:15]
    scores[sure, random.integers(0, classes - 1, len(sure))] += 14
    return {"class_logits": scores, "mask_logits": blobs(random, count, side, side)}


def sigmoid(values: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return probabilities."""
    return (1 / (1 + np.exp(np.minimum(-values, 60)))).astype(np.float32)


def some(count: int, part: float) -> int:
    """Return that part of `count`, 4 at least."""
    return max(4, round(count * part))


def boxes(random: Random, count: int) -> npt.NDArray[np.float32]:
    """Return (count, 4) xyxy in network pixels, some beyond the edge."""
    begin, size = random.uniform(-20, 460, (count, 2)), random.uniform(4, 200, (count, 2))
    return np.concatenate([begin, begin + size], 1).astype(np.float32)


def pasted(random: Random, part: float) -> Heads:
    """Return the heads of Mask R-CNN."""
    count = some(100, part)
    return {
        "boxes": boxes(random, count),
        "scores": random.uniform(0.3, 1, count).astype(np.float32),
        "class_ids": random.integers(0, 80, count),
        "masks": sigmoid(blobs(random, count, 28, 28)),
    }


def yolo(random: Random, part: float) -> Heads:
    """Return the heads of YOLO: 8400 anchors of 80 classes, 32 prototypes; 120 are sure, many of them double."""
    anchors, side = some(8400, part), some(160, part)
    table = np.zeros((4 + 80 + 32, anchors), np.float32)
    found = boxes(random, 30)[random.integers(0, 30, anchors)] + random.normal(scale=2, size=(anchors, 4))
    table[:2], table[2:4] = (found[:, :2] + found[:, 2:]).T / 2, np.abs(found[:, 2:] - found[:, :2]).T
    table[4:84] = random.uniform(0, 0.1, (80, anchors))
    sure = random.permutation(anchors)[: some(120, part)]
    table[4 + random.integers(0, 80, len(sure)), sure] = random.uniform(0.3, 0.99, len(sure))
    table[84:] = random.normal(size=(32, anchors))
    return {"predictions": table, "prototypes": random.normal(size=(32, side, side)).astype(np.float32)}


def solo(random: Random, part: float) -> Heads:
    """Return the heads of SOLOv2."""
    cells, side = some(200, part), some(128, part)
    return {
        "scores": random.uniform(0, 1, cells).astype(np.float32),
        "class_ids": random.integers(0, 80, cells),
        "least_areas": random.choice([4, 8, 16, 32, 64], cells).astype(np.float32),
        "mask_probabilities": sigmoid(blobs(random, cells, side, side)),
    }


def centers(random: Random, part: float) -> Heads:
    """Return the heads of Panoptic-DeepLab for Cityscapes."""
    height, width = some(128, part), some(256, part)
    heat = sigmoid(blobs(random, 20, height, width) * 2 - 8).max(axis=0, keepdims=True)
    return {
        "semantic_logits": blobs(random, 19, height, width),
        "center_heatmap": heat,
        "offsets": random.normal(scale=10, size=(2, height, width)).astype(np.float32),
    }


def logits(random: Random, part: float, classes: int, cells: int) -> Heads:
    """Return the head of a semantic network."""
    return {"semantic_logits": blobs(random, classes, some(cells, part), some(cells, part))}


def class_ids(random: Random, part: float, dtype: Any) -> Heads:
    """Return a class map of 21 classes."""
    return {"class_map": blobs(random, 21, some(128, part), some(128, part)).argmax(axis=0).astype(dtype)}


_MAKERS: dict[str, tuple[DecodeRule, int, Callable[[Random, float], Heads]]] = {
    "argmax, 21 classes": (Argmax(), 21, partial(logits, classes=21, cells=65)),
    "argmax, 150 classes": (Argmax(), 150, partial(logits, classes=150, cells=128)),
    "argmax, 300 classes": (Argmax(), 300, partial(logits, classes=300, cells=33)),
    "class_map": (ClassMap(), 21, partial(class_ids, dtype=np.int64)),
    "class_map of bytes": (ClassMap(), 21, partial(class_ids, dtype=np.uint8)),
    "query_semantic": (QuerySemantic(), 150, partial(queries, classes=151)),
    "binary": (Binary(), 2, lambda random, part: {"object_scores": blobs(random, 1, some(256, part), some(256, part))}),
    "query_instances": (QueryInstances(), 80, partial(queries, classes=81)),
    "query_instances, sigmoid": (
        QueryInstances(activation="sigmoid", score_threshold=0.3), 80, partial(queries, classes=80, cells=78),
    ),
    "paste_masks": (PasteMasks(), 80, pasted),
    "prototype_masks": (PrototypeMasks(), 80, yolo),
    "matrix_nms": (MatrixNms(), 80, solo),
    "group_centers": (GroupCenters(), 19, centers),
    **{
        f"merge_queries, {rule}": (MergeQueries(rule), 133, partial(queries, classes=134))
        for rule in ("maskformer", "mask2former", "eomt", "yoso", "detr")
    },
}  # fmt: skip
# Name → rule: one rule may have several scenes.
NAMES = {name: decode.rule_name for name, (decode, _, _) in _MAKERS.items()} | {"merge_members": "merge_members"}


def scene_of(name: str, size: tuple[int, int], dtype: str, part: float = 1.0) -> Scene:
    """Return a scene for a picture of `size` (H, W), with heads of `dtype` where they are floating point.

    `part` makes grids and numbers of objects smaller.
    """
    if name == "merge_members":
        return of_members(size, dtype, part)
    decode, classes, make = _MAKERS[name]
    heads = _as(dtype, make(np.random.default_rng(7), part))
    if isinstance(decode, MatrixNms):
        decode = decode.replaced(stride=-(-NETWORK[0] // heads["mask_probabilities"].shape[1]))
    return Scene(f"{name} {dtype}", heads, placed(size), Context(decode, labels(classes)))


def placed(size: tuple[int, int]) -> Geometry:
    """Return the geometry of a picture in the middle of its network's input."""
    scale = min(NETWORK[0] / size[0], NETWORK[1] / size[1])
    height, width = round(size[0] * scale), round(size[1] * scale)
    top, left = (NETWORK[0] - height) // 2, (NETWORK[1] - width) // 2
    return Geometry(size, NETWORK, (top, left, top + height, left + width))


def of_members(size: tuple[int, int], dtype: str, part: float) -> Scene:
    """Return a scene of a semantic and an instance network together."""
    random = np.random.default_rng(7)
    heads = {f"stuff.{role}": head for role, head in logits(random, part, 21, 65).items()}
    heads |= {f"things.{role}": head for role, head in pasted(random, part).items()}
    place = placed(size)
    geometry = MemberGeometry(place.source_size, place.network_size, place.window, {"stuff": place, "things": place})
    both = tuple(Label(f"class {i}", i, i > 20, (i, 7, 9)) for i in range(101))
    members = (
        MemberRule("stuff", Argmax(), both[:21], tuple(range(21))),
        MemberRule("things", PasteMasks(), both[21:], tuple(range(21, 101))),
    )
    context = Context(MergeMembers(), both, 0, members)
    return Scene(f"merge_members {dtype}", _as(dtype, heads), geometry, context)


def _as(dtype: str, heads: Heads) -> Heads:
    return {
        role: np.ascontiguousarray(head.astype(dtype) if head.dtype == np.float32 else head)
        for role, head in heads.items()
    }
