"""PaddleSeg: `deploy.yaml` beside the network, and networks that paddle2onnx wrote."""

from collections.abc import Callable, Mapping
from typing import Any

from segrt.export.adopt.conventions.convention import Convention, Normalisation
from segrt.export.adopt.conventions.side_files import Fields, find, is_side, read_yaml
from segrt.export.adopt.conventions.transforms import Steps
from segrt.export.graph.editing import Graph
from segrt.runtime.preprocess.input_spec import Resize

_HALF = (0.5, 0.5, 0.5)
_INTERPOLATIONS = {"LINEAR": "linear", "CUBIC": "cubic", "AREA": "area"}


def paddleseg(graph: Graph) -> Convention | None:
    """Return what paddle2onnx's name (version 2 leaves it to the graph) and `deploy.yaml` say; None for another's."""
    path = find(graph.path, "deploy.yaml")
    file = read_yaml(path) if path is not None else {}
    deploy = file.get("Deploy")
    whose = f"{graph.model.producer_name} {graph.model.graph.name}".lower()
    if not isinstance(deploy, dict) and "paddle" not in whose:
        return None
    if not isinstance(deploy, dict):
        note = "the file says: PaddlePaddle; PaddleSeg's usual normalisation, (x/255 - 0.5) / 0.5, is a guess: its "
        notes = [f"{note}deploy.yaml, beside the file, would say it"]
        return Convention("PaddleSeg", "semantic", normalisation=Normalisation(1 / 255, _HALF, _HALF), notes=notes)
    where = path.name if path is not None else "deploy.yaml"
    steps = _read(where, deploy.get("transforms"))
    fields = Fields(where, deploy, prefix="Deploy.")
    fields.silent(["transforms", "model", "params", "input_shape", "output_dtype", "output_op", "num_classes"])
    steps.problems += fields.finished()
    notes = ["deploy.yaml says how pictures are resized and normalised (PaddleSeg)"]
    if steps.resize is None:
        notes.append("deploy.yaml resizes nothing: pictures are stretched to the input's size")
    return steps.joined(Convention("PaddleSeg", "semantic", notes=notes))


def _read(where: str, transforms: Any) -> Steps:
    """Return what the transforms come to: pictures are RGB, floats from the start, and divided by 255."""
    steps = Steps()
    for index, transform in enumerate(transforms if isinstance(transforms, list) else []):
        fields = Fields(where, transform if isinstance(transform, dict) else {}, prefix=f"transforms[{index}].")
        kind = str(fields.raw("type"))
        if kind in _STEPS:
            _STEPS[kind](fields, steps)
        else:
            fields = Fields(where, {"type": kind}, prefix=f"transforms[{index}].")
            fields.refuse("everything", "type", "is a step that segrt does not have")
        steps.problems += fields.finished()
    return steps


def _interpolation(fields: Fields) -> Any:
    name = str(fields.raw("interp") or "LINEAR")
    if name not in _INTERPOLATIONS:
        fields.refuse("resize", "interp", "is a filter that segrt does not have")
    return _INTERPOLATIONS.get(name, "linear")


def _size(fields: Fields) -> tuple[int, int] | None:
    """Return target_size, which has the width first, as (height, width)."""
    size = fields.raw("target_size")
    size = [size, size] if isinstance(size, int) else size
    if isinstance(size, list) and len(size) == 2 and all(map(is_side, size)):
        return size[1], size[0]
    fields.refuse("resize", "target_size", "is no size of a picture")
    return None


def _resize(fields: Fields, steps: Steps) -> None:
    size, interpolation = _size(fields) if "target_size" in fields else (512, 512), _interpolation(fields)
    divisor = fields.count("size_divisor", "resize")
    if fields.flag("keep_ratio", "resize"):
        if divisor is not None:
            fields.refuse("resize", "size_divisor", "rounds each picture's sides on their own")
        steps.resize = Resize("letterbox", interpolation, pad_side="bottom_right", pad=(127, 127, 127))
        return
    steps.resize, steps.size = Resize("stretch", interpolation), size


def _by_short(fields: Fields, steps: Steps) -> None:
    short, longest = fields.count("short_size", "resize"), fields.count("max_size", "resize")
    steps.resize = Resize("shortest_edge", shortest_edge=short or 1, longest_edge=longest, pad_side="bottom_right")


def _by_long(fields: Fields, steps: Steps) -> None:
    long = fields.count("long_size", "resize")
    steps.resize = Resize("letterbox", longest_edge=long, pad_side="bottom_right")


def _padding(fields: Fields, steps: Steps) -> None:
    value = fields.channels("im_padding_value", "resize") or (127.5, 127.5, 127.5)
    fields.silent(["label_padding_value"])
    size = _size(fields)
    if steps.resize is None:
        fields.refuse("resize", "type", "comes without a resize: pictures keep a size of their own")
        return
    if steps.resize.rule == "stretch" and size != steps.size:
        fields.refuse("resize", "target_size", "pads pictures that are stretched")
    steps.size = size
    steps.pad(value)


def _normalize(fields: Fields, steps: Steps) -> None:
    mean, std = fields.channels("mean") or _HALF, fields.channels("std") or _HALF
    steps.normalisation = Normalisation(1 / 255, mean, std)


_STEPS: Mapping[str, Callable[[Fields, Steps], None]] = {
    "Resize": _resize,
    "ResizeByShort": _by_short,
    "ResizeByLong": _by_long,
    "Padding": _padding,
    "Normalize": _normalize,
}
