"""Ultralytics' and YOLOv5's metadata in the ONNX file: Python literals as text."""

import ast
from collections.abc import Mapping
from typing import Any

from segrt.export.adopt.conventions.convention import LETTERBOX, Convention, Normalisation, Problem
from segrt.export.adopt.conventions.side_files import Fields, is_class_id, is_side
from segrt.export.graph.editing import Graph
from segrt.runtime.decode.argmax import Argmax
from segrt.runtime.decode.prototype_masks import PrototypeMasks
from segrt.runtime.errors import SegrtError

_TASKS = ("segment", "semantic")
# Who made the file and how; what of it matters shows in the graph: batch, precision, free lengths.
_SILENT = (
    *("description", "author", "date", "version", "license", "docs", "stride", "task", "batch", "imgsz", "names"),
    *("head", "args", "kpt_shape", "kpt_names", "dla", "producer"),
)


def ultralytics_metadata(graph: Graph) -> Convention | None:
    """Return what the file's metadata say, None for another exporter's; raise SegrtError for one without masks."""
    metadata = {entry.key: entry.value for entry in graph.model.metadata_props}
    if "names" not in metadata or "stride" not in metadata:
        return None
    task = metadata.get("task", "segment")
    if task not in _TASKS:
        raise SegrtError(
            f"{graph.path}: the file says that its task is {task!r}, which gives no masks; export a -seg network"
        )
    fields = Fields(f"{graph.path}, metadata", {name: _literal(value) for name, value in metadata.items()})
    fields.silent(_SILENT)
    names = _names(graph, fields, metadata["names"])
    size = _size(metadata.get("imgsz", ""))
    channels = fields.raw("channels")
    if channels not in (None, *_input_channels(graph)):
        fields.refuse("everything", "channels", f"is not what the input has, {_input_channels(graph)}")
    args = _literal(metadata.get("args", ""))
    in_graph = bool(fields.raw("end2end")) or (isinstance(args, dict) and bool(args.get("nms")))
    what = metadata.get("description", "YOLO").strip()
    shape = f", {size[0]}×{size[1]}" if size else ""
    return Convention(
        "Ultralytics",
        "semantic" if task == "semantic" else "instance",
        names,
        size,
        normalisation=Normalisation(),
        resize=LETTERBOX,
        rows="detections" if in_graph and task == "segment" else None,
        rules={
            "argmax": Argmax(processed_size="network"),
            **({"prototype_masks": PrototypeMasks(agnostic=True)} if _is_yoloe(fields, metadata) else {}),
        },
        problems=fields.finished(),
        notes=[
            f"the file says: {what}, task {task}, {len(names or ())} classes{shape}",
            "Ultralytics' preprocessing: letterbox in grey 114, x/255",
        ],
    )


def _is_yoloe(fields: Fields, metadata: Mapping[str, str]) -> bool:
    """Whether it is one whose `predict` lets boxes of all classes compete; the description of older files names it."""
    return str(fields.raw("head") or metadata.get("description", "")).casefold().find("yoloe") >= 0


def _names(graph: Graph, fields: Fields, text: str) -> dict[int, str] | None:
    names = _literal(text)
    if isinstance(names, list | tuple):
        names = dict(enumerate(names))
    if not isinstance(names, dict) or not names or not all(map(is_class_id, names)):
        fields.problems.append(Problem("labels", f"{graph.path}: its metadata 'names' is no list of classes"))
        return None
    return {index: str(name) for index, name in names.items()}


def _size(text: str) -> tuple[int, int] | None:
    """Return imgsz, [height, width] or one number for both."""
    size = _literal(text)
    if is_side(size):
        return size, size
    if isinstance(size, list | tuple) and len(size) == 2 and all(map(is_side, size)):
        return size[0], size[1]
    return None


def _input_channels(graph: Graph) -> list[int]:
    return [length for spec in graph.inputs if len(spec.shape) == 4 for length in spec.shape if isinstance(length, int)]


def _literal(text: str) -> Any:
    """Return the Python literal that `text` is, else the text."""
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return text
