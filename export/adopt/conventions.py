"""What is known of an ONNX file by its exporter: metadata, files beside it, the names of its outputs.

Ultralytics writes `names`, `task`, `imgsz` and `stride` into the file. Hugging Face's optimum leaves `config.json` and
`preprocessor_config.json` beside it. PaddlePaddle and mmdeploy are known by their producer and their outputs' names.
"""

import ast
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from segrt.export.graph.editing import Graph
from segrt.runtime.decode.merge_queries import MergeRule
from segrt.runtime.errors import SegrtError
from segrt.runtime.preprocess.input_spec import Channels, Resize
from segrt.runtime.results.technique import Technique

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_NO_MASKS = ("detect", "classify", "pose", "obb")
_INTERPOLATIONS = {0: "nearest", 2: "linear", 3: "cubic"}  # PIL's numbers


@dataclass(frozen=True)
class Normalisation:
    """A float input is (x * scale - mean) / std, with x 0 to 255."""

    scale: float = 1 / 255
    mean: Channels = (0.0, 0.0, 0.0)
    std: Channels = (1.0, 1.0, 1.0)


# What a YOLO is fed: ultralytics' LetterBox, in grey 114, and nothing but x / 255.
LETTERBOX = Resize("letterbox", pad=(114, 114, 114))
# yolact, data/config.py: MEANS and STD in BGR, here in RGB.
YOLACT = Normalisation(1.0, (123.68, 116.78, 103.94), (58.40, 57.12, 57.38))


@dataclass(frozen=True)
class Convention:
    """What is known of a file before its network was run; None: not said.

    `names` are the classes by the network's own ids; `notes` tells the user where all this comes from.
    """

    exporter: str | None = None
    technique: Technique | None = None
    names: Mapping[int, str] | None = None
    size: tuple[int, int] | None = None
    normalisation: Normalisation | None = None
    resize: Resize | None = None
    merge_rule: MergeRule | None = None
    notes: Sequence[str] = ()


def read_convention(graph: Graph) -> Convention:
    """Return what the file says; raise SegrtError for a network that it says to have no masks."""
    metadata = {entry.key: entry.value for entry in graph.model.metadata_props}
    outputs = {spec.name for spec in graph.outputs}
    if "names" in metadata and "stride" in metadata:
        return _ultralytics(graph.path, metadata)
    config = _json(graph.path.with_name("config.json"))
    if isinstance(config.get("id2label"), dict) and isinstance(config.get("architectures"), list):
        return _hugging_face(graph.path, config)
    if "paddle" in graph.model.producer_name.lower():
        note = "the file says: PaddlePaddle; PaddleSeg's normalisation, (x/255 - 0.5) / 0.5"
        return Convention(
            "PaddleSeg", "semantic", normalisation=Normalisation(1 / 255, (0.5,) * 3, (0.5,) * 3), notes=[note]
        )
    if {"dets", "labels", "masks"} <= outputs:
        note = "outputs are called as mmdeploy does: dets, labels, masks; mmdetection's normalisation is ImageNet's"
        return Convention(
            "mmdeploy", "instance", normalisation=Normalisation(1 / 255, IMAGENET_MEAN, IMAGENET_STD), notes=[note]
        )
    return Convention()


def _ultralytics(path: Path, metadata: Mapping[str, str]) -> Convention:
    """Ultralytics' and YOLOv5's metadata: Python literals as text."""
    task = metadata.get("task", "segment")
    if task in _NO_MASKS:
        raise SegrtError(
            f"{path}: the file says that its task is {task!r}, which gives no masks; export a -seg network"
        )
    names = _literal(metadata["names"])
    if isinstance(names, list | tuple):
        names = dict(enumerate(names))
    if not isinstance(names, dict) or not names:
        raise SegrtError(f"{path}: its metadata 'names' is no list of classes; give them with --labels")
    size = _literal(metadata.get("imgsz", ""))
    size = (int(size[0]), int(size[1])) if isinstance(size, list | tuple) and len(size) == 2 else None
    what = metadata.get("description", "YOLO").strip()
    shape = f", {size[0]}×{size[1]}" if size else ""
    return Convention(
        "Ultralytics",
        "semantic" if task == "semantic" else "instance",
        {int(index): str(name) for index, name in names.items()},
        size,
        Normalisation(),
        LETTERBOX,
        notes=[
            f"the file says: {what}, task {task}, {len(names)} classes{shape}",
            "Ultralytics' preprocessing: letterbox in grey 114, x/255",
        ],
    )


def _hugging_face(path: Path, config: Mapping[str, Any]) -> Convention:
    """Optimum's sidecar files; which technique a universal network was trained for, its name alone tells."""
    architecture = str((config["architectures"] or ["unknown"])[0])
    kind = str(config.get("model_type", ""))
    known = f"{architecture} {config.get('_name_or_path', '')}".lower()
    technique: Technique | None = None
    if "SemanticSegmentation" in architecture or "semantic" in known:
        technique = "semantic"
    elif architecture == "DetrForSegmentation" or "panoptic" in known:
        technique = "panoptic"
    elif "instance" in known.replace("forinstancesegmentation", ""):
        technique = "instance"
    names = {int(index): str(name) for index, name in config["id2label"].items()}
    notes = [f"config.json says: {architecture}, {len(names)} classes"]
    processor = _json(path.with_name("preprocessor_config.json"))
    normalisation, resize, size = _processor(processor)
    if processor:
        notes.append("preprocessor_config.json says how pictures are resized and normalised")
    merge_rule = kind if kind in get_args(MergeRule) and kind != "detr" else "maskformer"
    return Convention(
        "optimum",
        technique,
        names,
        size,
        normalisation,
        resize,
        merge_rule,  # type: ignore[arg-type]  # get_args checked it
        notes,
    )


def _processor(processor: Mapping[str, Any]) -> tuple[Normalisation | None, Resize | None, tuple[int, int] | None]:
    """Return normalisation, resize and size of a transformers image processor's configuration."""
    mean, std = processor.get("image_mean"), processor.get("image_std")
    normalisation = None
    if isinstance(mean, list) and isinstance(std, list) and len(mean) == len(std) == 3:
        plain = processor.get("do_normalize", True) is False
        normalisation = Normalisation(
            float(processor.get("rescale_factor", 1 / 255)),
            (0.0, 0.0, 0.0) if plain else (float(mean[0]), float(mean[1]), float(mean[2])),
            (1.0, 1.0, 1.0) if plain else (float(std[0]), float(std[1]), float(std[2])),
        )
    size, given = processor.get("size"), None
    interpolation = _INTERPOLATIONS.get(int(processor.get("resample", 2)), "linear")
    antialias = interpolation != "nearest"
    if not isinstance(size, dict):
        return normalisation, None, None
    if "height" in size and "width" in size:
        given = (int(size["height"]), int(size["width"]))
        return normalisation, Resize("stretch", interpolation, antialias), given  # type: ignore[arg-type]
    if "shortest_edge" in size:
        pad = _grey(normalisation) if normalisation else (0, 0, 0)
        resize = Resize(
            "shortest_edge",
            interpolation,  # type: ignore[arg-type]  # of the table
            antialias,
            shortest_edge=int(size["shortest_edge"]),
            pad=pad,
            pad_side="bottom_right",
        )
        return normalisation, resize, None
    return normalisation, None, None


def _grey(normalisation: Normalisation) -> tuple[int, int, int]:
    """Return the colour that becomes 0: transformers pads what is normalised already."""
    red, green, blue = (min(max(round(value / normalisation.scale), 0), 255) for value in normalisation.mean)
    return red, green, blue


def _literal(text: str) -> Any:
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return None


def _json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}
