"""`preprocessor_config.json` of transformers 4 and 5: each field is heeded as its class does, or named as a problem."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from segrt.export.adopt.conventions.convention import Normalisation, Problem
from segrt.export.adopt.conventions.processor_defaults import Processor, processor_of
from segrt.export.adopt.conventions.side_files import Fields, find, is_side, read_json
from segrt.runtime.preprocess.input_spec import Channels, Resize

_INTERPOLATIONS = {2: "linear", 3: "cubic"}  # PIL's numbers
# Of the nearest pixel transformers 4 (PIL) and 5 (torchvision) have different notions.
_FILTERS = {0: "nearest", 1: "lanczos", 4: "box", 5: "hamming"}
# What a class heeds only where it is its own; elsewhere transformers passes over it in silence.
_STEPS = ("do_center_crop", "do_flip_channel_order", "do_pad", "do_split_image", "keep_aspect_ratio", "size_divisor")
# Fields that say nothing of how a picture is fed: names, training labels, tokens of prompts.
_SILENT = (
    *("image_processor_type", "feature_extractor_type", "processor_class", "auto_map", "_valid_processor_keys"),
    *(
        "_processor_class",
        "use_fast",
        "backend",
        "transformers_version",
        "model_input_names",
        "return_tensors",
        "_max_size",
    ),
    *("device", "disable_grouping", "do_convert_rgb", "input_data_format", "default_to_square"),
    *("do_reduce_labels", "reduce_labels", "ignore_index", "num_labels", "do_convert_annotations", "format"),
    *("annotation_format", "return_segmentation_masks", "masks_path", "image_seq_length", "pad_and_return_pixel_mask"),
    *("class_info_file", "num_text", "repo_path", "metadata", "instance_info", "is_training", "max_seq_length"),
    *("task_seq_length", "keypoint_heatmap_downscale_factor", "keypoint_heatmap_sigma", "label_ids_to_fuse"),
)


@dataclass(frozen=True)
class Preparation:
    """How a picture becomes a network's input, as far as the file says; `problems` are what cannot be honoured."""

    normalisation: Normalisation | None = None
    flips: bool = False
    resize: Resize | None = None
    size: tuple[int, int] | None = None
    problems: tuple[Problem, ...] = ()
    source: str | None = None


def read_processor(network: Path, model_type: str | None) -> Preparation:
    """Return what the image processor's file beside `network` says; nothing where there is none."""
    path = find(network, "preprocessor_config.json")
    if path is not None:
        return prepared(read_json(path), path.name, model_type)
    path = find(network, "processor_config.json")
    if path is not None:
        inner = read_json(path).get("image_processor")
        if isinstance(inner, dict):
            return prepared(inner, path.name, model_type)
    return Preparation()


def prepared(file: Mapping[str, Any], where: str, model_type: str | None) -> Preparation:
    """Return what the fields of one image processor say; `where` names its file in problems."""
    given = file.get("image_processor_type", file.get("feature_extractor_type"))
    name, processor = processor_of(given if isinstance(given, str) else None, model_type)
    fields = Fields(where, file, processor.defaults if processor is not None else {})
    fields.silent(_SILENT)
    _check_class(fields, name, processor)
    resize, size = _resizing(fields, name, processor)
    flips = fields.flag("do_flip_channel_order")
    normalisation = _normalisation(fields, name)
    if resize is not None and resize.rule != "stretch" and normalisation is not None:
        resize = _padded(resize, normalisation, processor)
    if fields.raw("data_format") not in (None, "channels_first", "FIRST"):
        fields.refuse("everything", "data_format", "is not channels_first")
    return Preparation(normalisation, flips, resize, size, tuple(fields.finished()), f"{where} ({name})")


def _check_class(fields: Fields, name: str, processor: Processor | None) -> None:
    """Note the steps that the class named does not know: the file and transformers disagree about them."""
    for step in _STEPS if processor is not None else ():
        if processor is not None and not processor.heeds(step) and fields.raw(step):
            fields.refuse("everything", step, f"is no field that {name} heeds")
    for step in ("offset", "rescale_offset"):
        if processor is not None and fields.raw(step):
            fields.refuse("values", step, f"is no field that {name} heeds")
    if "antialias" in fields and fields.raw("antialias") is not True:
        fields.refuse("resize", "antialias", "is no field that transformers heeds: it resizes with antialiasing")


def _normalisation(fields: Fields, name: str) -> Normalisation | None:
    """Return (x * scale - mean) / std; None where the file says too little, which is noted."""
    scale = 1.0
    if _decided(fields, "do_rescale", name):
        given = fields.number("rescale_factor", "values")
        if given is not None and not 0 < given <= 1e6:
            fields.refuse("values", "rescale_factor", "is no factor that keeps a picture")
        scale = given or 1 / 255
    else:
        fields.silent(["rescale_factor"])
    shift = 1.0 if fields.flag("rescale_offset", "values") or fields.flag("offset", "values") else 0.0
    mean: Channels | None = (0.0,) * 3
    std: Channels | None = (1.0,) * 3
    if _decided(fields, "do_normalize", name):
        mean, std = fields.channels("image_mean"), fields.channels("image_std")
        for field, value in (("image_mean", mean), ("image_std", std)):
            if value is None and not fields.problems:
                fields.refuse("values", field, f"is missing, and what {name} takes instead is not known")
        if std is not None and 0.0 in std:
            fields.refuse("values", "image_std", "holds a zero")
    else:
        fields.silent(["image_mean", "image_std"])
    if mean is None or std is None:
        return None
    red, green, blue = (value + shift for value in mean)
    return Normalisation(scale, (red, green, blue), std)


def _decided(fields: Fields, step: str, name: str) -> bool:
    """Return whether a step is done, which a class that is not listed must say."""
    if step not in fields:
        fields.refuse("values", step, f"is missing, and what {name} does is not known")
    return fields.flag(step, "values")


def _resizing(fields: Fields, name: str, processor: Processor | None) -> tuple[Resize | None, tuple[int, int] | None]:
    """Return how pictures come to the input's size, and that size where the file names it."""
    square = fields.raw("default_to_square")
    if not isinstance(square, bool):
        square = processor.square if processor is not None else True
    interpolation = _interpolation(fields)
    if "do_resize" in fields and not fields.flag("do_resize", "resize"):
        fields.refuse("resize", "do_resize", "feeds each picture at its own size, but a bundle's network has one size")
        fields.silent(["size", "max_size", "crop_size", "do_center_crop", "do_pad", "pad_size", "size_divisor"])
        return None, None
    size = _size(fields, square, name)
    multiple, pads_to = fields.count("size_divisor", "resize") or 1, 1
    if processor is not None and processor.heeds("ensure_multiple_of"):
        multiple, pads_to = 1, multiple  # DPT pads to it, MaskFormer stretches
    if fields.flag("keep_aspect_ratio", "resize"):
        fields.refuse("resize", "keep_aspect_ratio", "gives each picture a size of its own")
    each = fields.count("ensure_multiple_of", "resize") or 1
    resize, whole = _rule(fields, size, interpolation, multiple, each)
    if resize is not None and processor is not None and not processor.antialias:
        resize = msgspec.structs.replace(resize, antialias=False)
    _crop(fields, whole)
    if fields.flag("do_split_image", "resize"):
        fields.refuse("resize", "do_split_image", "feeds each picture in parts, and a bundle feeds it whole")
    if fields.flag("do_pad", "resize") and whole is not None and (whole[0] % pads_to or whole[1] % pads_to):
        fields.refuse("resize", "size_divisor", "pads the whole picture on all sides")
    pad_size = fields.raw("pad_size")
    if whole is None and isinstance(pad_size, Mapping) and {"height", "width"} <= pad_size.keys():
        if is_side(pad_size["height"]) and is_side(pad_size["width"]):
            whole = (pad_size["height"], pad_size["width"])
        else:
            fields.refuse("resize", "pad_size", "is no size of a picture")
    return resize, whole


def _interpolation(fields: Fields) -> str:
    number = fields.raw("resample")
    if number is None:
        return "linear"
    if isinstance(number, int) and not isinstance(number, bool) and number in _INTERPOLATIONS:
        return _INTERPOLATIONS[number]
    known = _FILTERS.get(number) if isinstance(number, int) else None
    what = f", which is {known}," if known else ""
    fields.refuse("resize", "resample", f"is a filter{what} that segrt does not have")
    return "linear"


def _size(fields: Fields, square: bool, name: str) -> Mapping[str, int]:
    """Return `size` as its dictionary; one number, and version 4's `max_size`, are brought to that form."""
    size, longest = fields.raw("size"), fields.count("max_size", "resize")
    if isinstance(size, list) and len(size) == 2:
        size = {"height": size[0], "width": size[1]}
    if is_side(size):
        size = {"height": size, "width": size} if square else {"shortest_edge": size}
        if not square and longest is not None:
            size["longest_edge"] = longest
    if size is None:
        fields.refuse("resize", "size", f"is missing, and what {name} takes instead is not known")
        return {}
    if not isinstance(size, Mapping) or not all(map(is_side, _edges(size).values())):
        fields.refuse("resize", "size", "is no size of a picture")
        return {}
    return _edges(size)


def _edges(size: Mapping[str, Any]) -> dict[str, Any]:
    return {name: edge for name, edge in size.items() if edge is not None}


def _rule(
    fields: Fields, size: Mapping[str, int], interpolation: str, multiple: int, each: int
) -> tuple[Resize | None, tuple[int, int] | None]:
    """Return the rule that `size` stands for, and the one size that all pictures get, if they do.

    Sides are rounded up to `multiple` (MaskFormer), or to the nearest multiple of `each` (DPT).
    """
    known: dict[str, Any] = {"interpolation": interpolation, "antialias": True}
    if size.keys() == {"height", "width"}:
        height, width = (round(size[side] / each) * each for side in ("height", "width"))
        whole = (-(-height // multiple) * multiple, -(-width // multiple) * multiple)
        return Resize("stretch", **known), whole
    aspect: dict[str, Any] = {**known, "pad_side": "bottom_right", "multiple": multiple}
    if size.keys() in ({"shortest_edge"}, {"shortest_edge", "longest_edge"}):
        longest = size.get("longest_edge")
        rule = Resize(
            "shortest_edge",
            shortest_edge=size["shortest_edge"],
            longest_edge=longest,
            rounding="longer_floor",
            **aspect,
        )
        return rule, None
    if size.keys() == {"max_height", "max_width"}:
        return Resize("letterbox", rounding="floor", **aspect), (size["max_height"], size["max_width"])
    if size:
        fields.refuse("resize", "size", "is a way of resizing that segrt does not have")
    return None, None


def _crop(fields: Fields, whole: tuple[int, int] | None) -> None:
    """Note a crop that cuts something off: a bundle shows the network the whole picture."""
    crop = fields.raw("crop_size")
    if not fields.flag("do_center_crop", "resize"):
        return
    if isinstance(crop, int):
        crop = {"height": crop, "width": crop}
    if not isinstance(crop, Mapping) or whole != (crop.get("height"), crop.get("width")):
        fields.refuse(
            "resize",
            "do_center_crop",
            f"cuts pictures to crop_size {_shown(crop)}, so that a part of them would get no result",
        )


def _shown(crop: Any) -> str:
    return f"{crop.get('height')}x{crop.get('width')}" if isinstance(crop, Mapping) else str(crop)


def _padded(resize: Resize, normalisation: Normalisation, processor: Processor | None) -> Resize:
    """Return the rule with the colour of its padding: black in the picture, or what normalisation makes 0."""
    if processor is not None and processor.padding == "picture":
        return msgspec.structs.replace(resize, pad=(0, 0, 0))
    red, green, blue = (min(max(round(value / normalisation.scale), 0), 255) for value in normalisation.mean)
    return msgspec.structs.replace(resize, pad=(red, green, blue))
