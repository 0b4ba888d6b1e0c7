"""Results as tensors and back: what a served model answers, in numbers alone, with a leading batch axis of 1.

| technique | tensors, without the batch axis |
|---|---|
| semantic | `class_map` uint8 or uint16 (H, W) |
| panoptic | `segment_ids` uint8 or uint16 (H, W), `segments` int32 (S, 8) by `SEGMENT_COLUMNS`, `scores` float64 (S,) |
| instance | `size` int32 (2,) H and W, `boxes` float32 (N, 4) xyxy, `scores` float32 (N,), `class_ids` int64 (N,), \
`rle_counts` uint8 (B,) the ASCII codes of all masks, `rle_lengths` int32 (N,) the bytes of each |
| all | `nonfinite_heads` int32 (1,) |
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from segrt.runtime.bundle.manifest import Manifest
from segrt.runtime.decode.class_map import ClassMap
from segrt.runtime.decode.group_centers import GroupCenters
from segrt.runtime.decode.merge_queries import MergeQueries
from segrt.runtime.errors import BackendError
from segrt.runtime.results import InstanceResult, Label, PanopticResult, Result, Segment, SemanticResult
from segrt.runtime.results.rle import Rle
from segrt.runtime.results.technique import Technique

PROTOCOL = 1
"""Rises with every change of the tensors' meaning; client and server must have the same."""
IMAGE, ENCODED, DESCRIPTION = "image", "encoded", "description"
SEGMENT_COLUMNS = ("id", "class_id", "isthing", "area", "x", "y", "width", "height")
Tensors = Mapping[str, npt.NDArray[Any]]


@dataclass(frozen=True)
class TensorKind:
    """A tensor of a result: its name, numpy dtype, and shape without the batch axis; -1 for a length that varies."""

    name: str
    dtype: str
    shape: tuple[int, ...]


def result_kinds(manifest: Manifest) -> tuple[TensorKind, ...]:
    """Return the tensors of a bundle's results; the first of semantic and panoptic ones is the map."""
    kinds: dict[Technique, tuple[TensorKind, ...]] = {
        "semantic": (TensorKind("class_map", _class_dtype(manifest), (-1, -1)),),
        "panoptic": (
            TensorKind("segment_ids", _id_dtype(manifest), (-1, -1)),
            TensorKind("segments", "int32", (-1, len(SEGMENT_COLUMNS))),
            TensorKind("scores", "float64", (-1,)),
        ),
        "instance": (
            TensorKind("size", "int32", (2,)),
            TensorKind("boxes", "float32", (-1, 4)),
            TensorKind("scores", "float32", (-1,)),
            TensorKind("class_ids", "int64", (-1,)),
            TensorKind("rle_counts", "uint8", (-1,)),
            TensorKind("rle_lengths", "int32", (-1,)),
        ),
    }
    return (*kinds[manifest.technique], TensorKind("nonfinite_heads", "int32", (1,)))


def map_kind(manifest: Manifest) -> TensorKind | None:
    """Return the tensor that is as large as the picture, None where there is none."""
    return None if manifest.technique == "instance" else result_kinds(manifest)[0]


def to_tensors(result: Result, manifest: Manifest) -> dict[str, npt.NDArray[Any]]:
    """Return a result as the tensors of `result_kinds`, each with a leading axis of 1."""
    if isinstance(result, SemanticResult):
        values = _semantic(result)
    elif isinstance(result, PanopticResult):
        values = _panoptic(result)
    else:
        values = _instances(result)
    values["nonfinite_heads"] = np.array([result.nonfinite_heads])
    return {kind.name: _as(values[kind.name], kind) for kind in result_kinds(manifest)}


def to_result(tensors: Tensors, labels: tuple[Label, ...], technique: Technique) -> Result:
    """Return the result that tensors of `to_tensors` were made of; raise BackendError where they are none."""
    try:
        plain = {name: array[0] for name, array in tensors.items()}
        bad = int(plain["nonfinite_heads"][0])
        if technique == "semantic":
            return SemanticResult(plain["class_map"], labels, nonfinite_heads=bad)
        if technique == "panoptic":
            return _panoptic_result(plain, labels, bad)
        return _instance_result(plain, labels, bad)
    except (KeyError, IndexError, ValueError, TypeError) as error:
        raise BackendError(f"the answer is no {technique} result ({error}); export the model again") from None


def _class_dtype(manifest: Manifest) -> str:
    # As the decoders have it: an argmax tells 256 classes apart in a byte, maps of the graph need one for "none".
    most = 255 if isinstance(manifest.decode, ClassMap) else 256
    return "uint8" if len(manifest.labels) <= most else "uint16"


def _id_dtype(manifest: Manifest) -> str:
    """Return the smallest type that holds the ids of any picture: they count from 1."""
    rule = manifest.decode
    most: int | None = None
    if isinstance(rule, MergeQueries):
        queries = manifest.head("class_logits").shape[-2]
        most = queries if isinstance(queries, int) else None
    elif isinstance(rule, GroupCenters):
        most = rule.top_k + len(manifest.labels)
    return "uint8" if most is not None and most <= np.iinfo(np.uint8).max else "uint16"


def _as(values: npt.NDArray[Any], kind: TensorKind) -> npt.NDArray[Any]:
    if kind.name == "class_map":  # whose type says what value stands for "no class"
        return np.ascontiguousarray(values)[None]
    dtype = np.dtype(kind.dtype)
    if values.dtype != dtype and values.size and dtype.kind in "iu":
        info = np.iinfo(dtype)
        if values.max() > info.max or values.min() < info.min:
            raise BackendError(f"{kind.name} holds {values.min()} to {values.max()}, which {kind.dtype} cannot")
    return np.ascontiguousarray(values, dtype)[None]


def _semantic(result: SemanticResult) -> dict[str, npt.NDArray[Any]]:
    return {"class_map": result.class_map}


def _panoptic(result: PanopticResult) -> dict[str, npt.NDArray[Any]]:
    rows = [(item.id, item.class_id, item.isthing, item.area, *item.bbox) for item in result.segments]
    return {
        "segment_ids": result.stored_ids,
        "segments": np.array(rows, np.int64).reshape(-1, len(SEGMENT_COLUMNS)),
        "scores": np.array([item.score for item in result.segments], np.float64),
    }


def _instances(result: InstanceResult) -> dict[str, npt.NDArray[Any]]:
    codes = [code["counts"] for code in result.rles]
    return {
        "size": np.array(result.size),
        "boxes": result.boxes,
        "scores": result.scores,
        "class_ids": result.class_ids,
        "rle_counts": np.frombuffer(b"".join(codes), np.uint8),
        "rle_lengths": np.array([len(code) for code in codes], np.int64),
    }


def _panoptic_result(plain: Tensors, labels: tuple[Label, ...], bad: int) -> PanopticResult:
    ids, scores = plain["segment_ids"], plain["scores"]
    segments = [
        Segment(row[0], row[1], bool(row[2]), score, row[3], (row[4], row[5], row[6], row[7]), labels[row[1]].name)
        for row, score in zip(plain["segments"].tolist(), scores.tolist(), strict=True)
    ]
    if ids.ndim != 2 or ids.size == 0 or ids.max() > max((segment.id for segment in segments), default=0):
        raise ValueError("segment_ids holds ids without a segment")
    return PanopticResult.decided(ids, segments, labels, nonfinite_heads=bad)


def _instance_result(plain: Tensors, labels: tuple[Label, ...], bad: int) -> InstanceResult:
    height, width = (int(value) for value in plain["size"])
    counts, ends = plain["rle_counts"].tobytes(), np.cumsum(plain["rle_lengths"]).tolist()
    if (ends[-1] if ends else 0) != len(counts):
        raise ValueError("rle_lengths do not add up to rle_counts")
    pieces = [counts[begin:end] for begin, end in zip([0, *ends], ends, strict=False)]
    rles: list[Rle] = [{"size": [height, width], "counts": piece} for piece in pieces]
    return InstanceResult(
        boxes=plain["boxes"],
        scores=plain["scores"],
        class_ids=plain["class_ids"],
        rles=rles,
        size=(height, width),
        labels=labels,
        nonfinite_heads=bad,
    )
