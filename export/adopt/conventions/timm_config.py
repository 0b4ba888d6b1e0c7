"""timm's configuration beside a network (`config.json` with `pretrained_cfg`, or version 0.6's flat one)."""

from collections.abc import Mapping
from typing import Any

from segrt.export.adopt.conventions.convention import Convention, Normalisation
from segrt.export.adopt.conventions.side_files import Fields, find, is_side, read_json
from segrt.export.graph.editing import Graph
from segrt.runtime.preprocess.input_spec import Resize

_INTERPOLATIONS = {"nearest": "nearest", "bilinear": "linear", "bicubic": "cubic"}
# What tells weights apart and how they were trained.
_SILENT = (
    *("url", "file", "state_dict", "hf_hub_id", "hf_hub_filename", "source", "architecture", "tag", "custom_load"),
    *("num_classes", "num_features", "pool_size", "first_conv", "classifier", "fixed_input_size", "license", "notes"),
    *("origin_url", "paper_name", "paper_ids", "label_names", "label_descriptions", "label_offset", "model_args"),
    *("test_input_size", "test_crop_pct", "min_input_size", "features_only", "global_pool", "classifier_bias"),
    *("num_reg_tokens", "license_url", "model_type", "pretrained", "torch_dtype", "transformers_version"),
    *("initializer_range", "architectures", "id2label", "label2id", "dtype", "problem_type"),
)


def timm_config(graph: Graph) -> Convention | None:
    """Return what timm's file says of pictures; None where there is none."""
    path = find(graph.path, "config.json")
    config: Mapping[str, Any] = read_json(path) if path is not None else {}
    inner = config.get("pretrained_cfg")
    flat = isinstance(config.get("architecture"), str) and "mean" in config and "std" in config
    if path is None or (not isinstance(inner, dict) and not flat):
        return None
    fields = Fields(path.name, inner if isinstance(inner, dict) else config)
    fields.silent(_SILENT)
    mean, std = fields.channels("mean"), fields.channels("std")
    resize, size = _resize(fields), fields.raw("input_size")
    whole = None
    if isinstance(size, list) and len(size) == 3 and is_side(size[1]) and is_side(size[2]):
        whole = (size[1], size[2])
    labels = config.get("label_names") or (inner or {}).get("label_names")
    names = {index: str(name) for index, name in enumerate(labels)} if isinstance(labels, list) else None
    return Convention(
        "timm",
        names=names,
        size=whole,
        normalisation=Normalisation(1 / 255, mean, std) if mean is not None and std is not None else None,
        resize=resize,
        is_read=True,
        problems=fields.finished(),
        notes=[f"{path.name} says how pictures are resized and normalised (timm)"],
    )


def _resize(fields: Fields) -> Resize:
    """Return how timm's evaluation transform brings a picture to size; one that cuts is a problem."""
    name = str(fields.raw("interpolation") or "bilinear")
    if name not in _INTERPOLATIONS:
        fields.refuse("resize", "interpolation", "is a filter that segrt does not have")
    share = fields.number("crop_pct", "resize")
    mode = str(fields.raw("crop_mode") or "center")
    if mode not in ("squash", "border"):
        cut = "crop_mode" if "crop_mode" in fields else "crop_pct"
        fields.refuse("resize", cut, "cuts pictures around their middle, so that a part of them would get no result")
    elif share is not None and share != 1:
        fields.refuse("resize", "crop_pct", "cuts pictures, so that a part of them would get no result")
    interpolation: Any = _INTERPOLATIONS.get(name, "linear")
    rule: Any = "letterbox" if mode == "border" else "stretch"
    return Resize(rule, interpolation, antialias=interpolation != "nearest")
