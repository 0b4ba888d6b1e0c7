"""mmdeploy's `deploy.json`, `pipeline.json` and `detail.json` beside the network (its SDK's files)."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from segrt.export.adopt.conventions.convention import IMAGENET_MEAN, IMAGENET_STD, Convention, Normalisation, Problem
from segrt.export.adopt.conventions.side_files import Fields, find, is_side, read_json
from segrt.export.adopt.conventions.transforms import Steps
from segrt.export.graph.editing import Graph
from segrt.runtime.preprocess.input_spec import Resize
from segrt.runtime.results.technique import Technique

_TASKS: Mapping[str, Technique] = {
    "Segmentation": "semantic",
    "ObjectDetection": "instance",
    "InstanceSegmentation": "instance",
    "PanopticSegmentation": "panoptic",
}
_INTERPOLATIONS = {"nearest": "nearest", "bilinear": "linear", "bicubic": "cubic", "area": "area"}
# How the picture was read, and what is handed on beside it.
_COLLECTED = (
    "with_bbox",
    "with_mask",
    "reduce_zero_label",
    "keys",
    "meta_keys",
    "img_to_float",
    "pad_val",
    "type",
    "default_float_type",
)


def mmdeploy_json(graph: Graph) -> Convention | None:
    """Return what mmdeploy's files say; None where there are none, or where they are those of another network."""
    deploy, pipeline = find(graph.path, "deploy.json"), find(graph.path, "pipeline.json")
    if pipeline is None:
        return None
    if deploy is not None and graph.path.name not in _networks(deploy):
        return None
    tasks = _mapping(read_json(pipeline), "pipeline").get("tasks")
    tasks = tasks if isinstance(tasks, list) else []
    transforms = next((task for task in tasks if isinstance(task, dict) and task.get("module") == "Transform"), None)
    if transforms is None:
        return None
    steps = _read(pipeline.name, transforms.get("transforms", []), _sides(graph))
    convention = Convention("mmdeploy", notes=["pipeline.json says how pictures are resized and normalised (mmdeploy)"])
    convention = steps.joined(_postprocessing(convention, pipeline.name, tasks))
    return _detail(convention, graph.path)


def mmdeploy_outputs(graph: Graph) -> Convention | None:
    """Return mmdetection's usual convention for outputs called as mmdeploy does, `dets` holding boxes and scores."""
    shapes = {spec.name: spec.shape for spec in graph.outputs}
    if not {"dets", "labels", "masks"} <= shapes.keys() or (shapes["dets"] and shapes["dets"][-1] == 4):
        return None
    note = "outputs are called as mmdeploy does: dets, labels, masks; mmdetection's normalisation is ImageNet's"
    return Convention(
        "mmdeploy", "instance", normalisation=Normalisation(1 / 255, IMAGENET_MEAN, IMAGENET_STD), notes=[note]
    )


def _networks(deploy: Path) -> set[str]:
    models = read_json(deploy).get("models", [])
    return {str(model.get("net")) for model in models if isinstance(model, dict)} if isinstance(models, list) else set()


def _sides(graph: Graph) -> tuple[int, int] | None:
    """Return (height, width) of the input, where its shape fixes them."""
    shapes = [spec.shape for spec in graph.inputs if len(spec.shape) == 4]
    sides = shapes[0][2:] if shapes else ()
    return (int(sides[0]), int(sides[1])) if len(sides) == 2 and all(isinstance(side, int) for side in sides) else None


def _read(where: str, transforms: Any, sides: tuple[int, int] | None) -> Steps:
    steps = Steps()
    for index, transform in enumerate(transforms if isinstance(transforms, list) else []):
        fields = Fields(where, transform if isinstance(transform, dict) else {}, prefix=f"transforms[{index}].")
        kind = str(fields.raw("type"))
        if kind in _STEPS:
            _STEPS[kind](fields, steps, sides)
        else:
            fields = Fields(where, {"type": kind}, prefix=f"transforms[{index}].")
            fields.refuse("everything", "type", "is a step that segrt does not have")
        steps.problems += fields.finished()
    if sides is not None and (sides[0] % steps.divisor or sides[1] % steps.divisor):
        text = f"{where}: pads to multiples of {steps.divisor}, but the network's input has {sides[0]}×{sides[1]}"
        steps.problems.append(Problem("resize", text))
    return steps


def _load(fields: Fields, _steps: Steps, _: Any) -> None:
    fields.silent(["backend_args", "file_client_args", "imdecode_backend", "to_float32", "channel_order"])
    if fields.raw("color_type") not in (None, "color", "color_ignore_orientation"):
        fields.refuse("everything", "color_type", "is not color")


def _resize(fields: Fields, steps: Steps, sides: tuple[int, int] | None) -> None:
    size = fields.raw("size") if "size" in fields else fields.raw("scale")
    fields.silent(["size", "scale", "backend", "clip_object_border"])
    name = str(fields.raw("interpolation") or "bilinear")
    if name not in _INTERPOLATIONS:
        fields.refuse("resize", "interpolation", "is a filter that segrt does not have")
    interpolation = _INTERPOLATIONS.get(name, "linear")
    size = [size, size] if isinstance(size, int) else size
    if not isinstance(size, list) or len(size) != 2 or not all(map(is_side, size)):
        fields.refuse("resize", "size", "is no size of a picture")
        return
    if fields.flag("keep_ratio", "resize"):
        # mmcv's rescale_size: within (longer, shorter), each side int(x + 0.5); the order of the two does not matter.
        steps.resize = Resize(
            "shortest_edge",
            interpolation,  # type: ignore[arg-type]  # of the table
            shortest_edge=min(size),
            longest_edge=max(size),
            pad_side="bottom_right",
            rounding="half_up",
        )
        return
    steps.resize = Resize("stretch", interpolation)  # type: ignore[arg-type]  # of the table
    # mmdetection counts width first, mmsegmentation's exporter height first: only a fixed input tells which was meant.
    if sides is not None and sides not in (tuple(size), tuple(size[::-1])):
        fields.refuse("resize", "size", f"is not the size of the network's input, {sides[0]}×{sides[1]}")
    if sides is None and size[0] == size[1]:
        steps.size = (size[0], size[1])


def _normalize(fields: Fields, steps: Steps, _: Any) -> None:
    mean, std = fields.channels("mean"), fields.channels("std")
    to_rgb = fields.raw("to_rgb")
    steps.color = "bgr" if to_rgb is False else "rgb"
    if mean is None or std is None:
        fields.refuse("values", "mean", "and std must both be given")
    else:
        steps.normalisation = Normalisation(1.0, mean, std)


def _pad(fields: Fields, steps: Steps, sides: tuple[int, int] | None) -> None:
    value = fields.raw("pad_val")
    value = value.get("img", 0) if isinstance(value, dict) else value
    level = Fields("", {"img": 0 if value is None else value}).channels("img")
    if level is None:
        fields.refuse("resize", "pad_val", "is no colour")
        return
    steps.divisor = fields.count("size_divisor", "resize") or 1
    size = fields.raw("size")
    fields.flag("pad_to_square", "resize")
    if isinstance(size, list) and len(size) == 2 and sides not in (None, tuple(size), tuple(size[::-1])):
        fields.refuse("resize", "size", "is not the size of the network's input")
    steps.pad(level)


def _collect(fields: Fields, _steps: Steps, _: Any) -> None:
    fields.silent(_COLLECTED)


_STEPS: Mapping[str, Callable[[Fields, Steps, tuple[int, int] | None], None]] = {
    "LoadImageFromFile": _load,
    "Resize": _resize,
    "Normalize": _normalize,
    "Pad": _pad,
    "DefaultFormatBundle": _collect,
    "ImageToTensor": _collect,
    "Collect": _collect,
    "PackSegInputs": _collect,
    "PackDetInputs": _collect,
    "LoadAnnotations": _collect,
}


def _postprocessing(convention: Convention, where: str, tasks: list[Any]) -> Convention:
    """Return the convention with the mask threshold; the rest of `params` is the head's, which lies in the graph."""
    post = next((task for task in tasks if isinstance(task, dict) and task.get("name") == "postprocess"), {})
    fields = post.get("params")
    params = Fields(where, fields if isinstance(fields, dict) else {}, prefix="params.")
    threshold = params.number("mask_thr_binary", "everything")
    score = params.number("score_thr", "everything")
    notes = list(convention.notes)
    if score is not None:
        notes.append(f"score_thr {score:g} of pipeline.json is left to --score-threshold")
    if threshold is not None and not 0 <= threshold <= 1:
        # RTMDet and others cut logits or bytes by another number: what a mask holds shows in a run.
        threshold = None
    return replace(convention, mask_threshold=threshold, notes=notes)


def _detail(convention: Convention, network: Path) -> Convention:
    """Return the convention with the task, and whether masks were pasted in the graph, of `detail.json`."""
    path = find(network, "detail.json")
    if path is None:
        return convention
    detail = read_json(path)
    codebase, settings = _mapping(detail, "codebase"), _mapping(detail, "codebase_config")
    technique = _TASKS.get(str(codebase.get("task")))
    pasted = _mapping(settings, "post_processing").get("export_postprocess_mask")
    whole = pasted if isinstance(pasted, bool) else None
    notes = [*convention.notes]
    if technique is not None:
        notes.append(f"detail.json says: {codebase.get('codebase')}, {codebase.get('task')}")
    return replace(convention, technique=technique, whole_masks=whole, notes=notes)


def _mapping(fields: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = fields.get(name)
    return value if isinstance(value, dict) else {}
